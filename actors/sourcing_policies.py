"""Policies that an organization may set in place of the default, for lines that name no warehouse.

*Priority*: each line is served by the warehouse with the highest priority that has enough, however many parcels that
makes. Among equals it is as by default: one for all lines if there is one, else the one with the most, then the smaller
id.

*Fewest parcels*: the lines come from as few warehouses as possible, those counted that other lines name. Among equally
few, those that have the most of what is asked for are taken, then those with the smaller ids; within them each line
gets the one with the most. Covering a basket with few warehouses is NP-hard: the search is bounded, and beyond the
bound the basket comes from where it would by default. It never refuses what the default would serve.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

from actors.packing import Free, Search, Wish, of_each, one_warehouse_for_all, pack
from actors.turn import Turn

Wishes = Mapping[str, list[Wish]]
"""By variant."""

COVERS_MAX = 500  # sets of warehouses that are tried for a basket
COVER_LOOKS_MAX = 20_000  # at a variant in one of these: 0.1 s
COVERS_A_TURN = 25  # about 1.5 ms


def by_priority(wishes: Wishes, left: Free, priorities: Mapping[str, int], search: Search) -> Turn[dict[int, str]]:
    """A warehouse for each line; lines of a variant that cannot be served are left out."""
    chosen: dict[int, str] = {}
    for variant_id, of_variant in wishes.items():
        chosen.update((yield from pack(of_variant, left[variant_id], search, priorities)))
    ranks = {priorities.get(warehouse_id, 0) for warehouse_id in chosen.values()}
    if len(ranks) == 1 and len(chosen) == sum(map(len, wishes.values())):
        [rank] = ranks
        its = {variant_id: left[variant_id] for variant_id in wishes}
        equals = yield from of_each(
            its, lambda _, rows: {one: rows[one] for one in rows if priorities.get(one, 0) == rank}, search
        )
        single = yield from one_warehouse_for_all(_wanted(wishes), equals, search)
        if single is not None:
            return dict.fromkeys(chosen, single)
    return chosen


def _wanted(wishes: Wishes) -> dict[str, int]:
    return {variant_id: sum(quantity for quantity, _ in of_variant) for variant_id, of_variant in wishes.items()}


def in_fewest_parcels(
    wishes: Wishes, left: Free, usual: dict[int, str], sent: frozenset[str], search: Search
) -> Turn[dict[int, str]]:
    """A warehouse for each line.

    Args:
        usual: what the default chooses, for every line.
        sent: warehouses that send a parcel in any case.
    """
    pieces = yield from _pieces(wishes, left, search)
    covers_max = min(COVERS_MAX, COVER_LOOKS_MAX // len(wishes))
    for tried, cover in enumerate(_covers(pieces, len(set(usual.values()) - sent), sent), 1):
        if tried > covers_max:
            break
        if tried % COVERS_A_TURN == 0:
            yield from search.others_first()
        chosen = yield from _within(cover, wishes, left, search)
        if chosen is not None:
            return chosen
    return usual


def _pieces(wishes: Wishes, left: Free, search: Search) -> Turn[dict[str, int]]:
    """What each warehouse has of all that is asked for."""
    pieces: dict[str, int] = {}
    for variant_id in wishes:
        if search.is_due(len(left[variant_id])):
            yield from search.others_first()
        for warehouse_id, there in left[variant_id].items():
            pieces[warehouse_id] = pieces.get(warehouse_id, 0) + max(0, there)
    return pieces


def _covers(pieces: Mapping[str, int], more_max: int, sent: frozenset[str]) -> Iterator[frozenset[str]]:
    """What may serve the lines with fewer than `more_max` more parcels, the fewest first."""
    others = sorted(pieces.keys() - sent, key=lambda one: (-pieces[one], one))
    for more in range(more_max):
        for chosen in combinations(others, more):
            yield sent.union(chosen)


def _within(cover: frozenset[str], wishes: Wishes, left: Free, search: Search) -> Turn[dict[int, str] | None]:
    """A warehouse among these for each line; None if they cannot serve all."""
    chosen: dict[int, str] = {}
    for variant_id, of_variant in wishes.items():
        rows = left[variant_id]
        there = {one: rows[one] for one in cover if one in rows}
        placed = yield from pack(of_variant, there, search)
        if len(placed) < len(of_variant):
            return None
        chosen.update(placed)
    return chosen

"""From a basket of wishes to parts: which warehouses give how much of each wish.

A wish is served by one warehouse if that can be, as a line of ReserveStock is: a wish that lists warehouses by the
first of them that leaves the others of its variant served too, one that lists none by the one that the policy chooses.
Only the variants that cannot be served so are split, if the basket allows it; and only if that is not enough are they
served in part, if the basket allows that.

What is found short was short in one look at the stock.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.basket_commands import ReserveBasket, Wish
from actors.bounds import LINES_MAX
from actors.commands import Line
from actors.packing import PACKING_STEPS_A_TURN, RankedSpace, Space
from actors.planner import Free, Placement, Search, placing
from actors.sourcing import Sourcing
from actors.spreading import Rank, SplitWish, spread
from actors.turn import Turn

ROWS_A_STEP = 50


class Part(NamedTuple):
    """What one warehouse gives of a wish, which is named by its place in the basket."""

    place: int
    warehouse_id: str
    quantity: int


class ServedBasket(NamedTuple):
    """How a basket is served.

    Args:
        parts: in the order of the wishes.
        lines: the basket as lines that one warehouse each serves, and where those are placed: for a refusal.
        placements: of these lines.
        short: by variant, the pieces that are asked for and those that there are, where the basket may be split.
        fits: whether all of it is served.
    """

    parts: list[Part]
    lines: list[Line]
    placements: list[Placement]
    short: dict[str, tuple[int, int]]
    fits: bool


def serving(command: ReserveBasket, free: Free, sourcing: Sourcing, search: Search) -> Turn[ServedBasket]:
    """How the basket is served, among what is free in warehouses that are active."""
    wishes = command.wishes
    lines = yield from _as_lines(wishes, free, sourcing, search)
    placements = yield from placing(lines, free, search, sourcing)
    unserved = dict.fromkeys(line.variant_id for line, one in zip(lines, placements, strict=True) if not one.fits)
    parts = [
        Part(place, one.warehouse_id, line.quantity)
        for place, (line, one) in enumerate(zip(lines, placements, strict=True))
        if line.variant_id not in unserved
    ]
    if not unserved:
        return ServedBasket(parts, lines, placements, {}, True)
    sent = {part.warehouse_id for part in parts}
    its_wishes: dict[str, list[tuple[int, Wish]]] = {variant_id: [] for variant_id in unserved}
    for place, wish in enumerate(wishes):
        if wish.variant_id in unserved:
            its_wishes[wish.variant_id].append((place, wish))
    for variant_id, its in its_wishes.items():
        if search.is_due(len(free.get(variant_id, ()))):
            yield from search.others_first()
        if command.allow_split:
            split = [SplitWish(place, wish.quantity, wish.warehouse_ids) for place, wish in its]
            flow = yield from spread(split, free.get(variant_id, {}), _rank(sourcing, sent), search)
            its_parts = [Part(place, one, n) for place, given in flow.given.items() for one, n in given.items()]
        else:
            rows = free.get(variant_id, {})
            its_parts = _most_of_each(its, rows, sourcing) if rows and command.allow_partial else []
        parts += its_parts
        sent.update(part.warehouse_id for part in its_parts)
    parts = sorted(parts, key=lambda part: part.place)[:LINES_MAX]
    short = _short(wishes, parts)
    return ServedBasket(parts, lines, placements, short, not short)


def _as_lines(wishes: Sequence[Wish], free: Free, sourcing: Sourcing, search: Search) -> Turn[list[Line]]:
    """Each wish as a line that names its warehouse, or none where the policy is to choose."""
    lines = [
        Line(wish.variant_id, wish.warehouse_ids[0] if len(wish.warehouse_ids) == 1 else "", wish.quantity)
        for wish in wishes
    ]
    choosy: dict[str, list[int]] = {}
    for place, wish in enumerate(wishes):
        if len(wish.warehouse_ids) > 1:
            choosy.setdefault(wish.variant_id, []).append(place)
    others: dict[str, list[Line]] = {variant_id: [] for variant_id in choosy}
    for line, wish in zip(lines, wishes, strict=True):
        if wish.variant_id in choosy and len(wish.warehouse_ids) < 2:
            others[wish.variant_id].append(line)
    for variant_id, places in choosy.items():
        rows = free.get(variant_id, {})
        if search.is_due(len(rows)):
            yield from search.others_first()
        chosen = yield from _first_choice(variant_id, places, wishes, others[variant_id], rows, sourcing, search)
        for place, warehouse_id in zip(places, chosen or [_fullest(wishes[one], rows) for one in places], strict=True):
            lines[place] = Line(variant_id, warehouse_id, wishes[place].quantity)
    return lines


def _first_choice(
    variant_id: str,
    places: Sequence[int],
    wishes: Sequence[Wish],
    others: Sequence[Line],
    rows: Mapping[str, int],
    sourcing: Sourcing,
    search: Search,
) -> Turn[list[str]]:
    """A warehouse of its list for each of these wishes, so that all lines of the variant are served, the first lists'
    first warehouses rather than others; empty if there is no way, or none within the bound of the search.

    Args:
        others: the variant's lines whose wishes have no list to choose from.
    """
    left = dict(rows)
    for line in others:
        if line.warehouse_id:
            left[line.warehouse_id] = left.get(line.warehouse_id, -1) - line.quantity
    tried = [0]  # how many warehouses of the list were looked at, for each wish so far
    chosen: list[str] = []
    steps = 0
    while tried:
        steps += 1
        if steps > len(places) and not search.spend():
            return []
        if steps % PACKING_STEPS_A_TURN == 0:
            yield from search.others_first()
        wish = wishes[places[len(chosen)]]
        if tried[-1] == len(wish.warehouse_ids):
            tried.pop()
            if chosen:
                left[chosen.pop()] += wishes[places[len(chosen)]].quantity
            continue
        warehouse_id = wish.warehouse_ids[tried[-1]]
        tried[-1] += 1
        if left.get(warehouse_id, -1) < wish.quantity:
            continue
        chosen.append(warehouse_id)
        left[warehouse_id] -= wish.quantity
        if len(chosen) < len(places):
            tried.append(0)
            continue
        if not all(one.warehouse_id for one in others):
            search.steps_left -= len(rows) // ROWS_A_STEP  # all of them are compared
        mine = [Line(variant_id, one, wishes[place].quantity) for place, one in zip(places, chosen, strict=True)]
        placements = yield from placing([*others, *mine], {variant_id: rows}, search, sourcing)
        if all(one.fits for one in placements):
            return chosen
        left[chosen.pop()] += wish.quantity
    return []


def _fullest(wish: Wish, rows: Mapping[str, int]) -> str:
    return max(wish.warehouse_ids, key=lambda one: rows.get(one, -1))


def _rank(sourcing: Sourcing, sent: set[str]) -> Rank:
    """Which warehouses are asked first for a part: those that send a parcel anyway where that is the policy."""
    if sourcing.policy == "fewest_parcels":
        return lambda one, left: (one not in sent, -left, one)
    return lambda one, left: (-sourcing.priorities.get(one, 0), -left, one)


def _most_of_each(wishes: Sequence[tuple[int, Wish]], rows: Mapping[str, int], sourcing: Sourcing) -> list[Part]:
    """What one warehouse can give of each wish, one after another: all of it if any can, else the most."""
    left = dict(rows)
    space = RankedSpace(left, sourcing.priorities) if sourcing.priorities else Space(left)
    parts = []
    for place, wish in wishes:
        if wish.warehouse_ids:
            asked = [one for one in wish.warehouse_ids if left.get(one, 0) > 0]
            if not asked:
                continue
            enough = [one for one in asked if left[one] >= wish.quantity]
            warehouse_id = enough[0] if enough else max(asked, key=lambda one: left[one])
            quantity = min(wish.quantity, left[warehouse_id])
            space.take_from(warehouse_id, left[warehouse_id], quantity)
        else:
            quantity = min(wish.quantity, space.fullest)
            most = space.most(None, quantity)
            if quantity <= 0 or most is None:
                continue
            warehouse_id = space.take(most, quantity)
        left[warehouse_id] -= quantity
        parts.append(Part(place, warehouse_id, quantity))
    return parts


def _short(wishes: Sequence[Wish], parts: Sequence[Part]) -> dict[str, tuple[int, int]]:
    asked: dict[str, int] = {}
    for wish in wishes:
        asked[wish.variant_id] = asked.get(wish.variant_id, 0) + wish.quantity
    there = dict.fromkeys(asked, 0)
    for part in parts:
        there[wishes[part.place].variant_id] += part.quantity
    return {one: (pieces, there[one]) for one, pieces in asked.items() if there[one] < pieces}

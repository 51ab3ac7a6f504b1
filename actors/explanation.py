"""Why a basket would be served as it would, or would not: the planner's choice in words for a person."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from actors.commands import Line
from actors.elsewhere import Elsewhere
from actors.packing import of_each
from actors.planner import Free, Placement, Search
from actors.sourcing import Sourcing, SourcingPolicy
from actors.turn import Turn
from actors.views import ExplainedLine, Explanation, Why

FreesAt = Callable[[str, str, int], int | None]
"""When expiries will have given that number of pieces of a variant back in a warehouse, in service milliseconds."""


def explained(
    lines: Sequence[Line],
    placements: Sequence[Placement],
    everything: Free,
    sourcing: Sourcing,
    frees_at: FreesAt,
    own: Mapping[tuple[str, str], int],
) -> Turn[Explanation]:
    """What would come of each line.

    Args:
        placements: where each would be served, among the warehouses that are active.
        everything: what is free, also in those that are not.
        own: pieces of the order's own among them, which it may have from a closed warehouse too.
    """
    search, closed = Search(), sourcing.closed
    asked: dict[tuple[str, str], int] = {}  # of each row, since lines on one row are judged together
    for line, placement in zip(lines, placements, strict=True):
        row = (line.variant_id, placement.warehouse_id)
        asked[row] = asked.get(row, 0) + line.quantity
    free = everything
    if closed:
        free = yield from of_each(
            everything, lambda v, rows: {w: rows[w] for w in rows if w not in closed or own.get((v, w))}, search
        )
    open_places = [p.warehouse_id for line, p in zip(lines, placements, strict=True) if not line.warehouse_id]
    is_one_place = len(open_places) > 1 and len(set(open_places)) == 1
    found, elsewhere = [], Elsewhere(free)
    yield from elsewhere.look(everything, search)
    frees_at = cache(frees_at)  # lines on one row fall short of it together
    for line, placement in zip(lines, placements, strict=True):
        is_closed = line.warehouse_id in closed and _is_anothers(line, everything, own)
        fits = placement.fits and not is_closed
        wanted = asked[line.variant_id, placement.warehouse_id]
        short = 0 if fits else line.quantity if is_closed else max(0, wanted - placement.available)
        where = placement.warehouse_id
        found.append(
            ExplainedLine(
                line.variant_id,
                line.warehouse_id,
                line.quantity,
                where if fits else "",
                _why(line, placement, sourcing.policy, is_closed=is_closed, is_one_place=is_one_place),
                short,
                elsewhere.alternatives_to(line.variant_id, where if where else line.warehouse_id),
                _frees_at(line, placement, short, frees_at) if not is_closed else 0,
            )
        )
    return Explanation(all(line.why not in SHORT for line in found), tuple(found))


SHORT: tuple[Why, ...] = ("closed", "unknown", "short")


def _is_anothers(line: Line, everything: Free, own: Mapping[tuple[str, str], int]) -> bool:
    """Whether there is such a row, and the order has nothing of it."""
    row = (line.variant_id, line.warehouse_id)
    return line.warehouse_id in everything.get(line.variant_id, ()) and not own.get(row)


def _why(line: Line, placement: Placement, policy: SourcingPolicy, *, is_closed: bool, is_one_place: bool) -> Why:
    if is_closed:
        return "closed"
    if not placement.found:
        return "unknown"
    if not placement.fits:
        return "short"
    if line.warehouse_id:
        return "named"
    if policy == "priority":
        return "goes_first"
    if is_one_place:
        return "serves_all"
    return "fewest_parcels" if policy == "fewest_parcels" else "has_most"


def _frees_at(line: Line, placement: Placement, short: int, frees_at: FreesAt) -> int:
    if placement.fits or not placement.found or not placement.warehouse_id:
        return 0
    return frees_at(line.variant_id, placement.warehouse_id, short) or 0

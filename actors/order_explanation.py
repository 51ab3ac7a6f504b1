"""What would become of a basket for an order that may have its goods already, and of one that may be split.

What the order holds counts as free for it: its basket is looked at as AmendReservation would, each line where the order
has its goods, or else with all of it planned anew. A basket that the order holds already is told as that.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from actors.amendment import pieces_of, wishes_of
from actors.basket import first_that_fits, with_own
from actors.basket_commands import ReserveBasket, Wish
from actors.closed_warehouses import known_elsewhere
from actors.commands import Line
from actors.explanation import FreesAt, explained
from actors.outcomes import Refused
from actors.packing import of_each
from actors.planner import Free, Search
from actors.queries import ExplainBasket
from actors.records import ReservationRecord
from actors.reservation import asks_for_the_same
from actors.serving import Part, serving
from actors.sourcing import Sourcing
from actors.turn import Turn
from actors.views import ExplainedLine, ExplainedPart, Explanation

Own = Mapping[tuple[str, str], int]


def is_held(latest: ReservationRecord | None, lines: tuple[Line, ...], now_ms: int) -> bool:
    """Whether reserving these lines would find the order's reservation and change nothing."""
    if latest is None or latest.is_overdue(now_ms) or latest.state in ("released", "expired"):
        return False
    return asks_for_the_same(latest, lines)


def held(latest: ReservationRecord, lines: Sequence[Line]) -> Explanation:
    """Each line where the order has it."""
    places: dict[tuple[str, str, int], list[str]] = {}
    for item in reversed(latest.items):
        key = (item.variant_id, item.requested_warehouse_id, item.quantity)
        places.setdefault(key, []).append(item.warehouse_id)
    found = [ExplainedLine(*line_of(line), places[line_of(line)].pop(), "held", 0, (), 0) for line in lines]
    return Explanation(True, tuple(found))


def line_of(line: Line) -> tuple[str, str, int]:
    return line.variant_id, line.warehouse_id, line.quantity


def explaining(
    query: ExplainBasket,
    latest: ReservationRecord | None,
    free: Free,
    sourcing: Sourcing,
    now_ms: int,
    frees_at: FreesAt,
) -> Turn[Explanation]:
    """What would come of the query's lines.

    Args:
        latest: the latest reservation of the order that they are for, if it has one.
        free: what is free, also in warehouses that are not active.
    """
    lines = query.lines
    tried: Sequence[Sequence[Line]] = (lines,)
    own: Own = {}
    if latest is not None and latest.holds_stock:
        own = pieces_of(latest, lambda item: item.quantity)
        tried = tried if latest.is_overdue(now_ms) else _as_amended(latest, lines)
    search = Search()
    there = yield from with_own(free, own, sourcing.closed, search)
    placed, placements = yield from first_that_fits(tried, there, search, sourcing)
    placements = known_elsewhere(placed, placements, {variant_id for variant_id, rows in free.items() if rows})
    everything = yield from of_each(
        free, lambda variant_id, rows: {one: there[variant_id].get(one, rows[one]) for one in rows}, search
    )
    explanation = yield from explained(placed, placements, everything, sourcing, frees_at, own)
    explanation = replace(explanation, lines=_as_asked(lines, explanation.lines))
    if query.allow_split and not explanation.fits:
        return (yield from _split(query, explanation, there, sourcing))
    return explanation


def _as_amended(latest: ReservationRecord, lines: tuple[Line, ...]) -> Sequence[Sequence[Line]]:
    try:
        return wishes_of(latest, lines)
    except Refused:  # more was shipped than the basket has
        return (lines,)


def _as_asked(lines: Sequence[Line], found: Sequence[ExplainedLine]) -> tuple[ExplainedLine, ...]:
    """The same of lines that stay where the order has them, though they name no warehouse."""
    return tuple(
        [
            one
            if one.asked_warehouse_id == line.warehouse_id
            else replace(one, asked_warehouse_id=line.warehouse_id, why="held" if one.why == "named" else one.why)
            for line, one in zip(lines, found, strict=True)
        ]
    )


def _split(query: ExplainBasket, whole: Explanation, there: Free, sourcing: Sourcing) -> Turn[Explanation]:
    """The same, where lines that no warehouse can serve alone come from several."""
    wishes = tuple(
        [Wish(one.variant_id, (one.warehouse_id,) if one.warehouse_id else (), one.quantity) for one in query.lines]
    )
    command = ReserveBasket(query.organization_id, query.order_id, wishes, 1, True, False, "")
    served = yield from serving(command, there, sourcing, Search())
    parts: dict[int, list[Part]] = {}
    for part in served.parts:
        parts.setdefault(part.place, []).append(part)
    hopeless = {line.variant_id for line in whole.lines if line.why in ("closed", "unknown")}
    short = {line.variant_id for line in whole.lines if line.why == "short"} - hopeless
    lines = [
        _from_several(line, parts.get(place, []), served.short.get(line.variant_id))
        if line.variant_id in short
        else line
        for place, line in enumerate(whole.lines)
    ]
    return Explanation(not hopeless and not any(line.why == "short" for line in lines), tuple(lines))


def _from_several(line: ExplainedLine, parts: Sequence[Part], short: tuple[int, int] | None) -> ExplainedLine:
    if short is not None:
        asked, available = short
        return replace(line, warehouse_id="", why="short", short=asked - available, frees_at_ms=0)
    its = tuple([ExplainedPart(part.warehouse_id, part.quantity) for part in parts])
    return replace(line, warehouse_id=its[0].warehouse_id, why="split", short=0, frees_at_ms=0, parts=its)

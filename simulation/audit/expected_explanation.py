"""What must be said of a basket by the state, written without `actors.explanation` and `actors.order_explanation`."""

from collections.abc import Sequence
from typing import NamedTuple

from actors.basket_commands import Wish
from actors.commands import Amend, Line
from actors.outcomes import Shortage
from actors.queries import ExplainBasket
from actors.records import OrderKey, ReservationRecord
from actors.sourcing import SourcingPolicy
from actors.views import ExplainedLine, Explanation, Why
from simulation.audit.amendments import beside, unasked, wishes
from simulation.audit.choice import Choice, choose
from simulation.audit.expected_basket import matched
from simulation.audit.hints import freed_at_ms
from simulation.audit.history import Operation
from simulation.audit.refused_baskets import elsewhere
from simulation.audit.replay import Replay, basket_of
from simulation.audit.sites import Sites

REASONS: dict[SourcingPolicy, Why] = {
    "most_stock": "has_most",
    "priority": "goes_first",
    "fewest_parcels": "fewest_parcels",
}
LACKING: tuple[Why, ...] = ("closed", "short", "unknown")

Everything = dict[str, dict[str, int]]


class Moment(NamedTuple):
    """A state as the question meets it.

    Args:
        everything: what is available anywhere.
        sites: what the warehouses are to a basket.
        latest: the reservation of the order that the question is for, if there is one.
        own: the pieces that count as free for it.
        there: what is free for it.
    """

    everything: Everything
    sites: Sites
    latest: ReservationRecord | None
    own: dict[tuple[str, str], int]
    there: Everything


def is_explained(replay: Replay, query: ExplainBasket, operation: Operation, lsn: int) -> bool:
    """Whether an explanation is true of this state."""
    answer = operation.answer
    assert isinstance(answer, Explanation)
    latest = None
    if query.order_id:
        latest = replay.latest_at(OrderKey(query.organization_id, query.order_id), lsn)
    if latest is None or latest.state != "active":
        overdue = {False}
    else:
        overdue = {latest.expires_at_ms <= at_ms for at_ms in (operation.asked_ms, operation.answered_ms)}
    known = [latest]
    if (
        latest is not None
        and 0 < replay.moved.get((latest.organization_id, latest.reservation_id), 0) <= operation.moves
    ):
        known.append(None)  # housekeeping took it away, and only memory may still have it
    moments = [_moment(replay, query, one, lsn) for one in known]
    return any(_is_so(replay, query, operation, answer, one, lsn, late) for one in moments for late in overdue)


def _moment(replay: Replay, query: ExplainBasket, latest: ReservationRecord | None, lsn: int) -> Moment:
    variants = list(dict.fromkeys(line.variant_id for line in query.lines))
    everything, sites = replay.open_at(query.organization_id, variants, lsn)
    own: dict[tuple[str, str], int] = {}
    for item in latest.items if latest is not None and latest.holds_stock else ():
        row = (item.variant_id, item.warehouse_id)
        own[row] = own.get(row, 0) + item.quantity
    return Moment(everything, sites, latest, own, beside(everything, own, sites))


def _is_so(
    replay: Replay,
    query: ExplainBasket,
    operation: Operation,
    answer: Explanation,
    moment: Moment,
    lsn: int,
    late: bool,
) -> bool:
    latest = moment.latest
    is_kept = latest is not None and not late and latest.state in ("active", "confirmed", "fulfilled")
    if is_kept and latest is not None and basket_of(latest) == sorted(map(_asked, query.lines)):
        has = sorted((i.variant_id, i.requested_warehouse_id, i.quantity, i.warehouse_id) for i in latest.items)
        told = [(one.variant_id, one.asked_warehouse_id, one.quantity, one.warehouse_id) for one in answer.lines]
        return answer.fits and sorted(told) == has and {one.why for one in answer.lines} == {"held"}
    expected = _expected(query.lines, _tried(query, moment, late), moment)
    if query.allow_split and any(one.why in LACKING for one in expected):
        return _is_split_so(query.lines, expected, answer, moment)
    return (
        [_without_time(one) for one in answer.lines] == expected
        and answer.fits == all(line.warehouse_id for line in expected)
        and all(_is_foreseen(replay, query, one, operation, moment, lsn) for one in answer.lines if one.frees_at_ms)
    )


def _asked(line: Line | ExplainedLine) -> tuple[str, str, int]:
    warehouse_id = line.warehouse_id if isinstance(line, Line) else line.asked_warehouse_id
    return line.variant_id, warehouse_id, line.quantity


def _tried(query: ExplainBasket, moment: Moment, late: bool) -> list[Sequence[Line]]:
    latest = moment.latest
    if latest is None or late or not latest.holds_stock:
        return [query.lines]
    amend = Amend(query.organization_id, latest.reservation_id, query.lines, "")
    return [query.lines] if unasked(amend, latest) else list(wishes(amend, latest))


def _expected(asked: Sequence[Line], tried: Sequence[Sequence[Line]], moment: Moment) -> list[ExplainedLine]:
    everything, sites, _, own, there = moment
    for lines in tried:
        choices = [
            _known(line, choice, everything) for line, choice in zip(lines, choose(lines, there, sites), strict=True)
        ]
        if all(choice.fits for choice in choices):
            break
    free = {
        v: {w: there[v].get(w, n) for w, n in rows.items() if w not in sites.shut or own.get((v, w))}
        for v, rows in everything.items()
    }
    places = [choice.warehouse_id for choice in choices]
    unnamed = [place for line, place in zip(lines, places, strict=True) if not line.warehouse_id]
    expected = []
    for wish, line, choice in zip(asked, lines, choices, strict=True):
        row = (line.variant_id, choice.warehouse_id)
        meet = [a.quantity for a, place in zip(lines, places, strict=True) if (a.variant_id, place) == row]
        is_shut = line.warehouse_id in sites.shut and line.warehouse_id in everything.get(line.variant_id, {})
        is_shut = is_shut and not own.get((line.variant_id, line.warehouse_id))
        why: Why = "named" if line.warehouse_id else REASONS[sites.policy]
        if not line.warehouse_id and why != "goes_first" and len(unnamed) > 1 and len(set(unnamed)) == 1:
            why = "serves_all"
        if is_shut or not choice.found or not choice.fits:
            why = "closed" if is_shut else "short" if choice.found else "unknown"
        elif wish.warehouse_id != line.warehouse_id:
            why = "held"
        lacking = 0 if why not in LACKING else max(0, sum(meet) - choice.available)
        head = (*_asked(wish), choice.warehouse_id if not lacking else "")
        others = elsewhere(free, line.variant_id, choice.warehouse_id or line.warehouse_id)
        expected.append(ExplainedLine(*head, why, line.quantity if is_shut else lacking, others, 0))
    return expected


def _known(line: Line, choice: Choice, everything: Everything) -> Choice:
    is_somewhere = not line.warehouse_id and bool(everything.get(line.variant_id))
    return choice._replace(found=True) if is_somewhere else choice


def _without_time(line: ExplainedLine) -> ExplainedLine:
    return ExplainedLine(*_asked(line), line.warehouse_id, line.why, line.short, line.alternatives, 0, line.parts)


def _is_split_so(asked: Sequence[Line], expected: Sequence[ExplainedLine], answer: Explanation, moment: Moment) -> bool:
    """Whether lines that no warehouse serves alone are told as coming from several, if there is enough."""
    served, left = True, {variant: dict(rows) for variant, rows in moment.there.items()}
    if len(answer.lines) != len(expected):
        return False
    for variant in dict.fromkeys(line.variant_id for line in asked):
        its = [(e, told) for e, told in zip(expected, answer.lines, strict=True) if e.variant_id == variant]
        whys = {e.why for e, _ in its}
        if "short" not in whys or whys & {"closed", "unknown"}:
            served = served and not whys & set(LACKING)
            if any(_without_time(told) != e for e, told in its):
                return False
            continue
        named = [Wish(variant, (e.asked_warehouse_id,) if e.asked_warehouse_id else (), e.quantity) for e, _ in its]
        wanted, there = sum(e.quantity for e, _ in its), matched(named, moment.there[variant])
        served = served and there == wanted
        for e, told in its:
            if told.alternatives != e.alternatives or _asked(told) != _asked(e):
                return False
            if there < wanted:
                if (told.why, told.short, told.warehouse_id, told.parts) != ("short", wanted - there, "", ()):
                    return False
                continue
            if told.why != "split" or sum(part.quantity for part in told.parts) != e.quantity:
                return False
            for part in told.parts:
                if e.asked_warehouse_id not in ("", part.warehouse_id):
                    return False
                left[variant][part.warehouse_id] = left[variant].get(part.warehouse_id, 0) - part.quantity
    return served == answer.fits and all(pieces >= 0 for rows in left.values() for pieces in rows.values())


def _is_foreseen(
    replay: Replay, query: ExplainBasket, line: ExplainedLine, operation: Operation, moment: Moment, lsn: int
) -> bool:
    """Whether some state since then foresaw that time; what was not known yet after a start only makes it later."""
    if line.why != "short":
        return False
    if operation.hints_since_lsn < 0:
        return True
    rows = moment.there[line.variant_id]
    if not rows:
        return False  # at that moment it was unknown, and not short
    where = line.asked_warehouse_id or min(rows, key=lambda warehouse_id: (-rows[warehouse_id], warehouse_id))
    short = [Shortage(line.variant_id, where, line.short, 0)]
    states = range(lsn, operation.high_lsn + 1)
    without = moment.latest.reservation_id if moment.latest is not None else ""
    return any(freed_at_ms(replay, query.organization_id, short, at, without) == line.frees_at_ms for at in states)

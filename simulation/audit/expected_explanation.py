"""What must be said of a basket by the state, written without `actors.explanation`."""

from collections.abc import Sequence

from actors.commands import Line
from actors.outcomes import Shortage
from actors.queries import ExplainBasket
from actors.sourcing import SourcingPolicy
from actors.views import ExplainedLine, Explanation, Why
from simulation.audit.expected import chosen, open_of
from simulation.audit.hints import freed_at_ms
from simulation.audit.history import Operation
from simulation.audit.refused_baskets import elsewhere
from simulation.audit.replay import Replay
from simulation.audit.sites import Sites

REASONS: dict[SourcingPolicy, Why] = {
    "most_stock": "has_most",
    "priority": "goes_first",
    "fewest_parcels": "fewest_parcels",
}


def is_explained(replay: Replay, query: ExplainBasket, operation: Operation, lsn: int) -> bool:
    """Whether an explanation is true of this state."""
    answer = operation.answer
    assert isinstance(answer, Explanation)
    variants = list(dict.fromkeys(line.variant_id for line in query.lines))
    everything, sites = replay.open_at(query.organization_id, variants, lsn)
    expected = _expected(query.lines, everything, sites)
    return (
        [_without_time(one) for one in answer.lines] == expected
        and answer.fits == all(line.warehouse_id for line in expected)
        and all(_is_foreseen(replay, query, one, operation, lsn) for one in answer.lines if one.frees_at_ms)
    )


def _expected(lines: Sequence[Line], everything: dict[str, dict[str, int]], sites: Sites) -> list[ExplainedLine]:
    choices = chosen(lines, everything, sites)
    free = open_of(everything, sites)
    places = [choice.warehouse_id for choice in choices]
    unnamed = [place for line, place in zip(lines, places, strict=True) if not line.warehouse_id]
    expected = []
    for line, choice in zip(lines, choices, strict=True):
        row = (line.variant_id, choice.warehouse_id)
        meet = [a.quantity for a, place in zip(lines, places, strict=True) if (a.variant_id, place) == row]
        is_shut = line.warehouse_id in sites.shut and line.warehouse_id in everything.get(line.variant_id, {})
        why: Why = "named" if line.warehouse_id else REASONS[sites.policy]
        if not line.warehouse_id and why != "goes_first" and len(unnamed) > 1 and len(set(unnamed)) == 1:
            why = "serves_all"
        if is_shut or not choice.found or not choice.fits:
            why = "closed" if is_shut else "short" if choice.found else "unknown"
        lacking = 0 if why not in ("closed", "short", "unknown") else max(0, sum(meet) - choice.available)
        head = (line.variant_id, line.warehouse_id, line.quantity, choice.warehouse_id if not lacking else "")
        others = elsewhere(free, line.variant_id, choice.warehouse_id or line.warehouse_id)
        expected.append(ExplainedLine(*head, why, line.quantity if is_shut else lacking, others, 0))
    return expected


def _without_time(line: ExplainedLine) -> ExplainedLine:
    head = (line.variant_id, line.asked_warehouse_id, line.quantity, line.warehouse_id)
    return ExplainedLine(*head, line.why, line.short, line.alternatives, 0)


def _is_foreseen(replay: Replay, query: ExplainBasket, line: ExplainedLine, operation: Operation, lsn: int) -> bool:
    """Whether some state since then foresaw that time; what was not known yet after a start only makes it later."""
    if line.why != "short":
        return False
    if operation.hints_since_lsn < 0:
        return True
    everything, sites = replay.open_at(query.organization_id, [line.variant_id], lsn)
    rows = open_of(everything, sites)[line.variant_id]
    where = line.asked_warehouse_id or min(
        rows, key=lambda warehouse_id: (-rows[warehouse_id], warehouse_id), default=""
    )
    short = [Shortage(line.variant_id, where, line.short, 0)]
    states = range(lsn, operation.high_lsn + 1)
    return any(freed_at_ms(replay, query.organization_id, short, at) == line.frees_at_ms for at in states)

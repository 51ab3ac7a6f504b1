"""What is said of counts, judged by the journal's entry or by the state that refuses them."""

from collections.abc import Sequence

from actors import bounds
from actors.commands import Adjust, Import
from actors.outcomes import ImportRejected, StockAdjusted, StockImported
from actors.records import StockKey, StockRecord, Transaction
from actors.row_changes import Levels
from simulation.audit.expected import is_counted, numbers_in, why_bad
from simulation.audit.lost_goods import shortfall_of, why_no_loss
from simulation.audit.replay import Replay
from simulation.audit.timeline import Timeline
from simulation.audit.wrong import Wrong

Rows = Timeline[StockRecord] | None


def keys_of(request: Import) -> list[StockKey]:
    """The row of each line."""
    return [StockKey(line.organization_id, line.variant_id, line.warehouse_id) for line in request.lines]


def imported_at(replay: Replay, request: Import, answer: StockImported, low: int, high: int) -> int:
    """The position of an import, which is its entry's.

    Raises:
        Wrong: the entry says something else, or not what was counted.
    """
    keys, transaction = keys_of(request), replay.transactions[high - 1]
    told = (answer.lines, answer.rows_created, answer.rows_changed, answer.rows_unchanged)
    if transaction.kind != "import" or told != _counts_of(transaction, keys):
        raise Wrong("G4", f"got {answer!r}, but the journal has {transaction!r}", high)
    # Rivals may make an organization's first row while an import is about to: then both say so.
    begun = {key.organization_id: replay.begins_at(key.organization_id) for key in keys}
    new, certain = set(answer.new_organizations), {name for name, lsn in begun.items() if lsn == high}
    if not certain <= new <= {name for name, lsn in begun.items() if lsn > low}:
        raise Wrong("G4", f"got {answer!r}, but the organizations began at {begun}", high)
    for key, line in zip(keys, request.lines, strict=True):
        if not is_counted(replay.rows[key], high, line, replay.levels):
            raise Wrong("G2", f"was applied, but {key} is not what was counted", high)
    return at_its_place(high, low)


def _counts_of(transaction: Transaction, keys: Sequence[StockKey]) -> tuple[int, int, int, int]:
    changed = {change.after.key for change in transaction.changes}
    created = sum(not change.before.exists for change in transaction.changes)
    return len(keys), created, len(changed) - created, len(set(keys) - changed)


def is_rejected(rows: Sequence[Rows], request: Import, answer: object, lsn: int, levels: Levels) -> bool:
    """Whether these lines are refused in this state, for the figures that the answer names."""
    if not isinstance(answer, ImportRejected):
        return False
    bad = [
        (line.line_number, why)
        for row, line in zip(rows, request.lines, strict=True)
        if (why := why_bad(row, lsn, line, levels))
    ]
    told = [(error.line_number, numbers_in(error.reason)) for error in answer.errors]
    return bool(bad) and (told, answer.errors_total) == (bad[: bounds.LINE_ERRORS_MAX], len(bad))


def check_loss(replay: Replay, request: Adjust, answer: StockAdjusted, lsn: int) -> None:
    """What an adjustment released is what it left without its goods, as the rows and reservations were before it.

    Raises:
        Wrong: it is not.
    """
    organization, before = request.organization_id, lsn - 1 - len(answer.released)
    expected = shortfall_of(
        request,
        lambda row: replay.row_at(StockKey(organization, *row), before),
        lambda row: replay.holders_at(StockKey(organization, *row), before),
    )
    if why := why_no_loss(request, answer, expected):
        raise Wrong("G4", f"got {answer!r}, but {why}", lsn)


def at_its_place(lsn: int, low: int) -> int:
    """The position of a change, which is its entry's.

    Raises:
        Wrong: something later was answered before it was asked.
    """
    if lsn <= low:
        raise Wrong("G4", f"happened at LSN {lsn}, before LSN {low} which was answered before it was asked", lsn)
    return lsn

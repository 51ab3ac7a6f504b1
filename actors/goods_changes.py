"""From a change of goods to changes of rows: what each command does, as one table.

Everything here is synchronous and looks at the rows once, so what it says is true of one moment. Some changes hang on
what the row has (goods that had been announced are taken from what is in transit, as far as it goes), so the caller
that prepares them asks again before the decision: see `supervisor/transactions/goods.py`.
"""

from collections.abc import Sequence
from typing import TypeVar, assert_never

from actors.bounds import INT32_MAX
from actors.commands import Adjust, Adjustment, Announce, Deduct, DeliveryLine, GoodsCommand, Line, Receive
from actors.outcomes import (
    AdjustmentCause,
    AdjustmentsRefused,
    QuantityTooLarge,
    Refused,
    RefusedAdjustment,
    TooLargeRow,
)
from actors.records import Delta, StockRecord
from actors.row_changes import Change
from actors.stock_actor import StockActor

L = TypeVar("L")


def changes_of(command: GoodsCommand, rows: Sequence[StockActor]) -> list[tuple[StockActor, Change]]:
    """What the command changes in each row, in the order in which the rows are first named.

    Args:
        rows: the row of each line.

    Raises:
        Refused: a total would exceed 2^31-1, or an adjustment is not of the row as it stands; all such rows are named.
    """
    if isinstance(command, Adjust):
        return _adjusted(command, rows)
    deltas = _deltas(command, rows)
    too_large = [
        TooLargeRow(row.key.variant_id, row.key.warehouse_id, total)
        for row, delta in deltas.items()
        if delta.total > 0 and (total := row.state.record.total + delta.total) > INT32_MAX
    ]
    if too_large:
        raise Refused(QuantityTooLarge(tuple(too_large)))
    return list(deltas.items())


def _adjusted(command: Adjust, rows: Sequence[StockActor]) -> list[tuple[StockActor, Change]]:
    """The same for adjustments. A row that was deleted meanwhile changes nothing: the caller looks for it again."""
    there = [(line, row) for line, row in zip(command.lines, rows, strict=True) if row.state.record.exists]
    wrong = [
        RefusedAdjustment(cause, row.state.record, line.pieces)
        for line, row in there
        if (cause := why_not_adjusted(line, row.state.record)) is not None
    ]
    if wrong:
        raise Refused(AdjustmentsRefused(tuple(wrong)))
    return [(row, adjusted(line, row.state.record)) for line, row in there]


def adjusted(line: Adjustment, record: StockRecord) -> Delta:
    """What an adjustment changes in its row as it stands."""
    pieces = line.pieces
    match line.kind:
        case "delta":
            return Delta(pieces)
        case "mark_damaged":
            return Delta(-pieces, 0, pieces)
        case "repair":
            return Delta(pieces, 0, -pieces)
        case "write_off_damaged":
            return Delta(0, 0, -pieces)
        case "count":
            return Delta(pieces - record.total)
        case _ as never:
            assert_never(never)


def why_not_adjusted(line: Adjustment, record: StockRecord) -> AdjustmentCause | None:
    """Why the row, as it stands, is not adjusted; None if it is."""
    delta = adjusted(line, record)
    if line.expected_total not in (None, record.total):
        return "stale"
    if record.available + delta.available < 0:
        return "below_reserved" if line.kind == "count" else "insufficient"
    if record.damaged + delta.damaged < 0:
        return "insufficient"
    return "too_large" if record.total + delta.total > INT32_MAX else None


def _deltas(command: Receive | Announce | Deduct, rows: Sequence[StockActor]) -> dict[StockActor, Delta]:
    match command:
        case Receive():
            by_row = _by_row(command.lines, rows)
            return {row: received(lines, row.state.record) for row, lines in by_row.items()}
        case Announce():
            return {row: Delta(in_transit=_pieces(lines)) for row, lines in _by_row(command.lines, rows).items()}
        case Deduct():
            return {row: Delta(available=-_pieces(lines)) for row, lines in _by_row(command.lines, rows).items()}
        case _ as never:
            assert_never(never)


def received(lines: Sequence[DeliveryLine], record: StockRecord) -> Delta:
    """What the lines of a delivery change in their row as it stands."""
    announced = sum(line.quantity + line.damaged for line in lines if line.from_in_transit)
    return Delta(
        available=sum(line.quantity for line in lines),
        damaged=sum(line.damaged for line in lines),
        in_transit=-min(announced, record.in_transit),
    )


def _by_row(lines: Sequence[L], rows: Sequence[StockActor]) -> dict[StockActor, list[L]]:
    by_row: dict[StockActor, list[L]] = {}
    for line, row in zip(lines, rows, strict=True):
        by_row.setdefault(row, []).append(line)
    return by_row


def _pieces(lines: Sequence[Line]) -> int:
    return sum(line.quantity for line in lines)

"""From a change of goods to changes of rows: what each command does, as one table.

Everything here is synchronous and looks at the rows once, so what it says is true of one moment. Some changes hang on
what the row has (goods that had been announced are taken from what is in transit, as far as it goes), so the caller
that prepares them asks again before the decision: see `supervisor/transactions/goods.py`.
"""

from collections.abc import Sequence
from typing import TypeVar, assert_never

from actors.bounds import INT32_MAX
from actors.commands import Announce, Deduct, DeliveryLine, GoodsCommand, Line, Receive
from actors.outcomes import QuantityTooLarge, Refused, TooLargeRow
from actors.records import Delta, StockRecord
from actors.row_changes import Change
from actors.stock_actor import StockActor

L = TypeVar("L")


def changes_of(command: GoodsCommand, rows: Sequence[StockActor]) -> list[tuple[StockActor, Change]]:
    """What the command changes in each row, in the order in which the rows are first named.

    Args:
        rows: the row of each line.

    Raises:
        Refused: a total would exceed 2^31-1; all such rows are named.
    """
    deltas = _deltas(command, rows)
    too_large = [
        TooLargeRow(row.key.variant_id, row.key.warehouse_id, total)
        for row, delta in deltas.items()
        if delta.total > 0 and (total := row.state.record.total + delta.total) > INT32_MAX
    ]
    if too_large:
        raise Refused(QuantityTooLarge(tuple(too_large)))
    return list(deltas.items())


def _deltas(command: GoodsCommand, rows: Sequence[StockActor]) -> dict[StockActor, Delta]:
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

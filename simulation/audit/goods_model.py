"""Changes of goods in the model of `linearizability.py`, which knows nothing of the journal or the auditor."""

from collections.abc import Callable, Sequence
from typing import Any

from actors.bounds import INT32_MAX
from actors.commands import Announce, Deduct, Delete, GoodsCommand, Receive
from actors.outcomes import (
    InsufficientStock,
    QuantityTooLarge,
    StockDeducted,
    StockDeleted,
    StockNotEmpty,
    StockNotFound,
)

Row = tuple[int, int, int, int]  # available, reserved, damaged, in transit
RowKey = tuple[str, str, str]
Rows = dict[RowKey, Row]


def rows_after(rows: Rows, request: GoodsCommand, answer: Any, is_short: Callable[[Any, Any], bool]) -> Rows | None:
    """The rows after the request if it may have been answered so; else None.

    Args:
        is_short: whether a basket is refused so.
    """
    if isinstance(answer, InsufficientStock | StockNotFound):
        return rows if isinstance(request, Deduct) and is_short(request, answer) else None
    lines = answer.lines if isinstance(answer, StockDeducted) else request.lines
    after: Rows = dict(rows)
    for line in lines:
        key = (request.organization_id, line.variant_id, line.warehouse_id)
        after[key] = _row_after(request, line, after.get(key, (0, 0, 0, 0)))
    touched = {(request.organization_id, line.variant_id, line.warehouse_id) for line in lines}
    grown = [key for key in touched if sum(after[key]) > max(INT32_MAX, sum(rows.get(key, (0,))))]
    if isinstance(answer, QuantityTooLarge):
        told = {(row.variant_id, row.warehouse_id, row.total) for row in answer.rows}
        return rows if told == {(key[1], key[2], sum(after[key])) for key in grown} and grown else None
    if grown or any(quantity < 0 for key in touched for quantity in after[key]):
        return None
    shown = [(row.record, row.is_new) for row in answer.rows]
    expected = {(*key, *after[key], key not in rows) for key in touched}
    is_so = {(*r.key, r.available, r.reserved, r.damaged, r.in_transit, new) for r, new in shown} == expected
    return after if is_so and _is_served(request.lines, lines) else None


def is_deleted_so(rows: Rows, request: Delete, answer: Any) -> bool:
    """Whether a deletion is answered so."""
    row = rows.get((request.organization_id, request.variant_id, request.warehouse_id))
    match answer:
        case StockDeleted():
            return row == (0, 0, 0, 0)
        case StockNotEmpty():
            return row == (answer.available, answer.reserved, answer.damaged, answer.in_transit) != (0, 0, 0, 0)
    return isinstance(answer, StockNotFound) and row is None


def _row_after(request: GoodsCommand, line: Any, row: Row) -> Row:
    available, reserved, damaged, transit = row
    match request:
        case Receive():
            arrived = min(line.quantity + line.damaged, transit) if line.from_in_transit else 0
            return (available + line.quantity, reserved, damaged + line.damaged, transit - arrived)
        case Announce():
            return (available, reserved, damaged, transit + line.quantity)
        case Deduct():
            return (available - line.quantity, reserved, damaged, transit)


def _is_served(asked: Sequence[Any], taken: Sequence[Any]) -> bool:
    return [line.variant_id for line in asked] == [line.variant_id for line in taken] and all(
        wish.warehouse_id in ("", line.warehouse_id) and wish.quantity == line.quantity
        for wish, line in zip(asked, taken, strict=True)
    )

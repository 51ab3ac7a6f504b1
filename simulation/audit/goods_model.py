"""Changes of goods in the model of `linearizability.py`, which knows nothing of the journal or the auditor."""

from collections.abc import Callable, Sequence
from typing import Any

from actors.bounds import INT32_MAX
from actors.commands import Adjust, Announce, Deduct, Delete, GoodsCommand, Receive
from actors.outcomes import (
    AdjustmentsRefused,
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
    if isinstance(request, Deduct) and isinstance(answer, InsufficientStock | StockNotFound):
        return rows if is_short(request, answer) else None
    if isinstance(request, Adjust):
        known = [(request.organization_id, line.variant_id, line.warehouse_id) in rows for line in request.lines]
        if isinstance(answer, StockNotFound) or not all(known):
            return rows if isinstance(answer, StockNotFound) and not all(known) else None
        if isinstance(answer, AdjustmentsRefused):
            return rows if _wrong_lines(rows, request) == [row.variant_id for row in answer.rows] else None
        if _wrong_lines(rows, request):
            return None
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


def _wrong_lines(rows: Rows, request: Adjust) -> list[str]:
    """The variants whose adjustment does not fit to their row."""
    wrong = []
    for line in request.lines:
        row = rows[request.organization_id, line.variant_id, line.warehouse_id]
        after = _row_after(request, line, row)
        is_stale = line.expected_total is not None and line.expected_total != sum(row)
        if is_stale or min(after) < 0 or sum(after) > INT32_MAX:
            wrong.append(line.variant_id)
    return wrong


def _row_after(request: GoodsCommand, line: Any, row: Row) -> Row:
    available, reserved, damaged, transit = row
    match request:
        case Receive():
            arrived = min(line.quantity + line.damaged, transit) if line.from_in_transit else 0
            return (available + line.quantity, reserved, damaged + line.damaged, transit - arrived)
        case Announce():
            return (available, reserved, damaged, transit + line.quantity)
        case Adjust():
            damaged_more = {"mark_damaged": line.pieces, "repair": -line.pieces, "write_off_damaged": -line.pieces}
            broken = damaged_more.get(line.kind, 0)
            more = {"delta": line.pieces, "count": line.pieces - sum(row), "write_off_damaged": 0}
            return (available + more.get(line.kind, -broken), reserved, damaged + broken, transit)
        case Deduct():
            return (available - line.quantity, reserved, damaged, transit)


def _is_served(asked: Sequence[Any], taken: Sequence[Any]) -> bool:
    return [line.variant_id for line in asked] == [line.variant_id for line in taken] and all(
        wish.warehouse_id in ("", line.warehouse_id) and getattr(wish, "quantity", 0) == getattr(line, "quantity", 0)
        for wish, line in zip(asked, taken, strict=True)
    )

"""Warehouses in the model of `linearizability.py`: which are closed, and what that leaves."""

from collections.abc import Collection
from typing import Any

from actors.commands import Deduct, Reserve
from actors.outcomes import StockNotFound
from actors.queries import ExplainBasket, ListWarehouses
from actors.warehouse_commands import SetLevels, UpsertWarehouse
from actors.warehouse_outcomes import LevelsDisagree, LevelsSet, WarehouseInactive, WarehouseUpserted
from simulation.audit.goods_model import RowKey, Rows

Closed = Collection[tuple[str, str]]
"""Organizations and ids of warehouses that are not active."""


def open_rows(rows: Rows, closed: Closed) -> Rows:
    """The rows from which goods may be taken."""
    return {key: row for key, row in rows.items() if (key[0], key[2]) not in closed}


def closed_lines(request: Reserve | Deduct | ExplainBasket, closed: Closed) -> set[tuple[str, str]]:
    """The lines that name what is closed."""
    there = [(line.variant_id, line.warehouse_id) for line in request.lines]
    return {line for line in there if (request.organization_id, line[1]) in closed}


def is_closed_so(request: Reserve | Deduct, answer: Any, closed: Closed) -> bool | None:
    """Whether the request is refused so for what it names; None if that is not in question."""
    named = closed_lines(request, closed)
    if not named and not isinstance(answer, WarehouseInactive):
        return None
    return (
        isinstance(answer, WarehouseInactive) and {(row.variant_id, row.warehouse_id) for row in answer.rows} == named
    )


def closed_after(closed: Closed, request: UpsertWarehouse, answer: Any) -> tuple[tuple[str, str], ...] | None:
    """What is closed after a change of a warehouse, if it is answered so."""
    key = (request.organization_id, request.warehouse_id)
    shut = key in closed if request.is_active is None else not request.is_active
    if not isinstance(answer, WarehouseUpserted) or answer.warehouse.is_active == shut:
        return None
    return tuple(sorted({*closed, key} if shut else set(closed) - {key}))


def is_listed_so(closed: Closed, request: ListWarehouses, answer: Any) -> bool:
    """Whether a list of warehouses says of each whether it is closed."""
    return all(
        one.is_active == ((one.organization_id, one.warehouse_id) not in closed)
        and (one.is_active or not request.active_only)
        for one in answer.warehouses
    )


def levels_after(
    rows: Rows, levels: dict[RowKey, tuple[int, int]], request: SetLevels, answer: Any
) -> dict[RowKey, tuple[int, int]] | None:
    """The levels after the request if it may have been answered so; else None. It knows no reorder points."""
    keys = [(request.organization_id, line.variant_id, line.warehouse_id) for line in request.lines]
    if isinstance(answer, StockNotFound) or any(key not in rows for key in keys):
        return levels if isinstance(answer, StockNotFound) and any(key not in rows for key in keys) else None
    after = dict(levels)
    for key, line in zip(keys, request.lines, strict=True):
        least, most = levels.get(key, (0, 0))
        least = least if line.min_stock is None else line.min_stock
        after[key] = (least, most if line.max_stock is None else line.max_stock)
    disagree = [key for key in keys if after[key][0] > after[key][1] > 0]
    if isinstance(answer, LevelsDisagree):
        return (
            levels if [(row.variant_id, row.warehouse_id) for row in answer.rows] == [k[1:] for k in disagree] else None
        )
    return None if disagree or not isinstance(answer, LevelsSet) else after


def are_found(rows: Rows, answer: Any) -> bool:
    """Whether rows that were found are so. It does not know which should have been: it has no reorder points."""
    records = [view.record for view in answer.stock]
    return all(rows.get(tuple(r.key)) == (r.available, r.reserved, r.damaged, r.in_transit) for r in records)

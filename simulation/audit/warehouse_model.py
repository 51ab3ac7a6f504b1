"""Warehouses in the model of `linearizability.py`: which are closed, and what that leaves."""

from collections.abc import Collection
from typing import Any

from actors.commands import Deduct, Reserve
from actors.queries import ListWarehouses
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import WarehouseInactive, WarehouseUpserted
from simulation.audit.goods_model import Rows

Closed = Collection[tuple[str, str]]
"""Organizations and ids of warehouses that are not active."""


def open_rows(rows: Rows, closed: Closed) -> Rows:
    """The rows from which goods may be taken."""
    return {key: row for key, row in rows.items() if (key[0], key[2]) not in closed}


def closed_lines(request: Reserve | Deduct, closed: Closed) -> set[tuple[str, str]]:
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

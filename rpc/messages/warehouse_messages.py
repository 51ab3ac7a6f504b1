"""Requests about warehouses become commands and queries, and their answers become messages."""

from functools import partial
from typing import Any

from stockkeeper_client.v1 import stock_pb2

from actors.queries import ListWarehouses
from actors.records import WarehouseRecord
from actors.views import WarehousePage
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import WarehouseUpserted
from rpc.messages.field_checks import change as _change
from rpc.messages.field_checks import check_id as _check_id
from rpc.messages.field_checks import check_new_id as _check_new_id
from rpc.messages.field_checks import check_note as _check_note
from rpc.messages.field_checks import page_size as _page_size
from rpc.messages.field_checks import raise_if_any as _raise_if_any
from rpc.messages.page_texts import page_text
from rpc.messages.page_tokens import TOKEN_RULE, read_warehouse_token, warehouse_token
from rpc.messages.rules import FIGURE_RULE, Violation

FIELDS = ("name", "code", "priority", "active")


def upsert_warehouse(request: stock_pb2.UpsertWarehouseRequest) -> UpsertWarehouse:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    change = _change(faults, request, _check_new_id)
    warehouse = request.warehouse
    _check_new_id(faults, "warehouse.warehouse_id", warehouse.warehouse_id)
    _check_note(faults, "warehouse.name", warehouse.name)
    _check_note(faults, "warehouse.code", warehouse.code)
    if warehouse.priority < 0:
        faults.append(Violation("warehouse.priority", FIGURE_RULE))
    _check_mask(faults, request)
    _raise_if_any(faults)
    name, code, priority, active = [_given(request, field) for field in FIELDS]
    name = warehouse.warehouse_id if name == "" else name
    warehouse_id = warehouse.warehouse_id
    return UpsertWarehouse(request.organization_id, warehouse_id, name, code, priority, active, *change)


def _check_mask(faults: list[Violation], request: stock_pb2.UpsertWarehouseRequest) -> None:
    named = list(request.update_mask.paths)
    text = f"can name {', '.join(FIELDS)}, and not "
    faults += [Violation("update_mask", f"{text}{path!r}") for path in named if path not in FIELDS]
    if "active" in named and not request.warehouse.HasField("active"):
        faults.append(Violation("warehouse.active", "must be given, since update_mask names it"))


def _given(request: stock_pb2.UpsertWarehouseRequest, field: str) -> Any:
    """What a field is set to; None if it stays. A field that the mask names and that is not given has its default."""
    named = request.update_mask.paths
    is_set = field in named if named else request.warehouse.HasField(field)
    return getattr(request.warehouse, field) if is_set else None


def list_warehouses(request: stock_pb2.ListWarehousesRequest) -> ListWarehouses:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    limit = _page_size(faults, request.page_size)
    after = ""
    if request.page_token:
        try:
            after = read_warehouse_token(request.page_token, request.organization_id)
        except ValueError:
            faults.append(Violation("page_token", TOKEN_RULE))
    _raise_if_any(faults)
    return ListWarehouses(request.organization_id, request.active_only, after, limit)


def upserted(fact: WarehouseUpserted) -> stock_pb2.UpsertWarehouseResponse:
    message = "Warehouse made" if fact.is_new else "Warehouse set"
    return stock_pb2.UpsertWarehouseResponse(message=message, warehouse=warehouse_message(fact.warehouse))


def warehouse_message(record: WarehouseRecord) -> stock_pb2.Warehouse:
    return stock_pb2.Warehouse(
        warehouse_id=record.warehouse_id,
        name=record.name,
        code=record.code,
        priority=record.priority,
        active=record.is_active,
    )


def _page(organization_id: str, page: WarehousePage) -> stock_pb2.ListWarehousesResponse:
    token = warehouse_token(organization_id, page.next_after)
    return stock_pb2.ListWarehousesResponse(
        warehouses=[warehouse_message(record) for record in page.warehouses],
        next_page_token=token,
        message=page_text(len(page.warehouses), "warehouse", token),
    )


def warehouse_page(organization_id: str) -> "partial[stock_pb2.ListWarehousesResponse]":
    """What makes a message of a page of this organization's warehouses."""
    return partial(_page, organization_id)

"""The calls about warehouses: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.protobuf import FieldMask
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.queries import ListWarehouses
from actors.records import WarehouseRecord
from actors.views import WarehousePage
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import WarehouseUpserted
from rpc.messages import warehouse_messages
from rpc.messages.page_tokens import reservation_token, warehouse_token
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio

RECORD = WarehouseRecord("org_123", "w1", "Main", "W-1", 7, False)
MESSAGE = stock_pb2.Warehouse(warehouse_id="w1", name="Main", code="W-1", priority=7, active=False)


def request(*mask: str, **given: Any) -> stock_pb2.UpsertWarehouseRequest:
    warehouse = stock_pb2.Warehouse(warehouse_id="w1", **given)
    return stock_pb2.UpsertWarehouseRequest(
        **ORG, request_id="req_1", warehouse=warehouse, update_mask=FieldMask(paths=mask), reason="why"
    )


async def test_upsert_and_list(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = WarehouseUpserted(RECORD, True)
    answer = await stock.UpsertWarehouse(request(name="Main", active=False))
    assert (answer.message, answer.warehouse) == ("Warehouse made", MESSAGE)
    fake.warehouses = WarehousePage((RECORD,), "w1")
    page = await stock.ListWarehouses(stock_pb2.ListWarehousesRequest(**ORG, active_only=True, page_size=1))
    assert (list(page.warehouses), page.next_page_token) == ([MESSAGE], warehouse_token("org_123", "w1"))
    assert page.message == "1 warehouse; more may follow"
    await stock.ListWarehouses(stock_pb2.ListWarehousesRequest(**ORG, page_token=page.next_page_token))
    assert fake.asked == [
        UpsertWarehouse("org_123", "w1", "Main", None, None, False, "req_1", "why"),
        ListWarehouses("org_123", True, "", 1),
        ListWarehouses("org_123", False, "w1", 100),
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (request(), (None, None, None, None)),
        (request(name="", code="", priority=0, active=True), ("w1", "", 0, True)),
        (request("name", name="Main", code="ignored"), ("Main", None, None, None)),
        (request("name", "code", "priority", "active", active=False), ("w1", "", 0, False)),
    ],
)
def test_what_is_given_or_named_by_the_mask_is_set(asked: stock_pb2.UpsertWarehouseRequest, given: Any) -> None:
    command = warehouse_messages.upsert_warehouse(asked)
    assert (command.name, command.code, command.priority, command.is_active) == given


def test_all_that_is_wrong_is_named() -> None:
    bad = request("active", "size", name="\n", code="x" * 513, priority=-1)
    bad.warehouse.warehouse_id = " w1"
    bad.request_id = ""
    assert fields(warehouse_messages.upsert_warehouse, bad) == [
        *("request_id", "warehouse.warehouse_id", "warehouse.name", "warehouse.code", "warehouse.priority"),
        *("update_mask", "warehouse.active"),
    ]
    for token in (reservation_token("org_123", "r"), warehouse_token("org_2", "w"), "x"):
        asked = stock_pb2.ListWarehousesRequest(page_size=1_001, page_token=token)
        assert fields(warehouse_messages.list_warehouses, asked) == ["organization_id", "page_size", "page_token"]

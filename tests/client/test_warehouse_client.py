"""The calls about warehouses through the client."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio


async def test_only_what_is_given_of_a_warehouse_is_sent(service: ScriptedService, connect: Connect) -> None:
    ledger: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}
    await connect().stock.upsert_warehouse("org_1", "w1", name="Main", active=False, **ledger)
    warehouse = stock_pb2.Warehouse(warehouse_id="w1", name="Main", active=False)
    expected = stock_pb2.UpsertWarehouseRequest(organization_id="org_1", warehouse=warehouse, **ledger)
    assert service.calls.pop().request == expected


async def test_warehouses_are_listed_page_by_page(service: ScriptedService, connect: Connect) -> None:
    pages = [[stock_pb2.Warehouse(warehouse_id=name)] for name in ("w1", "w2")]
    service.play(
        stock_pb2.ListWarehousesResponse(warehouses=pages[0], next_page_token="more"),
        stock_pb2.ListWarehousesResponse(warehouses=pages[1]),
    )
    found = connect().stock.list_warehouses("org_1", active_only=True, page_size=1)
    assert [warehouse.warehouse_id async for warehouse in found] == ["w1", "w2"]
    asked = [(call.request.active_only, call.request.page_size, call.request.page_token) for call in service.calls]
    assert asked == [(True, 1, ""), (True, 1, "more")]

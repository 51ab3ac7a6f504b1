"""The calls about levels through the client."""

from typing import Any

import pytest
from stockkeeper_client import RowLevels
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio


async def test_only_the_levels_that_are_given_are_sent(service: ScriptedService, connect: Connect) -> None:
    ledger: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}
    given: RowLevels = {"variant_id": "mug", "warehouse_id": "w1", "min_stock": 0}
    await connect().stock.set_stock_levels("org_1", [given], **ledger)
    levels = stock_pb2.StockLevels(variant_id="mug", warehouse_id="w1", min_stock=0)
    assert service.calls.pop().request == stock_pb2.SetStockLevelsRequest(
        organization_id="org_1", levels=[levels], **ledger
    )
    with pytest.raises(TypeError, match=r"levels\[0\] has an unknown key 'min'"):
        await connect().stock.set_stock_levels("org_1", [{"variant_id": "a", "warehouse_id": "b", "min": 1}])  # type: ignore[list-item]


async def test_rows_are_listed_with_their_levels_and_filters_are_sent_with_each_page(
    service: ScriptedService, connect: Connect
) -> None:
    row = inventory_pb2.StockInfo(variant_id="mug")
    levels = stock_pb2.StockLevels(variant_id="mug", reorder_point=7)
    service.play(
        stock_pb2.ListStockResponse(next_page_token="more"),
        stock_pb2.ListStockResponse(stock_info=[row], levels=[levels]),
    )
    found = connect().stock.list_stock_levels("org_1", status="low_stock", alert_level="critical", variant_prefix="m")
    assert [one async for one in found] == [(row, levels)]
    asked = [call.request for call in service.calls]
    assert [(one.status, one.alert_level, one.variant_prefix, one.page_token) for one in asked] == [
        (stock_pb2.STOCK_STATUS_LOW_STOCK, stock_pb2.ALERT_LEVEL_CRITICAL, "m", token) for token in ("", "more")
    ]

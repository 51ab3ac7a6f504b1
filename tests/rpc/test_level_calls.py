"""The calls about levels: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.queries import FindStock, ListStock
from actors.records import StockRecord
from actors.views import StockPage, StockView
from actors.warehouse_commands import LevelsLine, SetLevels
from actors.warehouse_outcomes import LevelsSet
from rpc.messages import level_messages
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio

VIEW = StockView(StockRecord("org_123", "mug", "w1", "stock_1", 12, 0, 0, 0, 3, 40, 10, 2), "Main")
ROW: Any = {"variant_id": "mug", "warehouse_id": "w1"}
LEVELS = stock_pb2.StockLevels(**ROW, min_stock=3, max_stock=40, reorder_point=10)


async def test_set_levels_and_list(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = LevelsSet((VIEW,))
    given = [stock_pb2.StockLevels(**ROW, reorder_point=0)]
    answer = await stock.SetStockLevels(stock_pb2.SetStockLevelsRequest(**ORG, request_id="r", levels=given))
    assert (list(answer.levels), answer.rows[0].max_stock, answer.rows[0].warehouse_name) == ([LEVELS], 40, "Main")
    fake.page = StockPage((VIEW,), None)
    page = await stock.ListStock(stock_pb2.ListStockRequest(**ORG, variant_prefix="m", page_size=7))
    assert list(page.levels) == [LEVELS]
    await stock.ListStock(
        stock_pb2.ListStockRequest(
            **ORG, status=stock_pb2.STOCK_STATUS_OUT_OF_STOCK, alert_level=stock_pb2.ALERT_LEVEL_WARNING
        )
    )
    assert fake.asked == [
        SetLevels("org_123", (LevelsLine("mug", "w1", None, None, 0),), "r"),
        ListStock("org_123", limit=7, variant_prefix="m"),
        FindStock("org_123", "out_of_stock", "warning"),
    ]


def test_all_that_is_wrong_is_named() -> None:
    lines = [
        stock_pb2.StockLevels(variant_id="mug", warehouse_id="\n", min_stock=-1),
        stock_pb2.StockLevels(variant_id="", warehouse_id="w1"),
        stock_pb2.StockLevels(**ROW, min_stock=5, max_stock=4),
        stock_pb2.StockLevels(**ROW, min_stock=5, max_stock=0),
    ]
    bad = stock_pb2.SetStockLevelsRequest(**ORG, request_id="r", levels=lines)
    assert fields(level_messages.set_stock_levels, bad) == [
        *("levels[0].warehouse_id", "levels[0].min_stock", "levels[1].variant_id", "levels[1]"),
        *("levels[2].min_stock", "levels[3]"),
    ]
    for count in (0, 1_001):
        many = stock_pb2.SetStockLevelsRequest(**ORG, request_id="r", levels=[LEVELS] * count)
        assert fields(level_messages.set_stock_levels, many) == ["levels"]
    listing = stock_pb2.ListStockRequest(**ORG, variant_prefix="\n", status=9, alert_level=-1)  # type: ignore[arg-type]
    assert fields(level_messages.list_stock, listing) == ["variant_prefix", "status", "alert_level"]

"""The calls that move goods, over a real socket before a fake inventory, also behind a link."""

import pytest
from msgspec.structs import replace
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import Adjust, Adjustment, Announce, Deduct, Delete, DeliveryLine, Line, Receive
from actors.outcomes import MovedRow, StockAdjusted, StockAnnounced, StockDeducted, StockDeleted, StockReceived
from actors.records import StockRecord
from actors.shortfall import Uncovered
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server

pytestmark = pytest.mark.anyio

A_ROW = MovedRow(StockRecord("org_123", "var_789", "wh_101", "stock_1", 12, version=2), "Main")


async def test_receive(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = StockReceived((A_ROW,))
    line = stock_pb2.ReceivedLine(variant_id="var_789", warehouse_id="wh_101", quantity=5)
    request = stock_pb2.ReceiveStockRequest(**ORG, request_id="req_1", lines=[line], reason="purchase")
    assert (await stock.ReceiveStock(request)).rows[0].available_quantity == 12
    assert fake.asked == [Receive("org_123", (DeliveryLine("var_789", "wh_101", 5),), "req_1", "purchase")]


async def test_announce_and_deduct(stock: StockServiceStub, fake: FakeInventory) -> None:
    lines = [stock_pb2.GoodsLine(variant_id="var_789", warehouse_id="wh_101", quantity=5)]
    fake.outcome = StockAnnounced((A_ROW,))
    await stock.AnnounceStock(stock_pb2.AnnounceStockRequest(**ORG, request_id="req_1", lines=lines))
    fake.outcome = StockDeducted((A_ROW,), ())
    await stock.DeductStock(stock_pb2.DeductStockRequest(**ORG, request_id="req_2", lines=lines, reference="till"))
    line = Line("var_789", "wh_101", 5)
    assert fake.asked == [
        Announce("org_123", (line,), "req_1"),
        Deduct("org_123", (line,), "req_2", "", "till"),
    ]


async def test_delete(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = StockDeleted("stock_1")
    request = stock_pb2.DeleteStockRequest(
        **ORG, request_id="req_1", variant_id="mug", warehouse_id="w1", reason="typo"
    )
    assert (await stock.DeleteStock(request)).message == "Stock row deleted"
    assert fake.asked == [Delete("org_123", "mug", "w1", "req_1", "typo")]


async def test_adjust(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = StockAdjusted((A_ROW,))
    line = stock_pb2.Adjustment(variant_id="mug", warehouse_id="w1", count=stock_pb2.Count(counted_total=3))
    request = stock_pb2.AdjustStockRequest(**ORG, request_id="req_1", adjustments=[line], reason="stocktake")
    answer = await stock.AdjustStock(request)
    assert (answer.message, answer.rows[0].available_quantity) == ("Stock adjusted", 12)
    counted = Adjust("org_123", (Adjustment("mug", "w1", "count", 3),), "req_1", "stocktake")
    assert fake.asked == [counted]
    lacks = Uncovered("res_1", "order_7", "mug", "w1", 2)
    fake.outcome = StockAdjusted((A_ROW,), ("res_1",), (lacks, Uncovered("res_1", "order_7", "pot", "w1", 1)))
    request.release_uncovered = True
    answer = await stock.AdjustStock(request)
    assert (answer.message, list(answer.released)) == ("Stock adjusted; 1 reservation was released", ["res_1"])
    assert answer.shortfall[0] == stock_pb2.Shortfall(
        reservation_id="res_1", order_id="order_7", variant_id="mug", warehouse_id="w1", pieces=2
    )
    assert fake.asked[1:] == [replace(counted, release_uncovered=True)]

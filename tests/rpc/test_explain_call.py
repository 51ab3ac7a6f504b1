"""ExplainReservation: over a real socket before a fake inventory, and what is refused at the door."""

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import Line
from actors.outcomes import Alternative
from actors.queries import ExplainBasket
from actors.views import ExplainedLine, ExplainedPart, Explanation
from rpc.messages import explanation_messages
from tests.rpc.fake_inventory import AT_MS, FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio


async def test_explain(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.view = Explanation(
        False,
        (
            ExplainedLine("mug", "", 2, "w1", "has_most", 0, (), 0),
            ExplainedLine("pot", "w1", 3, "", "short", 1, (Alternative("w2", 5),), AT_MS),
        ),
    )
    items = [
        stock_pb2.GoodsLine(variant_id="mug", quantity=2),
        stock_pb2.GoodsLine(variant_id="pot", warehouse_id="w1", quantity=3),
    ]
    answer = await stock.ExplainReservation(stock_pb2.ExplainReservationRequest(**ORG, items=items))
    first, second = answer.lines
    assert (answer.fits, answer.message) == (False, "It could not be reserved now")
    assert [(one.warehouse_id, one.quantity) for one in first.chosen] == [("w1", 2)]
    assert (first.why, first.frees_at, list(second.chosen)) == ("It has the most", "", [])
    assert (second.short, second.alternatives[0].available) == (1, 5)
    assert (second.why, second.frees_at) == ("Too few are available", "2026-01-31T12:00:00.123Z")
    assert fake.asked == [ExplainBasket("org_123", (Line("mug", "", 2), Line("pot", "w1", 3)))]


async def test_explain_for_an_order_and_split(stock: StockServiceStub, fake: FakeInventory) -> None:
    parts = (ExplainedPart("w1", 4), ExplainedPart("w2", 2))
    lines = (
        ExplainedLine("mug", "", 6, "w1", "split", 0, (), 0, parts),
        ExplainedLine("pot", "", 1, "w3", "held", 0, (), 0),
    )
    fake.view = Explanation(True, lines)
    items = [stock_pb2.GoodsLine(variant_id="mug", quantity=6), stock_pb2.GoodsLine(variant_id="pot", quantity=1)]
    request = stock_pb2.ExplainReservationRequest(**ORG, items=items, order_id="o1", allow_split=True)
    answer = await stock.ExplainReservation(request)
    chosen = [[(one.warehouse_id, one.quantity) for one in line.chosen] for line in answer.lines]
    assert (answer.fits, chosen) == (True, [[("w1", 4), ("w2", 2)], [("w3", 1)]])
    assert [line.why for line in answer.lines] == ["No warehouse has enough alone", "The order has it there already"]
    assert fake.asked == [ExplainBasket("org_123", (Line("mug", "", 6), Line("pot", "", 1)), "o1", True)]


def test_all_that_is_wrong_is_named() -> None:
    bad = stock_pb2.ExplainReservationRequest(order_id="\n", items=[stock_pb2.GoodsLine(warehouse_id="\n")])
    assert fields(explanation_messages.explain, bad) == [
        *("organization_id", "order_id", "items[0].variant_id", "items[0].warehouse_id", "items[0].quantity"),
    ]

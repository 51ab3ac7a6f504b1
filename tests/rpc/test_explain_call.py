"""ExplainReservation: over a real socket before a fake inventory, and what is refused at the door."""

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import Line
from actors.outcomes import Alternative
from actors.queries import ExplainBasket
from actors.views import ExplainedLine, Explanation
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


def test_all_that_is_wrong_is_named() -> None:
    bad = stock_pb2.ExplainReservationRequest(items=[stock_pb2.GoodsLine(warehouse_id="\n")])
    assert fields(explanation_messages.explain, bad) == [
        *("organization_id", "items[0].variant_id", "items[0].warehouse_id", "items[0].quantity"),
    ]

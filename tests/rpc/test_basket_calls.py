"""Reserve: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.basket_commands import ReserveBasket, Short, Wish
from actors.outcomes import BasketReserved
from rpc.messages.basket_messages import basket_reserved, reserve_basket
from rpc.messages.responses import reservation
from tests.rpc.fake_inventory import FakeInventory, a_reservation
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio


def request(*items: stock_pb2.BasketItem, **given: Any) -> stock_pb2.ReserveRequest:
    names = {**ORG, "order_id": "order_1", "request_id": "req_1"}
    return stock_pb2.ReserveRequest(**names | given, items=items)


def item(variant: str = "mug", *warehouses: str, quantity: int = 1) -> stock_pb2.BasketItem:
    return stock_pb2.BasketItem(variant_id=variant, warehouse_ids=warehouses, quantity=quantity)


async def test_a_basket_is_reserved_and_what_is_short_is_told(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = BasketReserved(a_reservation(), (Short("mug", 5, 3), Short("pot", 1, 0)))
    asked = request(
        item("mug", "w2", "w1", quantity=5), item("pot"), allow_split=True, allow_partial=True, reason="why"
    )
    answer = await stock.Reserve(asked)
    assert (answer.message, answer.reservation) == (
        "Stock reserved in part; 3 pieces are short",
        reservation(a_reservation()),
    )
    assert [(one.variant_id, one.requested, one.reserved) for one in answer.short] == [("mug", 5, 3), ("pot", 1, 0)]
    wishes = (Wish("mug", ("w2", "w1"), 5), Wish("pot", (), 1))
    assert fake.asked == [ReserveBasket("org_123", "order_1", wishes, 15, True, True, "req_1", "why")]


def test_one_piece_is_one_and_none_is_none() -> None:
    assert basket_reserved(BasketReserved(a_reservation(), (Short("mug", 5, 4),))).message.endswith("1 piece is short")
    assert basket_reserved(BasketReserved(a_reservation())).message == "Stock reserved"


def test_all_that_is_wrong_is_named() -> None:
    bad = request(item("", "w1", "\n", "w1", quantity=0), ttl_minutes=-1, order_id="", request_id="", reason="\n")
    assert fields(reserve_basket, bad) == [
        *("request_id", "reason", "order_id", "items[0].variant_id", "items[0].quantity"),
        *("items[0].warehouse_ids[1]", "items[0].warehouse_ids", "ttl_minutes"),
    ]
    assert fields(reserve_basket, request()) == ["items"]
    assert fields(reserve_basket, request(*[item()] * 1_001)) == ["items"]
    assert fields(reserve_basket, request(*[item("mug", *[f"w{n}" for n in range(501)])] * 2)) == ["items"]
    assert fields(reserve_basket, request(item(quantity=2**31 - 1), item())) == ["items"]

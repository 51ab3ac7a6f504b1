"""The calls about reservations that were made, over a real socket before a fake inventory, also behind a link."""

from typing import Any

import grpc.aio
import pytest
from msgspec.structs import replace
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2, stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import Amend, Extend, Fulfill, Line, Reacquire
from actors.outcomes import (
    MoreThanReserved,
    Refused,
    RefusedShipment,
    ReservationAmended,
    ReservationExtended,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReacquired,
    ShippedAlready,
    UnaskedShipment,
)
from actors.queries import GetReservation
from actors.records import ReservationRecord
from actors.views import ReservationFound
from rpc.messages import reservation_answers, responses
from tests.rpc.fake_inventory import AT_MS, FakeInventory, a_reservation
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server

pytestmark = pytest.mark.anyio


def shipped(record: ReservationRecord, *pieces: int) -> ReservationRecord:
    items = [replace(item, fulfilled=number) for item, number in zip(record.items, pieces, strict=True)]
    return replace(record, items=tuple(items))


async def test_fulfill_in_part(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationFulfilled(shipped(a_reservation("confirmed"), 1, 0), 1, 1, AT_MS)
    line = stock_pb2.GoodsLine(variant_id="var_789", quantity=1)
    request = stock_pb2.FulfillReservationRequest(
        **ORG, request_id="req_1", reservation_id="res_1", lines=[line], close=True, reason="parcel"
    )
    answer = await stock.FulfillReservation(request)
    assert fake.asked == [Fulfill("org_123", "res_1", "req_1", "", "parcel", (Line("var_789", "", 1),), True)]
    assert answer.message == "Reservation fulfilled in part; 2 pieces are still reserved"
    assert (answer.items_fulfilled, answer.total_quantity_fulfilled) == (1, 1)
    assert answer.fulfilled_at == "2026-01-31T12:00:00.123Z"
    [item] = answer.reservation.fulfilled
    assert (item.reservation_item_id, item.variant_id, item.warehouse_id, item.quantity) == (
        *("res_1.1", "var_789", "wh_101", 1),
    )
    assert [item.quantity for item in answer.reservation.items] == [2, 1]


async def test_more_than_is_reserved_is_told_row_by_row(stock: StockServiceStub, fake: FakeInventory) -> None:
    rows = (RefusedShipment("var_789", "wh_101", 5, 2), RefusedShipment("cup", "", 1, 0))
    fake.outcome = Refused(MoreThanReserved("res_1", rows))
    request = stock_pb2.FulfillReservationRequest(**ORG, request_id="r", reservation_id="res_1")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stock.FulfillReservation(request)
    details: Any = error_details(refused.value)
    assert details.reason == "MORE_THAN_RESERVED"
    assert [(it.type, it.subject, it.description) for it in details.precondition_violations] == [
        ("MORE_THAN_RESERVED", "var_789@wh_101", "requested 5, reserved 2"),
        ("MORE_THAN_RESERVED", "cup", "requested 1, reserved 0"),
    ]


async def test_extend(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationExtended(a_reservation())
    request = stock_pb2.ExtendReservationRequest(**ORG, request_id="req_1", reservation_id="res_1", ttl_minutes=30)
    answer = await stock.ExtendReservation(request)
    assert answer.message == "Reservation is held until 2026-01-31T12:15:00.123Z"
    assert answer.reservation.expires_at == "2026-01-31T12:15:00.123Z"
    assert fake.asked == [Extend("org_123", "res_1", 30, "req_1")]


async def test_amend(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationAmended(a_reservation())
    items = [inventory_pb2.ReservationItem(variant_id="var_789", quantity=2)]
    request = stock_pb2.AmendReservationRequest(**ORG, request_id="req_1", reservation_id="res_1", items=items)
    answer = await stock.AmendReservation(request)
    assert (answer.message, answer.reservation.state) == ("Reservation amended", "active")
    assert fake.asked == [Amend("org_123", "res_1", (Line("var_789", "", 2),), "req_1")]
    fake.outcome = ReservationAmended(a_reservation("fulfilled"))
    assert "all of it was shipped before" in (await stock.AmendReservation(request)).message
    fake.outcome = Refused(ShippedAlready("res_1", (UnaskedShipment("var_789", "wh_101", 2, 1),)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stock.AmendReservation(request)
    details: Any = error_details(refused.value)
    assert details.reason == "RESERVATION_PARTLY_FULFILLED"
    assert [it.description for it in details.precondition_violations] == ["shipped 2, requested 1"]


async def test_reacquire(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationReacquired(a_reservation())
    request = stock_pb2.ReacquireReservationRequest(**ORG, request_id="req_1", reservation_id="res_1", ttl_minutes=5)
    answer = await stock.ReacquireReservation(request)
    assert (answer.message, answer.reservation.reservation_id) == ("Reservation taken again", "res_1")
    assert fake.asked == [Reacquire("org_123", "res_1", 5, "req_1")]
    fake.outcome = ReservationReacquired(a_reservation(), True)
    assert "nothing was taken" in (await stock.ReacquireReservation(request)).message


async def test_get_reservation(stock: StockServiceStub, fake: FakeInventory) -> None:
    request = stock_pb2.GetReservationRequest(**ORG, reservation_id="res_1")
    fake.found = ReservationFound(shipped(a_reservation("fulfilled"), 2, 1))
    answer = await stock.GetReservation(request)
    assert (answer.reservation.state, [item.quantity for item in answer.reservation.fulfilled]) == ("fulfilled", [2, 1])
    assert answer.message == "Reservation is fulfilled"
    assert fake.asked == [GetReservation("org_123", "res_1")]
    fake.found = Refused(ReservationNotFound("res_1"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stock.GetReservation(request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_details(refused.value).reason == "RESERVATION_NOT_FOUND"


def test_an_answer_of_before_there_were_parts_is_given_as_it_was() -> None:
    answer = reservation_answers.fulfilled(ReservationFulfilled(a_reservation("fulfilled")))
    assert (answer.items_fulfilled, answer.total_quantity_fulfilled) == (2, 3)
    assert answer.fulfilled_at == "2026-01-31T12:00:02.123Z"
    assert [item.quantity for item in answer.reservation.fulfilled] == [2, 1]


def test_a_repeated_reservation_that_was_extended_is_told_until_when() -> None:
    record = replace(a_reservation(), expires_at_ms=AT_MS + 1_000_000)
    assert responses._reserved_text(record, 15) == (
        "Stock was reserved before; its time limit was not changed and ends at 2026-01-31T12:16:40.123Z"
    )

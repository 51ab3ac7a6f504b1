"""What is asked of reservations that were made: what is taken, and everything that is wrong with the rest."""

import pytest
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from actors.commands import Amend, Extend, Fulfill, Line, Reacquire
from actors.queries import GetReservation
from rpc.messages import reservation_requests
from tests.rpc.test_validation import BAD_CHANGE, CHANGE, OF_CHANGE, ORG, fields


def test_fulfill() -> None:
    request = stock_pb2.FulfillReservationRequest(**ORG, request_id="req_1", reservation_id="res_1", reference="s_1")
    assert reservation_requests.fulfill(request) == Fulfill("org_123", "res_1", "req_1", "s_1")
    request.lines.add(variant_id="mug", quantity=2)
    request.close = True
    whole = Fulfill("org_123", "res_1", "req_1", "s_1", "", (Line("mug", "", 2),), True)
    assert reservation_requests.fulfill(request) == whole
    bad = stock_pb2.FulfillReservationRequest(reference="\0", reason="\0", lines=[stock_pb2.GoodsLine()])
    assert fields(reservation_requests.fulfill, bad) == [
        *OF_CHANGE,
        *("reservation_id", "lines[0].variant_id", "lines[0].quantity"),
    ]
    many = stock_pb2.FulfillReservationRequest(
        **ORG, request_id="r", reservation_id="r", lines=[stock_pb2.GoodsLine(variant_id="v", quantity=1)] * 1_001
    )
    assert fields(reservation_requests.fulfill, many) == ["lines"]


def test_extend() -> None:
    request = stock_pb2.ExtendReservationRequest(**CHANGE, reservation_id="res_1", ttl_minutes=30)
    assert reservation_requests.extend(request) == Extend("org_123", "res_1", 30, "req_1", "purchase", "po_7")
    assert (
        reservation_requests.extend(stock_pb2.ExtendReservationRequest(**CHANGE, reservation_id="r")).ttl_minutes == 15
    )
    for ttl_minutes in (-1, 44_641):
        bad = stock_pb2.ExtendReservationRequest(**BAD_CHANGE, ttl_minutes=ttl_minutes)
        assert fields(reservation_requests.extend, bad) == [*OF_CHANGE, "reservation_id", "ttl_minutes"]


def test_get_reservation() -> None:
    request = stock_pb2.GetReservationRequest(**ORG, reservation_id="res_1")
    assert reservation_requests.get_reservation(request) == GetReservation("org_123", "res_1")
    bad = stock_pb2.GetReservationRequest(reservation_id="x" * 129)
    assert fields(reservation_requests.get_reservation, bad) == ["organization_id", "reservation_id"]


def test_amend() -> None:
    items = [inventory_pb2.ReservationItem(variant_id="mug", warehouse_id="w1", quantity=2)]
    request = stock_pb2.AmendReservationRequest(**CHANGE, reservation_id="res_1", items=items)
    lines = (Line("mug", "w1", 2),)
    assert reservation_requests.amend(request) == Amend("org_123", "res_1", lines, "req_1", "purchase", "po_7")
    bad = stock_pb2.AmendReservationRequest(**BAD_CHANGE, items=[inventory_pb2.ReservationItem(quantity=-1)])
    assert fields(reservation_requests.amend, bad) == [
        *OF_CHANGE,
        *("reservation_id", "items[0].variant_id", "items[0].quantity"),
    ]
    empty = stock_pb2.AmendReservationRequest(**CHANGE, reservation_id="res_1")
    assert fields(reservation_requests.amend, empty) == ["items"]


def test_reacquire() -> None:
    request = stock_pb2.ReacquireReservationRequest(**CHANGE, reservation_id="res_1")
    assert reservation_requests.reacquire(request) == Reacquire("org_123", "res_1", 15, "req_1", "purchase", "po_7")
    bad = stock_pb2.ReacquireReservationRequest(**BAD_CHANGE, ttl_minutes=-1)
    assert fields(reservation_requests.reacquire, bad) == [*OF_CHANGE, "reservation_id", "ttl_minutes"]


def test_list_reservations_by_what_they_hold_and_when_they_were_made() -> None:
    request = stock_pb2.ListReservationsRequest(**ORG, variant_id="mug", warehouse_id="w1")
    request.created_after = "2026-01-31T12:00:00Z"
    request.created_before = "2026-01-31T14:00:00.250+01:00"
    query = reservation_requests.list_reservations(request)
    assert (query.variant_id, query.warehouse_id) == ("mug", "w1")
    assert (query.created_after_ms, query.created_before_ms) == (1_769_860_800_000, 1_769_864_400_250)
    assert query.is_sifted
    assert not reservation_requests.list_reservations(stock_pb2.ListReservationsRequest(**ORG)).is_sifted


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-13-31T12:00:00Z", "1969-01-01T00:00:00Z", "٢" * 20]
)
def test_what_is_no_time_is_called_so(text: str) -> None:
    request = stock_pb2.ListReservationsRequest(**ORG, created_after=text, created_before=text)
    assert fields(reservation_requests.list_reservations, request) == ["created_after", "created_before"]

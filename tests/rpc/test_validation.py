"""Requests become commands; what breaks a rule is named by its field, all of it at once."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2

from actors.bounds import INT32_MAX, TTL_MINUTES_MAX
from actors.commands import (
    Adjust,
    Adjustment,
    Announce,
    Confirm,
    Deduct,
    Delete,
    DeliveryLine,
    Line,
    Receive,
    Release,
    Reserve,
)
from actors.queries import CheckBasket, GetStock
from actors.records import StockKey
from rpc.messages import level_messages, reservation_requests, validation
from rpc.messages.page_tokens import reservation_token, stock_token
from rpc.messages.rules import ID_RULE, Invalid, is_id, is_new_id, is_note

ORG: Any = {"organization_id": "org_123"}
INT32_MIN = -(2**31)


def item(variant_id: str = "var_789", warehouse_id: str = "", quantity: int = 1) -> pb.ReservationItem:
    return pb.ReservationItem(variant_id=variant_id, warehouse_id=warehouse_id, quantity=quantity)


def order(*items: pb.ReservationItem, ttl_minutes: int = 0, **ids: str) -> pb.ReserveStockRequest:
    return pb.ReserveStockRequest(**{**ORG, "order_id": "order_456", **ids}, items=items, ttl_minutes=ttl_minutes)


def fields(function: Callable[..., object], *arguments: object) -> list[str]:
    with pytest.raises(Invalid) as raised:
        function(*arguments)
    return [violation.field for violation in raised.value.violations]


def test_an_order_becomes_a_command() -> None:
    request = order(item("var_789", "wh_101", 2), item("var_456"), ttl_minutes=30)
    lines = (Line("var_789", "wh_101", 2), Line("var_456", "", 1))
    assert validation.reserve(request, ()) == Reserve("org_123", "order_456", lines, 30)


def test_the_idempotency_key_is_taken_from_the_metadata() -> None:
    metadata = (("user-agent", "x"), ("idempotency-key", "key_1"), ("other-bin", b"\0"))
    assert validation.reserve(order(item()), metadata).request_id == "key_1"


@pytest.mark.parametrize(
    "metadata",
    [
        (("idempotency-key", ""),),
        (("idempotency-key", "a" * 129),),
        (("idempotency-key", "a\tb"),),
        (("idempotency-key", "a"), ("idempotency-key", "a")),
        (("idempotency-key", b"a"),),
    ],
)
def test_a_bad_idempotency_key_is_refused(metadata: Any) -> None:
    assert fields(validation.reserve, order(item()), metadata) == ["idempotency-key"]


@pytest.mark.parametrize(("given_minutes", "minutes"), [(0, 15), (1, 1), (TTL_MINUTES_MAX, TTL_MINUTES_MAX)])
def test_the_time_limit_has_a_default(given_minutes: int, minutes: int) -> None:
    assert validation.reserve(order(item(), ttl_minutes=given_minutes), ()).ttl_minutes == minutes


@pytest.mark.parametrize("minutes", [-1, INT32_MIN, TTL_MINUTES_MAX + 1, INT32_MAX])
def test_a_time_limit_out_of_range_is_refused(minutes: int) -> None:
    assert fields(validation.reserve, order(item(), ttl_minutes=minutes), ()) == ["ttl_minutes"]


@pytest.mark.parametrize("quantity", [0, -1, INT32_MIN])
def test_an_order_of_nothing_is_refused(quantity: int) -> None:
    assert fields(validation.reserve, order(item(), item(quantity=quantity)), ()) == ["items[1].quantity"]


def test_the_largest_quantity_is_taken() -> None:
    assert validation.reserve(order(item(quantity=INT32_MAX)), ()).lines[0].quantity == INT32_MAX


def test_quantities_that_overflow_together_are_refused() -> None:
    assert fields(validation.reserve, order(item(quantity=INT32_MAX), item("other")), ()) == ["items"]
    assert validation.reserve(order(item(quantity=INT32_MAX - 1), item("other")), ())


@pytest.mark.parametrize("count", [0, 1_001, 5_000])
def test_an_order_has_1_to_1000_lines(count: int) -> None:
    assert fields(validation.reserve, order(*[item()] * count), ()) == ["items"]
    assert len(validation.reserve(order(*[item()] * 1_000), ()).lines) == 1_000


def test_every_violation_is_named() -> None:
    request = order(
        item("", "w\n", 0), item(), item("v" * 129, "ok", -5), organization_id="", order_id="o\x7f", ttl_minutes=-1
    )
    assert fields(validation.reserve, request, (("idempotency-key", ""),)) == [
        "organization_id",
        "order_id",
        "items[0].variant_id",
        "items[0].warehouse_id",
        "items[0].quantity",
        "items[2].variant_id",
        "items[2].quantity",
        "ttl_minutes",
        "idempotency-key",
    ]


@pytest.mark.parametrize("text", ["a", "x" * 128, "ñ" * 128, "😀" * 128, "a b", " ", "a\u200db", "a\u00a0b", "\ue000"])
def test_ids_may_have_any_characters_but_control_characters(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a\0", "\x1f", "\x7f", "\x85", "a\nb", "\ud800"])
def test_bad_ids_are_refused(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("order_id", ["order-1 ", " order-1", "order\u200b-1", "\ufeff"])
def test_reserve_stock_takes_any_order_id_that_its_contract_allows(order_id: str) -> None:
    """A caller that has used one must get its reservation when it asks again."""
    item = pb.ReservationItem(variant_id="mug", quantity=1)
    request = pb.ReserveStockRequest(organization_id="shop", order_id=order_id, items=[item])
    assert validation.reserve(request, ()).order_id == order_id


@pytest.mark.parametrize("text", ["mug", "a b", "ñandú", "茶", "é", "😀", "x" * 128])
def test_a_row_may_be_made_under_an_id_that_is_seen_as_it_is(text: str) -> None:
    assert is_new_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", " mug", "mug ", "mug\u00a0", "mu\u00a0g", "mug\u200b", "mu\u200dg", "\ufeffmug", "mug\u2060"),
        *("mu\u00adg", "mug\ufe0f", "mug\u3164", "mug\u2800", "mug\u034f", "mug\u2028", "mug\U000e0101", "mug\u202e"),
        *("mug\n", "x" * 129),
    ],
)
def test_no_row_is_made_under_an_id_that_looks_like_another(text: str) -> None:
    assert not is_new_id(text)
    for field in ("organization_id", "lines[0].variant_id", "lines[0].warehouse_id"):
        for kind, line, check in (
            (stock_pb2.ReceiveStockRequest, stock_pb2.ReceivedLine, validation.receive),
            (stock_pb2.AnnounceStockRequest, stock_pb2.GoodsLine, validation.announce),
        ):
            request: Any = kind(organization_id="org_1", request_id="r")
            request.lines.append(line(variant_id="mug", warehouse_id="w1", quantity=1))
            setattr(request.lines[0] if "." in field else request, field.rpartition(".")[2], text)
            assert fields(check, request) == [field]


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128))
def test_text_without_control_characters_is_an_id(text: str) -> None:
    assert is_id(text)
    assert is_note(text)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.text(max_size=60), st.sampled_from([chr(code) for code in [*range(32), *range(127, 160)]]), st.text(max_size=60)
)
def test_one_control_character_spoils_an_id_and_a_note(before: str, control: str, after: str) -> None:
    assert not is_id(before + control + after)
    assert not is_note(before + control + after)


def test_notes_may_be_empty_and_have_512_characters() -> None:
    assert is_note("")
    assert is_note("é" * 512)
    assert not is_note("é" * 513)


def test_confirm() -> None:
    ids = {**ORG, "reservation_id": "res_1", "order_id": "order_456"}
    assert validation.confirm(pb.ConfirmReservationRequest(**ids)) == Confirm("org_123", "res_1", "order_456")
    assert fields(validation.confirm, pb.ConfirmReservationRequest()) == [
        "organization_id",
        "reservation_id",
        "order_id",
    ]
    key = (("idempotency-key", "key_1"),)
    assert validation.confirm(pb.ConfirmReservationRequest(**ids), key).request_id == "key_1"
    assert fields(validation.confirm, pb.ConfirmReservationRequest(**ids), key * 2) == ["idempotency-key"]


def test_release() -> None:
    request = pb.ReleaseReservationRequest(**ORG, reservation_id="res_1", reason="payment_failed")
    assert validation.release(request) == Release("org_123", "res_1", "payment_failed")
    key = (("idempotency-key", "key_1"),)
    assert validation.release(request, key).request_id == "key_1"
    assert fields(validation.release, request, key * 2) == ["idempotency-key"]
    bad = pb.ReleaseReservationRequest(reason="r" * 513)
    assert fields(validation.release, bad) == ["organization_id", "reservation_id", "reason"]


def test_a_check_may_ask_for_nothing_but_not_for_less() -> None:
    request = pb.CheckAvailabilityRequest(**ORG, variant_id="var_789")
    assert validation.check_availability(request) == CheckBasket("org_123", (Line("var_789", "", 0),))
    request.quantity = -1
    assert fields(validation.check_availability, request) == ["quantity"]


def test_a_bulk_check_has_the_rules_of_an_order_but_for_the_quantity_0() -> None:
    items = [pb.AvailabilityItem(variant_id="var_789"), pb.AvailabilityItem(variant_id="", quantity=-1)]
    assert validation.check_bulk_availability(pb.CheckBulkAvailabilityRequest(**ORG, items=items[:1])) == CheckBasket(
        "org_123", (Line("var_789", "", 0),)
    )
    bad = pb.CheckBulkAvailabilityRequest(**ORG, items=items)
    assert fields(validation.check_bulk_availability, bad) == ["items[1].variant_id", "items[1].quantity"]
    assert fields(validation.check_bulk_availability, pb.CheckBulkAvailabilityRequest(**ORG)) == ["items"]


def test_stock_info() -> None:
    asked = validation.stock_info(pb.GetStockInfoRequest(**ORG, variant_id="var_789"))
    assert asked == GetStock("org_123", "var_789")
    bad = pb.GetStockInfoRequest(warehouse_id="\n")
    assert fields(validation.stock_info, bad) == ["organization_id", "variant_id", "warehouse_id"]


CHANGE: Any = {**ORG, "request_id": "req_1", "reason": "purchase", "reference": "po_7"}
BAD_CHANGE: Any = {"reason": "\0", "reference": "r" * 513}
OF_CHANGE = ["organization_id", "request_id", "reason", "reference"]
ROW: Any = {"variant_id": "var_789", "warehouse_id": "wh_101"}


def test_receive() -> None:
    good = stock_pb2.ReceivedLine(**ROW, quantity=5, damaged_quantity=1, from_in_transit=True)
    damaged = stock_pb2.ReceivedLine(**ROW, damaged_quantity=2)
    assert validation.receive(stock_pb2.ReceiveStockRequest(**CHANGE, lines=[good, damaged])) == Receive(
        "org_123",
        (DeliveryLine("var_789", "wh_101", 5, 1, True), DeliveryLine("var_789", "wh_101", 0, 2)),
        "req_1",
        "purchase",
        "po_7",
    )
    bad = [
        stock_pb2.ReceivedLine(),
        stock_pb2.ReceivedLine(variant_id="v ", warehouse_id="w", quantity=-1, damaged_quantity=-1),
    ]
    assert fields(validation.receive, stock_pb2.ReceiveStockRequest(**BAD_CHANGE, lines=bad)) == [
        *OF_CHANGE,
        *("lines[0].variant_id", "lines[0].warehouse_id", "lines[0].quantity"),
        *("lines[1].variant_id", "lines[1].quantity", "lines[1].damaged_quantity"),
    ]
    large = [stock_pb2.ReceivedLine(**ROW, quantity=INT32_MAX), stock_pb2.ReceivedLine(**ROW, damaged_quantity=1)]
    for lines in ([], [good] * 1_001, large):
        assert fields(validation.receive, stock_pb2.ReceiveStockRequest(**CHANGE, lines=lines)) == ["lines"]
    assert len(validation.receive(stock_pb2.ReceiveStockRequest(**CHANGE, lines=[good] * 1_000)).lines) == 1_000


def test_announce() -> None:
    line = stock_pb2.GoodsLine(**ROW, quantity=5)
    assert validation.announce(stock_pb2.AnnounceStockRequest(**CHANGE, lines=[line])) == Announce(
        "org_123", (Line("var_789", "wh_101", 5),), "req_1", "purchase", "po_7"
    )
    bad = stock_pb2.AnnounceStockRequest(**BAD_CHANGE, lines=[stock_pb2.GoodsLine(variant_id="v ")])
    assert fields(validation.announce, bad) == [
        *OF_CHANGE,
        *("lines[0].variant_id", "lines[0].warehouse_id", "lines[0].quantity"),
    ]
    for lines in ([], [line] * 1_001, [stock_pb2.GoodsLine(**ROW, quantity=INT32_MAX), line]):
        assert fields(validation.announce, stock_pb2.AnnounceStockRequest(**CHANGE, lines=lines)) == ["lines"]


def test_deduct() -> None:
    line = stock_pb2.GoodsLine(variant_id="var_789", quantity=5)
    assert validation.deduct(stock_pb2.DeductStockRequest(**CHANGE, lines=[line])) == Deduct(
        "org_123", (Line("var_789", "", 5),), "req_1", "purchase", "po_7"
    )
    old = stock_pb2.GoodsLine(variant_id="made under an older rule ", quantity=1)
    assert validation.deduct(stock_pb2.DeductStockRequest(**CHANGE, lines=[old])).lines[0].variant_id.endswith(" ")
    bad = stock_pb2.DeductStockRequest(**BAD_CHANGE, lines=[stock_pb2.GoodsLine(warehouse_id="\n", quantity=-1)])
    assert fields(validation.deduct, bad) == [
        *OF_CHANGE,
        *("lines[0].variant_id", "lines[0].warehouse_id", "lines[0].quantity"),
    ]
    for lines in ([], [line] * 1_001, [stock_pb2.GoodsLine(**ROW, quantity=INT32_MAX), line]):
        assert fields(validation.deduct, stock_pb2.DeductStockRequest(**CHANGE, lines=lines)) == ["lines"]


def test_adjust() -> None:
    count = stock_pb2.Count(counted_total=0, expected_total=0)
    lines = [
        stock_pb2.Adjustment(**ROW, delta=-2),
        stock_pb2.Adjustment(variant_id="a", warehouse_id="w", mark_damaged=1),
        stock_pb2.Adjustment(variant_id="b", warehouse_id="w", count=count),
        stock_pb2.Adjustment(variant_id="c", warehouse_id="w", count=stock_pb2.Count(counted_total=3)),
    ]
    assert validation.adjust(stock_pb2.AdjustStockRequest(**CHANGE, adjustments=lines)) == Adjust(
        "org_123",
        (
            Adjustment("var_789", "wh_101", "delta", -2),
            Adjustment("a", "w", "mark_damaged", 1),
            Adjustment("b", "w", "count", 0, 0),
            Adjustment("c", "w", "count", 3),
        ),
        "req_1",
        "purchase",
        "po_7",
    )
    lost = stock_pb2.AdjustStockRequest(**CHANGE, adjustments=lines[1:2], release_uncovered=True)
    assert validation.adjust(lost) == Adjust(
        *("org_123", (Adjustment("a", "w", "mark_damaged", 1),), "req_1", "purchase", "po_7"), release_uncovered=True
    )
    wrong = stock_pb2.Count(counted_total=-1, expected_total=-1)
    bad = [
        stock_pb2.Adjustment(**ROW),
        stock_pb2.Adjustment(**ROW, delta=0),
        stock_pb2.Adjustment(variant_id="a", warehouse_id="w", delta=INT32_MIN),
        stock_pb2.Adjustment(variant_id="b", warehouse_id="w", repair=0),
        stock_pb2.Adjustment(warehouse_id="w", count=wrong),
    ]
    assert fields(validation.adjust, stock_pb2.AdjustStockRequest(**BAD_CHANGE, adjustments=bad)) == [
        *OF_CHANGE,
        *("adjustments[0].change", "adjustments[1]", "adjustments[1].delta", "adjustments[2].delta"),
        *("adjustments[3].repair", "adjustments[4].variant_id", "adjustments[4].count.counted_total"),
        "adjustments[4].count.expected_total",
    ]
    for some in ([], [stock_pb2.Adjustment(variant_id=str(n), warehouse_id="w", delta=1) for n in range(1_001)]):
        assert fields(validation.adjust, stock_pb2.AdjustStockRequest(**CHANGE, adjustments=some)) == ["adjustments"]


def test_delete() -> None:
    assert validation.delete(stock_pb2.DeleteStockRequest(**CHANGE, **ROW)) == Delete(
        "org_123", "var_789", "wh_101", "req_1", "purchase", "po_7"
    )
    bad = stock_pb2.DeleteStockRequest(**BAD_CHANGE)
    assert fields(validation.delete, bad) == [*OF_CHANGE, "variant_id", "warehouse_id"]


@pytest.mark.parametrize(("page_size", "limit"), [(0, 100), (1, 1), (1_000, 1_000)])
def test_pages_have_a_default_size(page_size: int, limit: int) -> None:
    assert level_messages.list_stock(stock_pb2.ListStockRequest(**ORG, page_size=page_size)).limit == limit
    assert (
        reservation_requests.list_reservations(stock_pb2.ListReservationsRequest(**ORG, page_size=page_size)).limit
        == limit
    )


def test_a_list_of_stock_goes_on_where_the_last_page_ended() -> None:
    key = StockKey("org_123", "var_789", "wh_101")
    request = stock_pb2.ListStockRequest(**ORG, variant_id="var_789", page_token=stock_token(key))
    query = level_messages.list_stock(request)
    assert (query.variant_id, query.warehouse_id, query.after) == ("var_789", "", key)


def test_a_list_of_reservations_goes_on_where_the_last_page_ended() -> None:
    token = reservation_token("org_123", "res_7")
    query = reservation_requests.list_reservations(
        stock_pb2.ListReservationsRequest(**ORG, state="expired", page_token=token)
    )
    assert (query.state, query.order_id, query.before) == ("expired", "", "res_7")
    assert reservation_requests.list_reservations(stock_pb2.ListReservationsRequest(**ORG)).state is None


def test_everything_wrong_with_a_list_is_named() -> None:
    stock_list = stock_pb2.ListStockRequest(variant_id="\n", warehouse_id="\n", page_size=-1, page_token="?")
    assert fields(level_messages.list_stock, stock_list) == [
        "organization_id",
        "variant_id",
        "warehouse_id",
        "page_size",
        "page_token",
    ]
    reservation_list = stock_pb2.ListReservationsRequest(order_id="\n", state="lost", page_size=1_001, page_token="?")
    assert fields(reservation_requests.list_reservations, reservation_list) == [
        "organization_id",
        "order_id",
        "state",
        "page_size",
        "page_token",
    ]


def test_the_rule_is_in_words() -> None:
    with pytest.raises(Invalid) as raised:
        validation.stock_info(pb.GetStockInfoRequest(**ORG))
    assert raised.value.violations[0].description == ID_RULE

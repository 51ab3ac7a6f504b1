"""Bytes become messages, or `Invalid`; never much memory and never another exception."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stockkeeper_client.v1.inventory_pb2 import ReservationItem, ReserveStockRequest
from stockkeeper_client.v1.stock_pb2 import ImportLine, ImportStockRequest

from actors.bounds import IMPORT_LINES_MAX
from rpc.messages.parsing import FIELDS_MAX, count_fields, parse
from rpc.messages.rules import Invalid


def test_a_message_is_parsed() -> None:
    request = ReserveStockRequest(order_id="order_456", items=[ReservationItem(variant_id="var_789", quantity=2)])
    assert parse(ReserveStockRequest, request.SerializeToString()) == request


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff", b"\x0a\x01\xff", b"\x80" * 11, b"\x0b", b"\x07"])
def test_what_is_no_message_is_called_so(raw: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        parse(ReserveStockRequest, raw)
    assert raised.value.reason == "MALFORMED_REQUEST"
    assert raised.value.violations[0].description == "The request is not a valid ReserveStockRequest message"


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=300))
@example(b"\x80" * 200)
def test_any_bytes_are_parsed_or_invalid_and_can_be_counted(raw: bytes) -> None:
    assert 0 <= count_fields(raw, 1_000) <= 300
    with suppress(Invalid):
        parse(ReserveStockRequest, raw)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.sampled_from(["items", "order_id", "ttl_minutes"])))
def test_fields_are_counted(names: list[str]) -> None:
    raw = b"".join(
        {"items": b"\x1a\x02\x18\x05", "order_id": b"\x12\x03abc", "ttl_minutes": b"\x20\x81\x01"}[it] for it in names
    )
    assert count_fields(raw, 1_000) == len(names)


def test_fixed_width_fields_are_skipped() -> None:
    assert count_fields(b"\x31" + b"\xff" * 8 + b"\x35" + b"\xff" * 4 + b"\x20\x01", 10) == 3


def test_counting_ends_at_its_maximum() -> None:
    assert count_fields(b"\x20\x01" * 100, 7) == 7


@pytest.mark.parametrize("field", [b"\x12\x00", b"\x0b\x0c", b"\x20\x01"])
def test_a_message_of_millions_of_fields_is_not_parsed(field: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        parse(ImportStockRequest, field * 5_000_000)
    assert raised.value.reason == "REQUEST_TOO_LARGE"


def test_the_largest_import_fits_into_one_message() -> None:
    assert IMPORT_LINES_MAX < FIELDS_MAX
    line = ImportLine(organization_id="org_123", variant_id="var_789", warehouse_id="wh_101", total_quantity=5)
    raw = ImportStockRequest(request_id="req_1", lines=[line] * IMPORT_LINES_MAX).SerializeToString()
    assert len(parse(ImportStockRequest, raw).lines) == IMPORT_LINES_MAX


def test_a_varint_without_end_is_not_read_to_its_end() -> None:
    assert count_fields(b"\x80" * 50_000_000, FIELDS_MAX) == 0

"""Bytes become messages, or `Invalid`; never much memory and never another exception."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stockkeeper_client.v1.inventory_pb2 import ReservationItem, ReserveStockRequest
from stockkeeper_client.v1.stock_pb2 import ImportLine, ImportStockRequest
from stockkeeper_client.v1.stream_pb2 import ReserveStockRequests

from actors.bounds import ID_CHARACTERS_MAX, IMPORT_MESSAGE_LINES_MAX, LINES_MAX
from rpc.messages.parsing import (
    CALL_FIELDS_MAX,
    PART_FIELDS,
    STREAM_FIELDS_MAX,
    UNCOUNTED_BYTES_MAX,
    count_fields,
    parse,
    parse_in_turns,
)
from rpc.messages.rules import Invalid

pytestmark = pytest.mark.anyio


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
    assert 0 <= count_fields(raw, 1_000, {}) <= 300
    with suppress(Invalid):
        parse(ReserveStockRequest, raw)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.sampled_from(["items", "order_id", "ttl_minutes"])))
def test_fields_are_counted(names: list[str]) -> None:
    raw = b"".join(
        {"items": b"\x1a\x02\x18\x05", "order_id": b"\x12\x03abc", "ttl_minutes": b"\x20\x81\x01"}[it] for it in names
    )
    assert count_fields(raw, 1_000, {}) == len(names)


def test_fixed_width_fields_are_skipped() -> None:
    assert count_fields(b"\x31" + b"\xff" * 8 + b"\x35" + b"\xff" * 4 + b"\x20\x01", 10, {}) == 3


def test_counting_ends_at_its_maximum() -> None:
    assert count_fields(b"\x20\x01" * 100, 7, {}) == 7


@pytest.mark.parametrize("field", [b"\x12\x00", b"\x0b\x0c", b"\x20\x01"])
async def test_a_message_of_millions_of_fields_is_not_parsed(field: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        parse(ReserveStockRequest, field * 5_000_000)
    assert raised.value.reason == "REQUEST_TOO_LARGE"
    with pytest.raises(Invalid) as raised:
        await parse_in_turns(ImportStockRequest, field * 5_000_000, 1)
    assert raised.value.reason == "REQUEST_TOO_LARGE"


def test_the_fields_of_lines_count_too() -> None:
    line = b"\x20\x01" * (CALL_FIELDS_MAX // 4)  # of no field that a line has
    raw = (b"\x1a" + _length(line) + line) * 20
    assert len(raw) > UNCOUNTED_BYTES_MAX
    with pytest.raises(Invalid) as raised:
        parse(ReserveStockRequest, raw)
    assert raised.value.reason == "REQUEST_TOO_LARGE"


def test_a_text_is_no_message() -> None:
    request = ReserveStockRequest(
        order_id="v" * 10 * CALL_FIELDS_MAX, items=[ReservationItem(variant_id="v" * 100_000)]
    )
    assert parse(ReserveStockRequest, request.SerializeToString()) == request


def test_the_largest_reservation_is_parsed() -> None:
    ids = {"variant_id": "v" * ID_CHARACTERS_MAX, "warehouse_id": "w" * ID_CHARACTERS_MAX}
    request = ReserveStockRequest(
        organization_id="o" * ID_CHARACTERS_MAX,
        order_id="o" * ID_CHARACTERS_MAX,
        items=[ReservationItem(**ids, quantity=2**31 - 1)] * LINES_MAX,
        ttl_minutes=44_640,
    )
    raw = request.SerializeToString()
    assert len(raw) > UNCOUNTED_BYTES_MAX
    assert parse(ReserveStockRequest, raw) == request


async def test_a_very_large_import_fits_into_one_message() -> None:
    line = ImportLine(organization_id="org_123", variant_id="var_789", warehouse_id="wh_101", total_quantity=5)
    request = ImportStockRequest(
        request_id="req_1", lines=[line] * IMPORT_MESSAGE_LINES_MAX, lines_total=IMPORT_MESSAGE_LINES_MAX
    )
    assert await parse_in_turns(ImportStockRequest, request.SerializeToString(), 1) == request


async def test_a_large_message_is_parsed_in_many_turns() -> None:
    line = ImportLine(organization_id="org_123", variant_id="var_789", warehouse_id="wh_101", total_quantity=5)
    raw = ImportStockRequest(request_id="req_1", lines=[line] * 20_000).SerializeToString()
    turns = 0
    parsing = asyncio.ensure_future(parse_in_turns(ImportStockRequest, raw, 1))
    while not parsing.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(parsing.result().lines) == 20_000
    assert turns >= 20_000 / PART_FIELDS


@pytest.mark.parametrize("broken", [b"\xff", b"\x0a\xff", b"\x12\x05\x0a\x03"])
async def test_a_large_message_that_is_broken_is_called_so_wherever_it_breaks(broken: bytes) -> None:
    line = ImportLine(organization_id="org_123", variant_id="var_789", warehouse_id="wh_101", total_quantity=5)
    raw = ImportStockRequest(lines=[line] * 5_000).SerializeToString()
    for whole in (raw + broken, broken + raw):
        with pytest.raises(Invalid) as raised:
            await parse_in_turns(ImportStockRequest, whole, 1)
        assert raised.value.reason == "MALFORMED_REQUEST"


async def test_one_entry_of_a_message_has_no_more_fields_than_a_call_may_have() -> None:
    entry = b"\x20\x01" * (CALL_FIELDS_MAX + 1)
    raw = (b"\x0a" + _length(entry) + entry) * 5
    with pytest.raises(Invalid) as raised:
        await parse_in_turns(ReserveStockRequests, raw, 3)
    assert raised.value.reason == "REQUEST_TOO_LARGE"


def test_a_varint_without_end_is_not_read_to_its_end() -> None:
    assert count_fields(b"\x80" * 50_000_000, STREAM_FIELDS_MAX, {}) == 0


def _length(raw: bytes) -> bytes:
    """As a varint of three bytes."""
    return bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7 & 0x7F | 0x80, len(raw) >> 14])

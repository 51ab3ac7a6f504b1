"""Whatever is sent, the answer is a clear status, the log has no traceback, and the next call is served."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2  # noqa: F401 - its descriptor is looked up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from actors.commands import Line
from actors.queries import CheckBasket
from rpc.messages.descriptors import find_service
from rpc.rpc_server import RpcServer
from rpc.service_names import HEALTH, INVENTORY, REFLECTION_V1ALPHA, STOCK
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.transport.answers import call_by_hand

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode
MEGABYTE = 1024 * 1024
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
QUESTION = pb.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")
RESERVE = f"/{INVENTORY}/ReserveStock"

METHODS = {
    f"/{service}/{method.name}": method
    for service in (INVENTORY, STOCK, HEALTH, REFLECTION_V1ALPHA)
    for method in find_service(service).methods
}


@pytest.fixture(autouse=True)
async def quiet(
    server: RpcServer,
    channel: grpc.aio.Channel,
    events: list[Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> AsyncIterator[None]:
    """After each test: the server still serves, and nothing was told of but in one line each."""
    caplog.set_level(logging.INFO)
    yield
    assert (await InventoryServiceStub(channel).GetStockInfo(QUESTION, wait_for_ready=True)).stock_info
    gc.collect()  # tasks whose exception was never read are reported when they are collected
    records = [*caplog.get_records("call"), *caplog.records]
    assert not [record for record in records if record.exc_info and record.exc_info[0]]
    assert not [record for record in records if "Traceback" in record.getMessage()]
    assert not [event for event in events if "exc_info" in event]
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out


async def send(channel: Any, path: str | bytes, raw: bytes, **options: Any) -> tuple[StatusCode, str]:
    """One message, as a stream where the method takes one; then what became of it."""
    method = METHODS.get(path) if isinstance(path, str) else None
    client_streams = method is not None and method.client_streaming
    server_streams = method is not None and method.server_streaming
    if server_streams:
        multi = channel.stream_stream(path) if client_streams else channel.unary_stream(path)
        call = multi(iter([raw]) if client_streams else raw, timeout=10, **options)
    else:
        unary = channel.stream_unary(path) if client_streams else channel.unary_unary(path)
        call = unary(iter([raw]) if client_streams else raw, timeout=10, **options)
    try:
        if server_streams:
            while await call.read() is not grpc.aio.EOF:
                if not client_streams:
                    call.cancel()  # a watch has no end of its own
                    return StatusCode.OK, ""
        else:
            await call
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.INVALID_ARGUMENT and not error_details(error).reason:
            pytest.fail("an INVALID_ARGUMENT without a reason")
        return error.code(), error.details() or ""
    return await call.code(), await call.details()


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize(
    "raw", [b"\xff" * 40, b"\x0a\x02\xff\xff", b"\x80" * 20, b"<html>", b"\x0a\xff\xff\xff\xff\x0f"]
)
async def test_bytes_that_are_no_message_are_called_so(channel: grpc.aio.Channel, path: str, raw: bytes) -> None:
    message = METHODS[path].input_type.name
    if message == "HealthListRequest" and raw == b"\x0a\x02\xff\xff":
        return  # it has no fields, so that this is a good message of one unknown field
    code, text = await send(channel, path, raw)
    assert (code, text) == (StatusCode.INVALID_ARGUMENT, f"The request is not a valid {message} message")


@pytest.mark.parametrize("path", METHODS)
async def test_an_empty_message_is_answered(channel: grpc.aio.Channel, path: str) -> None:
    code, _ = await send(channel, path, b"")
    takes_anything = path.startswith((f"/{HEALTH}/", f"/{REFLECTION_V1ALPHA}/"))
    assert code is (StatusCode.OK if takes_anything else StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("path", ["/", "/x", f"/{INVENTORY}/", f"/{INVENTORY}/DropStock", f"/{INVENTORY}/ñ", "/a/b/c"])
async def test_unknown_methods_are_not_implemented(channel: grpc.aio.Channel, path: str) -> None:
    code, _ = await send(channel, path, b"")
    assert code is StatusCode.UNIMPLEMENTED


@pytest.mark.long_turns("gRPC reads 60 MB in one turn")
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("path", [RESERVE, f"/{STOCK}/ImportStock"])
async def test_a_message_of_60_megabytes_is_too_large(
    channel: grpc.aio.Channel, path: str, compression: grpc.Compression
) -> None:
    code, text = await send(channel, path, b"\x0a" * (60 * MEGABYTE), compression=compression)
    assert code is StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in text


async def test_a_message_of_millions_of_lines_is_refused_unread(channel: grpc.aio.Channel) -> None:
    code, text = await send(channel, RESERVE, b"\x1a\x00" * (20 * MEGABYTE))
    assert (code, text) == (StatusCode.INVALID_ARGUMENT, "The request has more than 10000 fields")


@pytest.mark.parametrize(
    "text", ["", "x" * 129, "x" * MEGABYTE, "a\0b", "\n", "\x7f", "\u0085", "😀" * 129], ids=lambda text: repr(text[:9])
)
async def test_bad_ids_are_invalid_wherever_they_stand(channel: grpc.aio.Channel, text: str) -> None:
    ids: dict[str, Any] = {"organization_id": text, "variant_id": text, "warehouse_id": text or "\n"}
    ids_of_row: dict[str, Any] = {"variant_id": text, "warehouse_id": text or "\n"}
    requests = {
        RESERVE: pb.ReserveStockRequest(
            organization_id=text, order_id=text, items=[pb.ReservationItem(variant_id=text, quantity=1)]
        ),
        f"/{INVENTORY}/ConfirmReservation": pb.ConfirmReservationRequest(organization_id=text, reservation_id=text),
        f"/{INVENTORY}/ReleaseReservation": pb.ReleaseReservationRequest(organization_id=text, reservation_id=text),
        f"/{INVENTORY}/CheckAvailability": pb.CheckAvailabilityRequest(**ids),
        f"/{INVENTORY}/CheckBulkAvailability": pb.CheckBulkAvailabilityRequest(organization_id=text),
        f"/{INVENTORY}/GetStockInfo": pb.GetStockInfoRequest(**ids),
        f"/{STOCK}/ExportStock": stock_pb2.ExportStockRequest(organization_id=text),
        f"/{STOCK}/ListMovements": stock_pb2.ListMovementsRequest(organization_id=text),
        f"/{STOCK}/GetStockAt": stock_pb2.GetStockAtRequest(organization_id=text, variant_id=text),
        f"/{STOCK}/WatchChanges": stock_pb2.WatchChangesRequest(organization_id=text),
        f"/{STOCK}/ReceiveStock": stock_pb2.ReceiveStockRequest(
            organization_id=text, request_id=text, lines=[stock_pb2.ReceivedLine(**ids_of_row)]
        ),
        f"/{STOCK}/AnnounceStock": stock_pb2.AnnounceStockRequest(
            organization_id=text, request_id=text, lines=[stock_pb2.GoodsLine(**ids_of_row)]
        ),
        f"/{STOCK}/DeductStock": stock_pb2.DeductStockRequest(
            organization_id=text, request_id=text, lines=[stock_pb2.GoodsLine(**ids_of_row)]
        ),
        f"/{STOCK}/AdjustStock": stock_pb2.AdjustStockRequest(
            organization_id=text, request_id=text, adjustments=[stock_pb2.Adjustment(**ids_of_row, delta=1)]
        ),
        f"/{STOCK}/DeleteStock": stock_pb2.DeleteStockRequest(**ids, request_id=text),
        f"/{STOCK}/SetStockLevels": stock_pb2.SetStockLevelsRequest(
            organization_id=text, request_id=text, levels=[stock_pb2.StockLevels(**ids_of_row, min_stock=1)]
        ),
        f"/{STOCK}/ExplainReservation": stock_pb2.ExplainReservationRequest(organization_id=text),
        f"/{STOCK}/ShipTransfer": stock_pb2.ShipTransferRequest(organization_id=text, request_id=text),
        f"/{STOCK}/ReceiveTransfer": stock_pb2.ReceiveTransferRequest(organization_id=text, transfer_id=text),
        f"/{STOCK}/CancelTransfer": stock_pb2.CancelTransferRequest(organization_id=text, transfer_id=text),
        f"/{STOCK}/GetTransfer": stock_pb2.GetTransferRequest(organization_id=text, transfer_id=text),
        f"/{STOCK}/ListTransfers": stock_pb2.ListTransfersRequest(organization_id=text),
        f"/{STOCK}/UpsertWarehouse": stock_pb2.UpsertWarehouseRequest(organization_id=text, request_id=text),
        f"/{STOCK}/ListWarehouses": stock_pb2.ListWarehousesRequest(organization_id=text),
        f"/{STOCK}/Reserve": stock_pb2.ReserveRequest(organization_id=text, request_id=text, order_id=text),
        f"/{STOCK}/SetSourcingPolicy": stock_pb2.SetSourcingPolicyRequest(organization_id=text, request_id=text),
        f"/{STOCK}/GetSourcingPolicy": stock_pb2.GetSourcingPolicyRequest(organization_id=text),
        f"/{STOCK}/FulfillReservation": stock_pb2.FulfillReservationRequest(organization_id=text, request_id=text),
        f"/{STOCK}/ExtendReservation": stock_pb2.ExtendReservationRequest(organization_id=text, request_id=text),
        f"/{STOCK}/AmendReservation": stock_pb2.AmendReservationRequest(organization_id=text, request_id=text),
        f"/{STOCK}/ReacquireReservation": stock_pb2.ReacquireReservationRequest(organization_id=text, request_id=text),
        f"/{STOCK}/GetReservation": stock_pb2.GetReservationRequest(organization_id=text, reservation_id=text),
        f"/{STOCK}/ListStock": stock_pb2.ListStockRequest(**ids),
        f"/{STOCK}/ListReservations": stock_pb2.ListReservationsRequest(organization_id=text, page_token=text),
        f"/{STOCK}/ImportStock": stock_pb2.ImportStockRequest(request_id="r", lines=[stock_pb2.ImportLine(**ids)]),
    }
    assert requests.keys() == {path for path in METHODS if path.startswith((f"/{INVENTORY}/", f"/{STOCK}/"))}
    for path, request in requests.items():
        code, _ = await send(channel, path, request.SerializeToString())
        assert code is StatusCode.INVALID_ARGUMENT, path


@pytest.mark.parametrize("quantity", [INT32_MIN, -1, 0, INT32_MAX])
@pytest.mark.parametrize("ttl_minutes", [INT32_MIN, -1, INT32_MAX])
async def test_the_edges_of_int32_are_invalid(channel: grpc.aio.Channel, quantity: int, ttl_minutes: int) -> None:
    items = [pb.ReservationItem(variant_id="var_789", quantity=quantity)] * 2
    request = pb.ReserveStockRequest(organization_id="o", order_id="o", items=items, ttl_minutes=ttl_minutes)
    code, _ = await send(channel, RESERVE, request.SerializeToString())
    assert code is StatusCode.INVALID_ARGUMENT


async def test_a_quantity_beyond_int32_is_what_protobuf_makes_of_it(
    channel: grpc.aio.Channel, fake: FakeInventory
) -> None:
    # Parsers cut a longer varint to 32 bits: 2^32 + 5 arrives as 5, for any server.
    raw = (
        pb.CheckAvailabilityRequest(organization_id="o", variant_id="v").SerializeToString()
        + b"\x20\x85\x80\x80\x80\x10"
    )
    assert (await send(channel, f"/{INVENTORY}/CheckAvailability", raw))[0] is StatusCode.OK
    assert fake.asked == [CheckBasket("o", (Line("v", "", 5),))]


async def test_three_thousand_violations_fit_into_a_status(channel: grpc.aio.Channel) -> None:
    items = [pb.ReservationItem(variant_id="\n", warehouse_id="\n", quantity=-1)] * 1_000
    request = pb.ReserveStockRequest(organization_id="o", order_id="o", items=items)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await InventoryServiceStub(channel).ReserveStock(request)
    details = error_details(raised.value)
    assert details.metadata["violations_total"] == "3000"
    assert len(details.field_violations) > 20


async def test_a_stream_without_a_message_is_invalid(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.stream_unary(f"/{STOCK}/ImportStock")(iter(()))
    assert raised.value.code() is StatusCode.INVALID_ARGUMENT


async def test_a_bad_message_late_in_a_stream_is_called_so(channel: grpc.aio.Channel, fake: FakeInventory) -> None:
    good = stock_pb2.ImportStockRequest(request_id="req_1").SerializeToString()
    upload: Any = channel.stream_unary(f"/{STOCK}/ImportStock")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await upload(iter([good, b"\xff"]))
    assert raised.value.details() == "The request is not a valid ImportStockRequest message"
    assert not fake.asked


@pytest.mark.parametrize("transport", ["core"], indirect=True)
async def test_a_path_that_is_not_utf8_is_a_method_that_is_not_known(channel: grpc.aio.Channel) -> None:
    """It ends the accept loop of grpc.aio's server: see `tests/rpc/transport/test_aio_transport.py`."""
    for _ in range(2):
        assert (await send(channel, b"/\xff\xfe", b""))[0] is StatusCode.UNIMPLEMENTED
    assert (await InventoryServiceStub(channel).GetStockInfo(QUESTION)).stock_info


@pytest.mark.parametrize("value", [b"a\xffb", b"a\x00b", b"\xc3\x28"])
async def test_metadata_that_is_not_text_is_invalid_or_a_key_like_others(server: RpcServer, value: bytes) -> None:
    """Sent by hand: gRPC's own clients refuse to."""
    reader, writer = await asyncio.open_connection(*server.addresses[0])
    writer.write(call_by_hand(RESERVE.encode(), b"", more={b"idempotency-key": value}))
    answer = b""
    while b"grpc-status" not in answer:
        read = await reader.read(4_096)
        assert read
        answer += read
    assert b"INVALID_REQUEST" in answer or b"grpc-status\x013" in answer
    writer.close()
    await writer.wait_closed()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(sorted(METHODS)), raw=st.binary(max_size=120))
async def test_any_bytes_get_a_status(channel: grpc.aio.Channel, path: str, raw: bytes) -> None:
    code, _ = await send(channel, path, raw)
    expected = {StatusCode.INVALID_ARGUMENT, StatusCode.OK, StatusCode.NOT_FOUND}
    assert code in expected, (path, raw)

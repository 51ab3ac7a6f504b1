"""The contract of both transports, first part: calls as callers make them, over a real socket."""

import asyncio
import gc
from typing import Any

import grpc.aio
import pytest
from google.rpc.status_pb2 import Status
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from actors.reply import Reply
from rpc.messages.rules import Invalid, Violation
from rpc.network_bounds import DEFAULT_BOUNDS
from rpc.rpc_server import RpcServer
from rpc.service_names import HEALTH, INVENTORY, STOCK
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.transport.answers import (
    END_STREAM,
    QUESTION,
    RESERVATION,
    Answers,
    call_by_hand,
    code_of,
    listening,
    until,
)

CHANNELS = DEFAULT_BOUNDS.connections_an_address_max - 1

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode


# ---- what callers send ----------------------------------------------------------------------------------------------


async def test_a_call_without_a_message_is_invalid(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="There was no request in the call") as raised:
        await channel.stream_unary(f"/{INVENTORY}/ReserveStock")(iter(()))
    assert raised.value.code() is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("path", [f"/{INVENTORY}/ReserveStock", f"/{STOCK}/ImportStock"])
async def test_a_message_that_is_too_long_is_called_so(
    channel: Any, inventory: InventoryServiceStub, fake: FakeInventory, path: str
) -> None:
    raw = b"\x0a" * (MESSAGE_BYTES_MAX + 1)
    assert await code_of(channel.stream_unary(path)(iter([raw]))) is StatusCode.RESOURCE_EXHAUSTED
    assert not fake.asked
    assert (await inventory.ReserveStock(RESERVATION)).reservation_id


@pytest.mark.long_turns("gRPC hands over 50 MB in one turn")
async def test_the_longest_message_arrives_whole(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        variant_id = "v" * (MESSAGE_BYTES_MAX - 100)
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(str(served.address), options=options) as channel:
            answer = await InventoryServiceStub(channel).GetStockInfo(pb.GetStockInfoRequest(variant_id=variant_id))
        assert answer.stock_info[0].variant_id == variant_id


async def test_a_compressed_request_is_read(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    request = pb.ReserveStockRequest(organization_id="o", order_id="x" * 100, items=RESERVATION.items)
    assert (await inventory.ReserveStock(request, compression=grpc.Compression.Gzip)).reservation_id
    [command] = fake.asked
    assert command.order_id == request.order_id  # type: ignore[attr-defined]


async def test_metadata_reaches_the_servicer_as_it_was_sent(transport: TransportName) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        sent = (("a-text", "one"), ("a-text", "two"), ("some-bin", b"\xff\x00"))
        await served.inventory.GetStockInfo(QUESTION, metadata=sent)
        assert [(key, value) for key, value in answers.metadata if key in ("a-text", "some-bin")] == [*sent]


@pytest.mark.parametrize("value", [b"a\xffb", b"\xc3\x28"])
async def test_metadata_that_is_not_utf8_harms_no_call(
    transport: TransportName, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        reader, writer = await asyncio.open_connection(*served.address)
        path = f"/{INVENTORY}/GetStockInfo".encode()
        writer.write(call_by_hand(path, QUESTION.SerializeToString(), more={b"a-text": value}))
        answer = b""
        while b"grpc-status" not in answer:
            answer += await asyncio.wait_for(reader.read(4_096), 10)
        assert (
            dict(answers.metadata)["a-text"] == value.decode("latin-1")
            if isinstance(dict(answers.metadata)["a-text"], str)
            else value
        )
        writer.close()
        await writer.wait_closed()
    assert not [record for record in caplog.records if record.exc_info]


async def test_an_error_has_its_details_in_the_trailers(inventory: InventoryServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await inventory.ReserveStock(pb.ReserveStockRequest())
    trailers = dict(raised.value.trailing_metadata())
    status = Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (StatusCode.INVALID_ARGUMENT.value[0], raised.value.details())


async def test_a_burst_over_several_connections_is_answered_one_and_all(transport: TransportName) -> None:
    """The core by itself drops calls when more than 1,000 wait for the loop."""
    async with listening(Answers(), transport) as served:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        channels = [grpc.aio.insecure_channel(str(served.address), options=options) for _ in range(CHANNELS)]
        stubs = [InventoryServiceStub(channel) for channel in channels]
        names = [f"var_{number}" for number in range(3_000)]
        calls = [
            stubs[place % CHANNELS].GetStockInfo(pb.GetStockInfoRequest(variant_id=n)) for place, n in enumerate(names)
        ]
        assert [(await call).stock_info[0].variant_id for call in calls] == names
        await until(lambda: not served.calls())
        assert served.frame.calls.under_way == 0
        assert served.listener.statistics().calls_begun == 3_000
        for channel in channels:
            await channel.close()


# ---- callers that are gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout_s", [0.8, None])  # the call has to arrive before; from 1 s on it would be slow
@pytest.mark.parametrize("answer", [Reply.set, Reply.fail])
async def test_a_reply_that_comes_too_late_does_no_harm(
    transport: TransportName, timeout_s: float | None, answer: Any, events: list[Any]
) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        call = served.inventory.ReserveStock(RESERVATION, timeout=timeout_s)
        asyncio.ensure_future(code_of(call)).add_done_callback(lambda task: task.cancelled() or task.exception())
        await until(lambda: answers.replies)
        if timeout_s is None:
            call.cancel()
        await until(lambda: served.frame.calls.under_way == 0)
        await until(lambda: not served.calls())
        answer(answers.replies[0], ValueError("late"))
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
    assert not events


async def test_a_deadline_cancels_the_coroutine_of_its_call(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        call = served.inventory.CheckAvailability(pb.CheckAvailabilityRequest(), timeout=0.05)
        assert await code_of(call) is StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not served.calls())
        assert served.frame.calls.under_way == 0


@pytest.mark.parametrize(
    ("path", "message", "flags"),
    [
        (f"/{INVENTORY}/GetStockInfo", QUESTION.SerializeToString(), END_STREAM),
        (f"/{INVENTORY}/ReserveStock", RESERVATION.SerializeToString(), END_STREAM),
        (f"/{STOCK}/ImportStock", stock_pb2.ImportStockRequest(request_id="r").SerializeToString(), 0),
        (f"/{HEALTH}/Watch", b"", END_STREAM),
    ],
)
async def test_a_caller_that_vanishes_leaves_nothing(
    server: RpcServer, fake: FakeInventory, events: list[Any], path: str, message: bytes, flags: int
) -> None:
    fake.gate.clear()
    _, writer = await asyncio.open_connection(*server.addresses[0])
    writer.write(call_by_hand(path.encode(), message, flags))
    await until(lambda: "calls=1>" in repr(server))
    if path.startswith(f"/{INVENTORY}/"):
        await fake.arrived.wait()
    writer.transport.abort()
    await until(lambda: "calls=0>" in repr(server))
    await until(lambda: server.statistics().calls_under_way == 0)
    assert not fake.asked or path.startswith(f"/{INVENTORY}/")
    fake.gate.set()
    await asyncio.gather(*fake.tasks)
    assert not events


def calls_in_memory(transport: TransportName) -> set[int]:
    kind = {"core": "CoreCall", "grpc-aio": "AioCall"}[transport]
    return {id(found) for found in gc.get_objects() if type(found).__name__ == kind}


async def test_ended_calls_are_not_kept(transport: TransportName) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        gc.collect()
        before = calls_in_memory(transport)
        gc.disable()  # so that nothing of it is in a cycle
        try:
            await served.inventory.GetStockInfo(QUESTION)
            for _ in range(2):
                given_up = served.inventory.CheckAvailability(pb.CheckAvailabilityRequest())
                await until(served.calls)
                given_up.cancel()
                await until(lambda: not served.calls())
            answers.gate.set()
            await served.inventory.CheckAvailability(pb.CheckAvailabilityRequest())
            refused = asyncio.ensure_future(code_of(served.inventory.ReserveStock(RESERVATION)))
            await until(lambda: answers.replies)
            answers.replies.pop().fail(Invalid([Violation("items", "are bad")]))
            assert await refused is StatusCode.INVALID_ARGUMENT
            await until(lambda: calls_in_memory(transport) <= before)
        finally:
            gc.enable()


# ---- errors of ours -------------------------------------------------------------------------------------------------


async def test_an_error_in_a_servicer_is_its_callers_alone(transport: TransportName, events: list[Any]) -> None:
    async with listening(Answers(), transport) as served:
        bug = served.inventory.ReleaseReservation(pb.ReleaseReservationRequest())
        assert await code_of(bug) is StatusCode.INTERNAL
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
    assert [logged["event"] for logged in events] == ["rpc_failed"]


async def test_an_error_in_the_frame_stops_no_other_call(
    transport: TransportName, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(Answers(), transport) as served:
        with monkeypatch.context() as patch:
            patch.setattr(served.frame, "serve", lambda path, context: 1 / 0)
            assert await code_of(served.inventory.GetStockInfo(QUESTION, timeout=10)) is StatusCode.CANCELLED
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
    assert [logged["event"] for logged in events] == ["grpc_event_failed"]


async def test_a_method_that_was_cancelled_from_inside_ends_its_call(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        call = served.inventory.ConfirmReservation(pb.ConfirmReservationRequest(), timeout=10)
        assert await code_of(call) is StatusCode.CANCELLED
        await until(lambda: served.frame.calls.under_way == 0)

"""Our calls on gRPC's core, over a real socket: what callers do, what becomes of a call, and how the server ends.

Paths and metadata that are no text are in test_hostile.py.
"""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest
from google.rpc.status_pb2 import Status
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from actors.outcomes import Fact
from actors.reply import Reply
from rpc.frame import Deferred, Frame
from rpc.messages.rules import Invalid, Violation
from rpc.rpc_server import HEALTH, INVENTORY, STOCK, RpcServer
from rpc.transport.addresses import Address, ListenError, free_addresses
from rpc.transport.core_call import Call
from rpc.transport.core_listener import MESSAGE_BYTES_MAX, Listener
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_hostile import frame

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode
QUESTION = pb.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")
RESERVATION = pb.ReserveStockRequest(
    organization_id="o", order_id="o", items=[pb.ReservationItem(variant_id="v", quantity=1)]
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
END_STREAM = 1


class Answers:
    """A servicer that has a way of answering in each method."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.replies: list[Reply[Fact]] = []

    def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Any) -> pb.GetStockInfoResponse:
        return pb.GetStockInfoResponse(stock_info=[pb.StockInfo(variant_id=request.variant_id)])

    async def CheckAvailability(self, request: Any, context: Any) -> pb.CheckAvailabilityResponse:
        await self.gate.wait()
        return pb.CheckAvailabilityResponse()

    def ReserveStock(self, request: Any, context: Any) -> Deferred:
        self.replies.append(Reply())
        return Deferred(self.replies[-1], lambda fact: pb.ReserveStockResponse())

    async def ConfirmReservation(self, request: Any, context: Any) -> pb.ConfirmReservationResponse:
        raise asyncio.CancelledError

    def ReleaseReservation(self, request: Any, context: Any) -> pb.ReleaseReservationResponse:
        raise ValueError("a bug")

    CheckBulkAvailability = ReleaseReservation


@asynccontextmanager
async def listening(answers: Answers) -> AsyncIterator[tuple[Listener, Frame, InventoryServiceStub]]:
    frame = Frame(calls_max=10_000)
    frame.add_service(INVENTORY, answers)
    [address] = free_addresses("127.0.0.1", 0)
    listener = Listener(frame, [address])
    listener.open()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        try:
            yield listener, frame, InventoryServiceStub(channel)
        finally:
            await listener.close(0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what goes on in the core tells nobody
            await asyncio.sleep(0.001)


async def code_of(call: Any) -> StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


def by_hand(path: str, message: bytes, flags: int = END_STREAM) -> bytes:
    """A call of one message as it is on the wire."""
    headers = {b":method": b"POST", b":scheme": b"http", b":path": path.encode(), b":authority": b"localhost"}
    headers |= {b"content-type": b"application/grpc", b"te": b"trailers"}
    block = b"".join(b"\x10" + bytes([len(name)]) + name + bytes([len(text)]) + text for name, text in headers.items())
    data = b"\0" + len(message).to_bytes(4, "big") + message
    return PREFACE + frame(1, 4, 1, block) + frame(0, flags, 1, data)


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


async def test_a_compressed_request_is_read(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    request = pb.ReserveStockRequest(organization_id="o", order_id="x" * 100, items=RESERVATION.items)
    assert (await inventory.ReserveStock(request, compression=grpc.Compression.Gzip)).reservation_id
    [command] = fake.asked
    assert command.order_id == request.order_id  # type: ignore[attr-defined]


async def test_an_error_has_its_details_in_the_trailers(inventory: InventoryServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await inventory.ReserveStock(pb.ReserveStockRequest())
    trailers = dict(raised.value.trailing_metadata())
    status = Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (StatusCode.INVALID_ARGUMENT.value[0], raised.value.details())


async def test_a_burst_over_several_connections_is_answered_one_and_all() -> None:
    """The core by itself drops calls when more than 1,000 wait for the loop."""
    async with listening(Answers()) as (listener, frame, _):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        channels = [grpc.aio.insecure_channel(str(listener._addresses[0]), options=options) for _ in range(3)]
        stubs = [InventoryServiceStub(channel) for channel in channels]
        names = [f"var_{number}" for number in range(3_000)]
        calls = [stubs[place % 3].GetStockInfo(pb.GetStockInfoRequest(variant_id=n)) for place, n in enumerate(names)]
        assert [(await call).stock_info[0].variant_id for call in calls] == names
        await until(lambda: not listener._calls)
        assert frame.calls.under_way == 0
        for channel in channels:
            await channel.close()


# ---- callers that are gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout_s", [0.05, None])
@pytest.mark.parametrize("answer", [Reply.set, Reply.fail])
async def test_a_reply_that_comes_too_late_does_no_harm(
    timeout_s: float | None, answer: Any, events: list[Any]
) -> None:
    answers = Answers()
    async with listening(answers) as (listener, frame, inventory):
        call = inventory.ReserveStock(RESERVATION, timeout=timeout_s)
        asyncio.ensure_future(code_of(call)).add_done_callback(lambda task: task.cancelled() or task.exception())
        await until(lambda: answers.replies)
        if timeout_s is None:
            call.cancel()
        await until(lambda: frame.calls.under_way == 0)
        assert not listener._calls
        answer(answers.replies[0], ValueError("late"))
        assert (await inventory.GetStockInfo(QUESTION)).stock_info
    assert not events


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
    writer.write(by_hand(path, message, flags))
    await until(lambda: "calls=1>" in repr(server))
    if path.startswith(f"/{INVENTORY}/"):
        await fake.arrived.wait()
    writer.transport.abort()
    await until(lambda: "calls=0>" in repr(server))
    assert server.statistics().calls_under_way == 0
    if path.endswith("GetStockInfo"):
        await fake.gave_up.wait()
    assert not fake.asked or path.startswith(f"/{INVENTORY}/")
    fake.gate.set()
    await asyncio.gather(*fake.tasks)
    assert not events


class Core:
    """A call of gRPC's, by hand: it keeps what is to be told of each operation."""

    def __init__(self) -> None:
        self.tags: list[Any] = []
        self.code = 0

    def start_server_batch(self, operations: Any, tag: Any) -> int:
        self.tags.append(tag)
        return self.code


def event(message: bytes | None = None, cancelled: bool = False) -> Any:
    return SimpleNamespace(batch_operations=[SimpleNamespace(message=lambda: message, cancelled=lambda: cancelled)])


async def test_a_call_given_up_in_the_turn_of_its_request_awaits_its_coroutine() -> None:
    core, frame = Core(), Frame(calls_max=1)
    frame.add_service(INVENTORY, Answers())
    call = Call(core, (), lambda call: None)
    frame.serve(f"/{INVENTORY}/CheckAvailability", call)
    on_close, on_message = core.tags
    on_message(event(message=b""))
    on_close(event(cancelled=True))
    await until(lambda: call._task is None)
    assert frame.calls.under_way == 0
    gc.collect()  # a coroutine that was never awaited says so here, and pytest fails


async def test_a_call_that_is_over_begins_no_operation() -> None:
    """The core would abort the process for it, were the server closed by then."""
    core = Core()
    call = Call(core, (), lambda call: None)
    core.tags.pop()(event(cancelled=True))
    assert await asyncio.wait_for(call.read(), 10) is None
    for waiting in (call.confirm(), call.write(b"")):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.001)
    assert not core.tags


async def test_an_operation_that_the_core_does_not_begin_is_not_waited_for() -> None:
    core = Core()
    call = Call(core, (), lambda call: None)
    core.code = 8  # GRPC_CALL_ERROR_TOO_MANY_OPERATIONS
    with pytest.raises(AssertionError):
        await asyncio.wait_for(call.read(), 10)


async def test_what_escapes_from_a_turn_does_not_make_the_server_deaf() -> None:
    answers, escaped = Answers(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context["exception"]))
    answers.gate.set()
    async with listening(answers) as (listener, _, inventory):
        take_burst = listener._take_burst

        def fail_once() -> bool:
            listener._take_burst = take_burst  # type: ignore[method-assign]
            raise MemoryError

        listener._take_burst = fail_once  # type: ignore[method-assign]
        assert await code_of(inventory.GetStockInfo(QUESTION, timeout=10)) is StatusCode.OK
    assert [type(error) for error in escaped] == [MemoryError]


async def test_ended_calls_are_not_kept() -> None:
    answers = Answers()
    async with listening(answers) as (listener, _, inventory):
        gc.collect()
        gc.disable()  # so that nothing of it is in a cycle
        try:
            await inventory.GetStockInfo(QUESTION)
            for _ in range(2):
                given_up = inventory.CheckAvailability(pb.CheckAvailabilityRequest())
                await until(lambda: listener._calls)
                given_up.cancel()
                await until(lambda: not listener._calls)
            answers.gate.set()
            await inventory.CheckAvailability(pb.CheckAvailabilityRequest())
            refused = asyncio.ensure_future(code_of(inventory.ReserveStock(RESERVATION)))
            await until(lambda: answers.replies)
            answers.replies.pop().fail(Invalid([Violation("items", "are bad")]))
            assert await refused is StatusCode.INVALID_ARGUMENT
            await until(lambda: not [each for each in gc.get_objects() if isinstance(each, Call)])
        finally:
            gc.enable()


# ---- errors of ours -------------------------------------------------------------------------------------------------


async def test_an_error_in_a_servicer_is_its_callers_alone(events: list[Any]) -> None:
    async with listening(Answers()) as (_, _, inventory):
        assert await code_of(inventory.ReleaseReservation(pb.ReleaseReservationRequest())) is StatusCode.INTERNAL
        assert (await inventory.GetStockInfo(QUESTION)).stock_info
    assert [logged["event"] for logged in events] == ["rpc_failed"]


async def test_an_error_in_the_frame_stops_no_other_call(events: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Answers()) as (_, frame, inventory):
        with monkeypatch.context() as patch:
            patch.setattr(frame, "serve", lambda path, context: 1 / 0)
            assert await code_of(inventory.GetStockInfo(QUESTION, timeout=10)) is StatusCode.CANCELLED
        assert (await inventory.GetStockInfo(QUESTION)).stock_info
    assert [logged["event"] for logged in events] == ["grpc_event_failed"]


async def test_a_method_that_was_cancelled_from_inside_ends_its_call() -> None:
    async with listening(Answers()) as (_, frame, inventory):
        call = inventory.ConfirmReservation(pb.ConfirmReservationRequest(), timeout=10)
        assert await code_of(call) is StatusCode.CANCELLED
        await until(lambda: frame.calls.under_way == 0)


# ---- the end --------------------------------------------------------------------------------------------------------


async def test_draining_waits_for_answers_that_are_written_and_no_longer_than_it_may() -> None:
    answers = Answers()
    async with listening(answers) as (listener, _, inventory):
        await listener.drain(10)
        call = inventory.ReserveStock(RESERVATION)
        answered = asyncio.ensure_future(code_of(call))
        await until(lambda: answers.replies)
        drains = [asyncio.create_task(listener.drain(60)) for _ in range(2)]
        await listener.drain(0.01)
        assert not any(drain.done() for drain in drains)
        assert listener._calls
        answers.replies[0].set(None)  # type: ignore[arg-type]
        await asyncio.wait_for(asyncio.gather(*drains), 10)
        assert not listener._calls
        assert await answered is StatusCode.OK
        assert not [task for task in asyncio.all_tasks() if "Event.wait" in repr(task)]


def event_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "grpc-events"]


async def test_closing_lets_calls_end_and_may_be_done_twice() -> None:
    answers = Answers()
    async with listening(answers) as (listener, _, inventory):
        assert len(event_threads()) == 1
        answered = asyncio.ensure_future(code_of(inventory.ReserveStock(RESERVATION)))
        await until(lambda: answers.replies)
        closings = [asyncio.create_task(listener.close(60)) for _ in range(2)]
        await until(lambda: listener._closing)
        answers.replies[0].set(None)  # type: ignore[arg-type]
        await asyncio.wait_for(asyncio.gather(*closings), 10)
        assert await answered is StatusCode.OK
        await listener.close(60)
        assert not event_threads()


@pytest.mark.parametrize("method", ["ReserveStock", "CheckAvailability"])
async def test_calls_that_outlive_the_grace_are_cancelled(method: str, events: list[Any]) -> None:
    answers = Answers()
    async with listening(answers) as (listener, frame, inventory):
        request = RESERVATION if method == "ReserveStock" else pb.CheckAvailabilityRequest()
        answered = [asyncio.ensure_future(code_of(getattr(inventory, method)(request))) for _ in range(300)]
        await until(lambda: frame.calls.under_way == 300)
        await listener.close(0.01)
        assert not listener._calls  # or an answer that comes now would abort the process
        assert {await each for each in answered} == {StatusCode.UNAVAILABLE}
        for reply in answers.replies:
            reply.set(None)  # type: ignore[arg-type]
        assert frame.calls.under_way == 0
        assert not event_threads()
    assert not events


async def test_the_end_is_not_before_the_last_word_of_each_call() -> None:
    """The core's own word of its end may come earlier."""
    answers = Answers()
    async with listening(answers) as (listener, _, inventory):
        call = inventory.ReserveStock(RESERVATION)
        answered = asyncio.ensure_future(code_of(call))
        await until(lambda: answers.replies)
        listener._on_shutdown(None)
        assert not listener._has_ended.is_set()
        call.cancel()
        await asyncio.wait([answered])


async def test_a_call_that_came_just_before_the_end_is_answered(events: list[Any]) -> None:
    async with listening(Answers()) as (listener, _, inventory):
        held: list[Any] = []
        loop = listener._loop
        listener._loop = SimpleNamespace(call_soon_threadsafe=lambda take, context: held.append(take))  # type: ignore[assignment]
        answered = asyncio.ensure_future(code_of(inventory.GetStockInfo(QUESTION, timeout=10)))
        await until(lambda: held)
        closing = asyncio.create_task(listener.close(10))
        await until(lambda: listener._closing)
        await asyncio.sleep(0)  # now the core knows
        listener._loop = loop
        held[0]()
        assert await answered is StatusCode.OK
        await closing
    assert not events


async def test_where_one_address_is_taken_the_others_are_free_again(capfd: pytest.CaptureFixture[str]) -> None:
    [free] = free_addresses("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = Listener(Frame(1), [free, Address(*other.getsockname())])
        with pytest.raises(ListenError, match="the address is in use"):
            listener.open()
        socket.create_server(free).close()
        await listener.close(0)

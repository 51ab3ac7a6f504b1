"""What only the transport on gRPC's core can get wrong: operations on ended calls, its thread, the order at its end."""

import asyncio
import gc
import threading
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb

from rpc.frame import Frame
from rpc.service_names import INVENTORY
from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.core_call import CoreCall
from rpc.transport.core_listener import READERS, CoreListener
from rpc.transport.slow_callers import SlowCallers
from tests.rpc.transport.answers import QUESTION, RESERVATION, Answers, Listening, code_of, listening, until

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode


class Core:
    """A call of gRPC's, by hand: it keeps what is to be called after each operation."""

    def __init__(self) -> None:
        self.tags: list[Any] = []
        self.code = 0

    def peer(self) -> bytes:
        return b"ipv4:127.0.0.1:1"

    def start_server_batch(self, operations: Any, tag: Any) -> int:
        self.tags.append(tag)
        return self.code


def event(message: bytes | None = None, cancelled: bool = False) -> Any:
    return SimpleNamespace(batch_operations=[SimpleNamespace(message=lambda: message, cancelled=lambda: cancelled)])


def core_of(served: Listening) -> CoreListener:
    return cast(CoreListener, served.listener)


def stop_looking(listener: CoreListener) -> None:
    """From now on the thread alone hears of events."""
    assert listener._looking is not None
    listener._looking.cancel()


async def test_a_call_given_up_in_the_turn_of_its_request_awaits_its_coroutine() -> None:
    core, frame = Core(), Frame(calls_max=1)
    frame.add_service(INVENTORY, Answers())
    call = CoreCall(core, (), lambda call: None, SlowCallers(tuple), ConnectionWatch(tuple, (), 0))
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
    call = CoreCall(core, (), lambda call: None, SlowCallers(tuple), ConnectionWatch(tuple, (), 0))
    core.tags.pop()(event(cancelled=True))
    assert await asyncio.wait_for(call.read(), 10) is None
    for waiting in (call.confirm(), call.write(b"")):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.001)
    assert not core.tags


async def test_an_operation_that_the_core_does_not_begin_is_not_waited_for() -> None:
    core = Core()
    call = CoreCall(core, (), lambda call: None, SlowCallers(tuple), ConnectionWatch(tuple, (), 0))
    core.code = 8  # GRPC_CALL_ERROR_TOO_MANY_OPERATIONS
    with pytest.raises(AssertionError):
        await asyncio.wait_for(call.read(), 10)


async def test_what_escapes_from_a_turn_does_not_make_the_server_deaf() -> None:
    answers, escaped = Answers(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context["exception"]))
    answers.gate.set()
    async with listening(answers, "core") as served:
        listener = core_of(served)
        stop_looking(listener)
        take_burst = listener._take_burst

        def fail_once() -> bool:
            listener._take_burst = take_burst  # type: ignore[method-assign]
            raise MemoryError

        listener._take_burst = fail_once  # type: ignore[method-assign]
        assert await code_of(served.inventory.GetStockInfo(QUESTION, timeout=10)) is StatusCode.OK
    assert [type(error) for error in escaped] == [MemoryError]


async def test_the_end_is_not_before_the_last_word_of_each_call() -> None:
    """The core's own word of its end may come earlier."""
    answers = Answers()
    async with listening(answers, "core") as served:
        listener = core_of(served)
        call = served.inventory.ReserveStock(RESERVATION)
        answered = asyncio.ensure_future(code_of(call))
        await until(lambda: answers.replies)
        listener._on_shutdown(None)
        assert not listener._has_ended.is_set()
        call.cancel()
        await asyncio.wait([answered])


async def test_a_call_that_came_just_before_the_end_is_answered(events: list[Any]) -> None:
    async with listening(Answers(), "core") as served:
        listener = core_of(served)
        stop_looking(listener)
        held: list[Any] = []
        loop = listener._loop
        listener._loop = SimpleNamespace(call_soon_threadsafe=lambda take, context: held.append(take))  # type: ignore[assignment]
        answered = asyncio.ensure_future(code_of(served.inventory.GetStockInfo(QUESTION, timeout=10)))
        await until(lambda: held)
        closing = asyncio.create_task(listener.close(10))
        await until(lambda: listener._closing)
        await asyncio.sleep(0)  # now the core knows
        listener._loop = loop
        held[0]()
        assert await answered is StatusCode.OK
        await closing
    assert not events


async def test_a_listener_has_one_thread_for_as_long_as_it_is_open() -> None:
    async with listening(Answers(), "core") as served:
        thread = core_of(served)._thread
        assert thread is not None
        assert thread.is_alive()
        await served.listener.close(0)
        assert not thread.is_alive()


async def test_a_call_that_is_refused_at_once_needs_no_task() -> None:
    core, frame = Core(), Frame(calls_max=1)
    frame.add_service(INVENTORY, Answers())
    call = CoreCall(core, (), lambda call: None, SlowCallers(tuple), ConnectionWatch(tuple, (), 0))
    frame.serve(f"/{INVENTORY}/GetStockInfo", call)
    core.tags[1](event(message=pb.GetStockInfoRequest().SerializeToString()))
    assert call.is_over
    assert call._task is None
    assert frame.calls.under_way == 1  # until the answer is written
    core.tags[2](event())
    assert frame.calls.under_way == 0


async def test_calls_are_heard_while_a_flood_keeps_the_thread_that_waits_for_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_ended = threading.Event()
    monkeypatch.setattr(CoreListener, "_wait_for_events", lambda self: has_ended.wait())
    async with listening(Answers(), "core") as served:
        assert len(readers()) == READERS
        assert len((await served.inventory.GetStockInfo(QUESTION)).stock_info) == 1
        has_ended.set()
    assert readers() == []


def readers() -> list[threading.Thread]:
    """The threads that read for others meanwhile."""
    return [thread for thread in threading.enumerate() if thread.name == "grpc-reader"]

"""The contract of both transports, second part: streams of every kind, and what holds them up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest

from rpc.messages.status import Problem, to_status
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.addresses import free_addresses
from rpc.transport.server_options import server_options
from rpc.transport.transport_choice import build_listener
from rpc.transport.transport_name import TransportName
from rpc.transport.transport_port import Context
from tests.rpc.transport.answers import PREFACE, call_by_hand, h2_frame, headers_by_hand, until

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode
MEGABYTE = 1024 * 1024
BUFFERED_MAX = 64  # messages of a megabyte: what sockets and HTTP/2 may hold, and far less than is sent
PROBLEM = Problem(StatusCode.FAILED_PRECONDITION, "ENOUGH", "That is enough")


class Served:
    """A handler that does what the test says with each call, in the call's own task."""

    def __init__(self, method: Callable[[Context], Awaitable[None]]) -> None:
        self._method = method
        self.path = ""
        self.ends = 0

    def serve(self, path: str, context: Context) -> None:
        self.path = path
        context.when_over(self._end)
        context.run(self._serve(context))

    def _end(self) -> None:
        self.ends += 1

    async def _serve(self, context: Context) -> None:
        await self._method(context)


@asynccontextmanager
async def serving(handler: Any, transport: TransportName, bounds: NetworkBounds = DEFAULT_BOUNDS) -> AsyncIterator[Any]:
    [address] = free_addresses("127.0.0.1", 0)
    listener = build_listener(transport, handler, [address], server_options(bounds=bounds), bounds=bounds)
    await listener.open()
    async with grpc.aio.insecure_channel(str(address)) as channel:
        try:
            yield channel, listener, address
        finally:
            await listener.close(0)


async def end(call: Any) -> None:
    """Cancel it, and wait until grpc.aio has done with it: what it tells later would go to a loop that is closed."""
    call.cancel()
    assert await call.code() is StatusCode.CANCELLED


async def write_megabytes(call: Any, megabytes: int) -> None:
    for _ in range(megabytes):
        await call.write(b"x" * MEGABYTE)


async def echo(context: Context) -> None:
    while (message := await context.read()) is not None:
        await context.write(message)
    context.end()


async def test_each_message_is_answered_while_the_stream_is_open(transport: TransportName) -> None:
    handler = Served(echo)
    async with serving(handler, transport) as (channel, listener, _):
        call = channel.stream_stream("/a.B/Echo")()
        for message in (b"1", b"", b"3" * 100_000):
            await call.write(message)
            assert await call.read() == message
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is StatusCode.OK
        await until(lambda: listener.statistics().calls_under_way == 0)
    assert (handler.path, handler.ends) == ("/a.B/Echo", 1)


async def test_messages_keep_their_order(transport: TransportName) -> None:
    sent = [str(number).encode() for number in range(2_000)]
    async with serving(Served(echo), transport) as (channel, *_):
        call = channel.stream_stream("/a.B/Echo")(iter(sent))
        assert [message async for message in call] == sent


async def test_a_stream_of_requests_has_one_answer(transport: TransportName) -> None:
    async def count(context: Context) -> None:
        messages = 0
        while await context.read() is not None:
            messages += 1
        await context.confirm()
        context.answer(str(messages).encode())

    async with serving(Served(count), transport) as (channel, *_):
        assert await channel.stream_unary("/a.B/Count")(iter([b"x"] * 1_000)) == b"1000"
        assert await channel.stream_unary("/a.B/Count")(iter([])) == b"0"


async def test_a_stream_of_answers_comes_to_its_end(transport: TransportName) -> None:
    async def write_three(context: Context) -> None:
        assert await context.read() == b"three"
        for number in (b"1", b"2", b"3"):
            await context.write(number)
        context.end()

    async with serving(Served(write_three), transport) as (channel, *_):
        assert [message async for message in channel.unary_stream("/a.B/Three")(b"three")] == [b"1", b"2", b"3"]


async def test_an_error_comes_after_the_messages_before_it(transport: TransportName) -> None:
    async def refuse_the_second(context: Context) -> None:
        await context.write(b"1")
        context.abort(to_status(PROBLEM))

    async with serving(Served(refuse_the_second), transport) as (channel, *_):
        call = channel.stream_stream("/a.B/Refuse")()
        assert await call.read() == b"1"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        assert (raised.value.code(), raised.value.details()) == (PROBLEM.code, PROBLEM.message)
        assert "grpc-status-details-bin" in dict(raised.value.trailing_metadata())


async def test_the_first_word_that_ends_a_call_counts(transport: TransportName) -> None:
    async def end_often(context: Context) -> None:
        context.answer(b"first")
        assert context.is_over
        context.answer(b"second")
        context.abort(to_status(PROBLEM))
        context.end()

    handler = Served(end_often)
    async with serving(handler, transport) as (channel, *_):
        assert await channel.unary_unary("/a.B/End")(b"") == b"first"
    assert handler.ends == 1


async def test_a_request_that_waits_for_its_turn_may_have_a_stream_of_answers(transport: TransportName) -> None:
    async def write_two(context: Context) -> None:
        for message in (b"1", b"2"):
            await context.write(message)
        context.end()

    class Later:
        def serve(self, path: str, context: Context) -> None:
            loop = asyncio.get_running_loop()
            context.receive(lambda raw: loop.call_later(0.05, lambda: context.run(write_two(context))))  # type: ignore[arg-type]

    async with serving(Later(), transport) as (channel, *_):
        assert [message async for message in channel.unary_stream("/a.B/Two")(b"", timeout=5)] == [b"1", b"2"]


async def test_a_client_that_reads_nothing_is_written_no_more(transport: TransportName) -> None:
    written: list[int] = []

    async def write_always(context: Context) -> None:
        while True:
            await context.write(b"x" * MEGABYTE)
            written.append(len(written))

    handler = Served(write_always)
    async with serving(handler, transport) as (channel, listener, _):
        call = channel.unary_stream("/a.B/Write")(b"")
        await call.read()
        before = -1
        while before != len(written):
            before = len(written)
            await asyncio.sleep(0.2)
        assert before < BUFFERED_MAX
        for _ in range(before):
            await call.read()
        await until(lambda: len(written) > before)
        await end(call)
        await until(lambda: listener.statistics().calls_under_way == 0)
    assert handler.ends == 1


async def test_a_client_that_is_not_read_is_held_up(transport: TransportName) -> None:
    async def read_nothing(context: Context) -> None:
        await asyncio.Event().wait()

    async with serving(Served(read_nothing), transport) as (channel, *_):
        call = channel.stream_unary("/a.B/Read")()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write_megabytes(call, BUFFERED_MAX), 0.5)
        await end(call)


async def test_a_stream_that_broke_off_is_not_taken_for_one_that_ended(transport: TransportName) -> None:
    """Its reader sees the end of both. Headers can be sent to the caller of the one and not of the other."""
    confirmed = []

    async def confirm(context: Context) -> None:
        while await context.read() is not None:
            pass
        await context.confirm()
        confirmed.append(context)
        context.answer(b"")

    async with serving(Served(confirm), transport) as (_, listener, address):
        _, writer = await asyncio.open_connection(*address)
        writer.write(call_by_hand(b"/a.B/Confirm", b"one", flags=0))
        await until(lambda: listener.statistics().calls_under_way == 1)
        writer.write(h2_frame(3, 0, 1, b"\0\0\0\x08"))  # RST_STREAM with CANCEL
        await until(lambda: listener.statistics().calls_under_way == 0)
        assert not confirmed
        writer.close()
        await writer.wait_closed()


async def test_callers_that_vanish_in_a_crowd_leave_nothing(transport: TransportName) -> None:
    handler = Served(echo)
    async with serving(handler, transport, NetworkBounds(connections_an_address_max=100)) as (_, listener, address):
        writers = []
        for _ in range(50):
            _, writer = await asyncio.open_connection(*address)
            writer.write(PREFACE + h2_frame(1, 4, 1, headers_by_hand(b"/a.B/Echo")))
            writers.append(writer)
        await until(lambda: listener.statistics().calls_under_way == 50)
        for writer in writers:
            writer.transport.abort()
        await until(lambda: listener.statistics().calls_under_way == 0)
    assert handler.ends == 50

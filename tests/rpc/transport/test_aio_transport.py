"""What only the transport on grpc.aio can get wrong: its server ends by itself, and another one takes its place."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.transport.addresses import Address
from rpc.transport.aio_call import AioCall
from rpc.transport.aio_listener import AioListener
from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.read_turns import ReadTurns
from rpc.transport.slow_callers import SlowCallers
from tests.rpc.transport.answers import QUESTION, RESERVATION, Answers, code_of, listening, until

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode


@pytest.fixture
async def unretrieved(anyio_backend: str) -> list[Any]:
    """grpc.aio leaves the error that ended its server in a task of its own that is never awaited."""
    found: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context.get("exception")))
    return found


async def send_path_that_is_not_utf8(address: Address) -> None:
    async with grpc.aio.insecure_channel(str(address)) as channel:
        await code_of(channel.unary_unary(b"/\xff\xfe")(b"", timeout=1))  # type: ignore[arg-type]


async def test_after_a_path_that_is_not_utf8_calls_are_served_again(
    events: list[Any], unretrieved: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Where it ends the server (grpcio 1.85), another one takes its place, and the calls under way hear of it."""
    answers = Answers()
    async with listening(answers, "grpc-aio") as served:
        under_way = asyncio.ensure_future(code_of(served.inventory.ReserveStock(RESERVATION)))
        await until(lambda: answers.replies)
        await send_path_that_is_not_utf8(served.address)
        async with grpc.aio.insecure_channel(str(served.address)) as channel:
            answer = await InventoryServiceStub(channel).GetStockInfo(QUESTION, wait_for_ready=True, timeout=10)
        assert answer.stock_info
        has_ended = [logged["event"] for logged in events] == ["grpc_aio_server_ended"]
        assert has_ended or not events
        if not has_ended:
            answers.replies[0].set(None)  # type: ignore[arg-type]
        expected = (StatusCode.UNAVAILABLE, StatusCode.CANCELLED) if has_ended else (StatusCode.OK,)
        assert await asyncio.wait_for(under_way, 10) in expected
        await until(lambda: served.frame.calls.under_way == 0)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_server_that_ended_can_be_closed_before_another_took_its_place(unretrieved: list[Any]) -> None:
    async with listening(Answers(), "grpc-aio") as served:
        assert isinstance(served.listener, AioListener)
        await send_path_that_is_not_utf8(served.address)
        await asyncio.wait_for(served.listener.close(1), 10)
        assert served.listener._serving is not None
        assert served.listener._serving.done()


class Gone:
    """A call of grpc.aio whose caller is gone, before grpc.aio says so."""

    async def send(self, what: object = None) -> None:
        raise grpc.aio.InternalError

    send_initial_metadata = write = read = send


async def test_a_call_whose_caller_is_gone_waits_to_be_cancelled() -> None:
    call = AioCall(Gone(), (), SlowCallers(tuple), ConnectionWatch(tuple, (), 0), ReadTurns())
    for waiting in (call.confirm(), call.write(b"")):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.001)
    assert await call.read() is None


async def test_the_last_word_for_a_caller_that_is_gone_waits_to_be_cancelled() -> None:
    call = AioCall(Gone(), (), SlowCallers(tuple), ConnectionWatch(tuple, (), 0), ReadTurns())
    living = asyncio.ensure_future(call.live(lambda call: call.answer(b"")))
    done, _ = await asyncio.wait([living], timeout=0.01)
    assert not done
    living.cancel()
    await asyncio.wait([living])
    assert living.cancelled()

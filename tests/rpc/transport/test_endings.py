"""The contract of both transports, third part: how a listener drains, closes and gives back its addresses."""

import asyncio
import socket
import threading
from typing import Any

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb

from rpc.frame import Frame
from rpc.transport.addresses import Address, ListenError, free_addresses
from rpc.transport.server_options import server_options
from rpc.transport.transport_choice import build_listener
from rpc.transport.transport_name import TransportName
from tests.rpc.transport.answers import QUESTION, RESERVATION, Answers, code_of, listening, until

pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode


def event_threads() -> list[threading.Thread]:
    """The threads of the transport on the core; grpc.aio has one for the process."""
    return [thread for thread in threading.enumerate() if thread.name == "grpc-events"]


async def test_draining_waits_for_answers_that_are_written_and_no_longer_than_it_may(transport: TransportName) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        await served.listener.drain(10)
        call = served.inventory.ReserveStock(RESERVATION)
        answered = asyncio.ensure_future(code_of(call))
        await until(lambda: answers.replies)
        drains = [asyncio.create_task(served.listener.drain(60)) for _ in range(2)]
        await served.listener.drain(0.01)
        assert not any(drain.done() for drain in drains)
        assert served.calls() == 1
        answers.replies[0].set(None)  # type: ignore[arg-type]
        await asyncio.wait_for(asyncio.gather(*drains), 10)
        assert served.calls() == 0
        assert await answered is StatusCode.OK


async def test_closing_lets_calls_end_and_may_be_done_twice(transport: TransportName) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        answered = asyncio.ensure_future(code_of(served.inventory.ReserveStock(RESERVATION)))
        await until(lambda: answers.replies)
        closings = [asyncio.create_task(served.listener.close(60)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(closing.done() for closing in closings)
        answers.replies[0].set(None)  # type: ignore[arg-type]
        await asyncio.wait_for(asyncio.gather(*closings), 10)
        assert await answered is StatusCode.OK
        await served.listener.close(60)
        assert not event_threads()


@pytest.mark.parametrize("method", ["ReserveStock", "CheckAvailability"])
async def test_calls_that_outlive_the_grace_are_cancelled(
    transport: TransportName, method: str, events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        request = RESERVATION if method == "ReserveStock" else pb.CheckAvailabilityRequest()
        answered = [asyncio.ensure_future(code_of(getattr(served.inventory, method)(request))) for _ in range(90)]
        await until(lambda: served.frame.calls.under_way == 90)
        await served.listener.close(0.01)
        assert served.calls() == 0  # or an answer that comes now would abort the process
        assert {await each for each in answered} == {StatusCode.UNAVAILABLE}
        for reply in answers.replies:
            reply.set(None)  # type: ignore[arg-type]
        assert served.frame.calls.under_way == 0
        assert not event_threads()
    assert not events
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_listener_that_closes_takes_no_more_calls(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
        await served.listener.close(0)
        assert await code_of(served.inventory.GetStockInfo(QUESTION, timeout=10)) is StatusCode.UNAVAILABLE
        socket.create_server(served.address).close()


async def test_where_one_address_is_taken_the_others_are_free_again(transport: TransportName) -> None:
    [free] = free_addresses("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = build_listener(transport, Frame(1), [free, Address(*other.getsockname())], server_options())
        with pytest.raises(ListenError, match="the address is in use"):
            await listener.open()
        socket.create_server(free).close()
        await listener.close(0)

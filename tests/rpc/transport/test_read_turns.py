"""Requests of an address that sends large ones are read a few at a time on grpc.aio; others pass by."""

import asyncio
import gzip

import pytest

from rpc.transport import read_turns
from rpc.transport.read_turns import LARGE_BYTES, VERY_LARGE_BYTES, ReadTurns
from tests.rpc.transport.answers import (
    END_STREAM,
    PREFACE,
    QUESTION,
    Answers,
    h2_frame,
    headers_by_hand,
    listening,
    until,
)
from tests.rpc.transport.test_bounds import PATH

pytestmark = pytest.mark.anyio

LARGE, VERY_LARGE = LARGE_BYTES + 1, VERY_LARGE_BYTES + 1
CALLS = 40


class Caller:
    """Has its requests read on connections of its address."""

    def __init__(self, turns: ReadTurns, address: str, order: list[str]) -> None:
        self._turns = turns
        self._address = address
        self._order = order
        self._ports = iter(range(50_000, 60_000))

    def peer(self) -> str:
        return f"ipv4:{self._address}:{next(self._ports)}"

    def asks(self, name: str, size_bytes: int = 1) -> asyncio.Task[None]:
        return asyncio.create_task(self._ask(name, size_bytes))

    async def _ask(self, name: str, size_bytes: int) -> None:
        await self._turns.turn(self.peer)
        self._order.append(name)
        self._turns.was_read(self.peer, size_bytes)


async def turns_of_the_loop(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_nothing_waits_before_something_large_was_read() -> None:
    turns, order = ReadTurns(), list[str]()
    one = Caller(turns, "127.0.0.2", order)
    for name in "abc":
        one.asks(name, LARGE_BYTES)
    await turns_of_the_loop(2)
    assert order == ["a", "b", "c"]


async def test_the_address_of_a_large_one_waits_and_others_pass_by() -> None:
    turns, order = ReadTurns(), list[str]()
    one, other = Caller(turns, "127.0.0.2", order), Caller(turns, "127.0.0.3", order)
    await one.asks("large", VERY_LARGE)
    waiting = one.asks("small")
    await other.asks("other")
    assert turns.statistics() == (1, 1)
    await turns_of_the_loop(10)
    assert order == ["large", "other"]
    began_s = asyncio.get_running_loop().time()
    await waiting
    assert asyncio.get_running_loop().time() > began_s
    await asyncio.sleep(0.01)
    await one.asks("later")  # nothing waits any more
    assert order == ["large", "other", "small", "later"]
    assert turns.statistics() == (0, 0)


async def test_large_ones_are_read_one_in_a_turn_of_the_loop() -> None:
    turns, order = ReadTurns(), list[str]()
    one, other = Caller(turns, "127.0.0.2", order), Caller(turns, "127.0.0.3", order)
    for name in "abc":
        one.asks(name, LARGE)
    await turns_of_the_loop(1)
    assert order == ["a"], "they came in one turn"
    other.asks("other")
    await turns_of_the_loop(10)
    assert order == ["a", "other", "b", "c"]
    assert turns.statistics() == (0, 0)


async def test_there_is_a_pause_after_each_very_large_one_and_none_after_a_small_one() -> None:
    turns, order = ReadTurns(), list[str]()
    one = Caller(turns, "127.0.0.2", order)
    await one.asks("large", VERY_LARGE)
    asked = [one.asks("a"), one.asks("b"), one.asks("large again", VERY_LARGE), one.asks("c"), one.asks("d")]
    await asked[2]
    await turns_of_the_loop(10)
    assert order == ["large", "a", "b", "large again"]
    await asyncio.gather(*asked)


async def test_addresses_that_wait_have_turns() -> None:
    turns, order = ReadTurns(), list[str]()
    one, other = Caller(turns, "127.0.0.2", order), Caller(turns, "127.0.0.3", order)
    await asyncio.gather(one.asks("large", VERY_LARGE), other.asks("large", VERY_LARGE))
    await asyncio.gather(*(one.asks(name) for name in "abc"), other.asks("x"), other.asks("y"))
    assert order[2:] == ["a", "x", "b", "y", "c"]


async def test_a_caller_that_gives_up_while_it_waits_leaves_its_turn_to_the_next() -> None:
    turns, order = ReadTurns(), list[str]()
    one = Caller(turns, "127.0.0.2", order)
    await one.asks("large", VERY_LARGE)
    gone, next_one = one.asks("gone"), one.asks("next")
    await turns_of_the_loop(1)
    gone.cancel()
    await next_one
    assert order == ["large", "next"]


async def test_a_call_is_not_behind_large_ones_that_came_before_it_from_another_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_turns, "PAUSE_S", 0.02)  # twenty of them last longer than a call does on a busy machine
    body = gzip.compress(b"\xf8\x07\x00" * VERY_LARGE_BYTES)
    headers = headers_by_hand(PATH, {b"grpc-encoding": b"gzip"})
    data = b"\x01" + len(body).to_bytes(4, "big") + body
    calls = (
        h2_frame(1, 4, stream, headers) + h2_frame(0, END_STREAM, stream, data) for stream in range(1, 2 * CALLS, 2)
    )
    async with listening(Answers(), "grpc-aio") as served:
        await served.inventory.GetStockInfo(QUESTION)
        _, writer = await asyncio.open_connection(*served.address, local_addr=("127.0.0.2", 0))
        writer.write(PREFACE + b"".join(calls))
        await writer.drain()
        begun = served.listener.statistics().calls_begun
        await until(lambda: served.listener.statistics().calls_begun > begun)
        await served.inventory.GetStockInfo(QUESTION)
        assert served.calls() > CALLS // 2, "most of the large ones wait"
        await until(lambda: not served.calls())
        writer.transport.abort()

"""What slow callers hold is counted by size, bounded, and let go."""

import asyncio
from typing import Any

import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.service_names import INVENTORY
from rpc.transport import slow_callers
from rpc.transport.slow_callers import LOOK_BYTES, SlowCallers
from rpc.transport.transport_name import TransportName
from tests.rpc.transport.answers import PREFACE, Answers, h2_frame, headers_by_hand, listening, until

pytestmark = pytest.mark.anyio

PATH = f"/{INVENTORY}/GetStockInfo".encode()


class Caller:
    """A call on a connection."""

    def __init__(self, connection: str, *, awaits_request: bool = False) -> None:
        self._connection = connection
        self.awaits_request = awaits_request
        self.is_cut_off = False

    def peer(self) -> str:
        return self._connection

    def cut_off(self) -> None:
        self.is_cut_off = True


async def test_of_a_connection_the_largest_are_cut_off_first_and_of_equals_the_oldest() -> None:
    bounds = NetworkBounds(answers_bytes_a_connection_max=3 * LOOK_BYTES)
    slow: SlowCallers[Caller] = SlowCallers(tuple, bounds)
    good = Caller("good")
    slow.given(good, LOOK_BYTES // 2)
    calls = [Caller("bad") for _ in range(5)]
    for call, half_looks in zip(calls, (2, 2, 1, 2, 1), strict=True):
        slow.given(call, half_looks * LOOK_BYTES // 2)
    assert [call.is_cut_off for call in calls] == [True, False, False, False, False]
    slow.given(Caller("bad"), LOOK_BYTES)
    slow.given(Caller("other"), LOOK_BYTES // 2)  # so that there is enough news for another look
    assert [call.is_cut_off for call in calls] == [True, True, False, False, False]
    assert not good.is_cut_off
    assert slow.statistics().cut_off == 2


async def test_in_all_the_largest_are_cut_off_first() -> None:
    slow: SlowCallers[Caller] = SlowCallers(tuple, NetworkBounds(answers_bytes_max=4 * LOOK_BYTES))
    calls = [Caller(f"connection-{number}") for number in range(5)]
    for number, call in enumerate(calls):
        slow.given(call, LOOK_BYTES + 1 - number)
    assert [call.is_cut_off for call in calls] == [True, False, False, False, False]
    for call in calls:
        slow.gone(call)
    assert slow.statistics()[:2] == (0, 0)


async def test_calls_without_their_request_and_answers_not_taken_are_cut_off_after_some_looks() -> None:
    bounds = NetworkBounds(request_arrival_s=15, answer_untaken_s=30)
    late, unread, busy = Caller("a", awaits_request=True), Caller("b"), Caller("c")
    slow: SlowCallers[Caller] = SlowCallers(lambda: [late, unread, busy], bounds, look_every_s=3_600)
    slow.given(unread, 10_000)
    seen = []
    for _ in range(8):
        slow._look()
        seen.append((late.is_cut_off, unread.is_cut_off))
    slow.stop()
    assert [sum(cut) for cut in zip(*seen, strict=True)] == [5, 2]
    assert not busy.is_cut_off


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        slow_callers.SlowCallers.__init__,
        "__kwdefaults__",
        {
            **(slow_callers.SlowCallers.__init__.__kwdefaults__ or {}),
            "look_every_s": 0.02,
        },
    )


@pytest.mark.usefixtures("quick")
async def test_a_call_whose_message_never_ends_is_ended(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        reader, writer = await asyncio.open_connection(*served.address)
        writer.write(PREFACE + h2_frame(1, 4, 1, headers_by_hand(PATH)))
        writer.write(h2_frame(0, 0, 1, b"\0" + (1_000_000).to_bytes(4, "big") + bytes(100)))
        await until(lambda: served.listener.statistics().calls_begun == 1)
        await until(lambda: served.calls() == 0)
        writer.transport.abort()
        del reader


class Large(Answers):
    """Answers with a megabyte."""

    def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Any) -> pb.GetStockInfoResponse:
        return pb.GetStockInfoResponse(stock_info=[pb.StockInfo(variant_id="x" * 1_000_000)])


async def ask_unread(served: Any, calls: int) -> asyncio.StreamWriter:
    """Calls on a connection whose answers are not taken."""
    _, writer = await asyncio.open_connection(*served.address)
    writer.write(PREFACE)
    for stream in range(1, 2 * calls, 2):
        writer.write(h2_frame(1, 4, stream, headers_by_hand(PATH)) + h2_frame(0, 1, stream, b"\0\0\0\0\0"))
    await writer.drain()
    return writer


async def test_a_call_counts_until_its_answer_is_taken(transport: TransportName) -> None:
    async with listening(Large(), transport) as served:
        writer = await ask_unread(served, 20)
        await until(lambda: served.listener.statistics().calls_begun == 20)
        await until(lambda: served.frame.calls.under_way == 20)
        assert served.listener._slow.statistics().size_bytes > 20_000_000  # type: ignore[attr-defined]
        writer.transport.abort()
        await until(lambda: served.calls() == 0)
        assert served.frame.calls.under_way == 0
        assert served.listener._slow.statistics().size_bytes == 0  # type: ignore[attr-defined]


async def test_what_a_connection_does_not_take_is_bounded(transport: TransportName) -> None:
    async with listening(Large(), transport) as served:
        slow: SlowCallers[Any] = served.listener._slow  # type: ignore[attr-defined]
        writer = await ask_unread(served, 60)
        await until(lambda: slow.statistics().cut_off > 10)
        assert slow.statistics().size_bytes <= DEFAULT_BOUNDS.answers_bytes_a_connection_max + LOOK_BYTES
        writer.transport.abort()
        await until(lambda: served.calls() == 0)


@pytest.mark.usefixtures("quick")
async def test_an_answer_that_is_never_taken_is_dropped(transport: TransportName) -> None:
    async with listening(Large(), transport) as served:
        writer = await ask_unread(served, 3)
        await until(lambda: served.listener.statistics().calls_begun == 3)
        await until(lambda: served.calls() == 0)
        writer.transport.abort()

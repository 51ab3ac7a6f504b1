"""Streams that hold a place and do nothing with it must go, and what a client does not read is bounded."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client.v1.inventory_pb2 import ReservationItem
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.unavailable import Unavailable
from rpc.in_flight import InFlightLimit
from rpc.network_bounds import DEFAULT_BOUNDS
from rpc.services.open_streams import OpenStreams
from rpc.transport.transport_name import TransportName
from tests.rpc.test_reservation_stream import Held, Serving, an_order, message, replies_of, until

pytestmark = pytest.mark.anyio


class Place:
    """A stream, as far as its place goes."""

    def __init__(self, idle_since_s: float | None = None, unread_since_s: float | None = None) -> None:
        self.idle_since_s = idle_since_s
        self.unread_since_s = unread_since_s
        self.ended: list[str] = []

    def end(self, error: Exception) -> None:
        self.ended.append(str(error))

    def cut_off(self) -> None:
        self.ended.append("cut off")


async def test_at_the_limit_the_longest_idle_makes_room() -> None:
    now_s = asyncio.get_running_loop().time()
    limit = InFlightLimit(3, "streams")
    streams = OpenStreams(limit)
    places = [Place(), Place(now_s - 60), Place(now_s - 90)]
    for place in places:
        streams.add(place)
    newer = Place(now_s)
    streams.add(newer)
    assert [len(place.ended) for place in places] == [0, 0, 1]
    streams.add(Place(now_s))
    assert [len(place.ended) for place in places] == [0, 1, 1]
    with pytest.raises(Unavailable, match="Too many streams"):  # the others are busy, or idle for a moment only
        streams.add(Place(now_s))
    for stream in streams.all():
        streams.remove(stream)
    assert limit.under_way == 0
    assert streams.statistics() == (0, 0, 2)


async def test_at_the_share_of_a_caller_its_own_longest_idle_makes_room() -> None:
    now_s = asyncio.get_running_loop().time()
    limit = InFlightLimit(4, "streams", share=1)
    streams = OpenStreams(limit)
    other, one, two = Place(now_s - 90), Place(now_s - 30), Place(now_s - 60)
    streams.add(other, "other")
    for place in (one, two):
        streams.add(place, "proxy")
    assert [len(place.ended) for place in (other, one, two)] == [0, 0, 0]
    streams.add(Place(now_s), "proxy")
    assert [len(place.ended) for place in (other, one, two)] == [0, 0, 1]
    for stream in streams.all():
        streams.remove(stream)
    assert limit.under_way == 0


async def test_a_stream_that_is_idle_or_unread_for_long_is_ended() -> None:
    now_s = asyncio.get_running_loop().time()
    streams = OpenStreams(InFlightLimit(9, "streams"), idle_s=100.0, unread_s=50.0, sweep_every_s=0.005)
    good = [Place(), Place(now_s), Place(None, now_s), Place(now_s - 60)]
    idle, unread = Place(now_s - 200), Place(None, now_s - 60)
    for place in (*good, idle, unread):
        streams.add(place)
    await until(lambda: bool(idle.ended and unread.ended))
    assert not any(place.ended for place in good)
    assert "had no request for a long time" in idle.ended[0]
    assert unread.ended[0] == "cut off"
    for stream in streams.all():
        streams.remove(stream)


async def test_what_is_under_way_on_a_stream_is_bounded_by_its_lines(transport: TransportName) -> None:
    held = Held()
    serving = Serving(held, transport)
    async with serving as channel:
        streams = serving.server._streams._streams
        items = [ReservationItem(variant_id=f"v{number}", quantity=1) for number in range(89)]
        call = ReservationStreamStub(channel).ReserveStock()
        await call.write(message(*[an_order(number, items=items) for number in range(60)]))
        fit = DEFAULT_BOUNDS.lines_a_stream_max // 90 + 1
        await held.holds(fit)
        assert streams.lines == 90 * fit
        held.give(range(9))
        await replies_of(call, 9)
        await held.holds(fit + 9)
        assert streams.lines == 90 * fit
        call.cancel()
        await until(lambda: streams.statistics().streams == 0)
        assert streams.lines == 0
        held.give(range(9, len(held.held)))


async def test_a_stream_that_is_not_read_is_cut_off_and_its_place_is_free(transport: TransportName) -> None:
    serving = Serving(Held(), transport)
    async with serving as channel:
        streams = serving.server._streams._streams
        streams._unread_s = streams._sweep_every_s = 0.05
        options = [("grpc.http2.lookahead_bytes", 1_024), ("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(str(serving.server.addresses[0]), options=options) as slow:
            call = ReservationStreamStub(slow).ReserveStock()
            long = "x" * 5_000

            async def write() -> None:
                while True:
                    bad = [
                        an_order(number, items=[ReservationItem(variant_id=long) for _ in range(60)])
                        for number in range(50)
                    ]
                    await call.write(message(*bad))

            writing: Any = asyncio.ensure_future(write())
            await until(lambda: streams.statistics().cut_off == 1)
            await until(lambda: streams.statistics().streams == 0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        streams._unread_s = 30.0
        other = ReservationStreamStub(channel).ReserveStock()
        await other.write(message(an_order(1, items=[])))
        assert len(await replies_of(other, 1)) == 1

"""Attacks by single frames of HTTP/2; see `tests.torture.attackers`."""

import asyncio
import itertools
import random

from stockkeeper_client.v1 import inventory_pb2 as pb

from tests.rpc.transport.answers import PREFACE, h2_frame, headers_by_hand
from tests.torture.attack import ATTACKER, BASKET, RESERVE, attack
from tests.torture.attacks_by_hand import (
    DATA,
    END_STREAM,
    HEADERS,
    WINDOW_UPDATE,
    begun,
    both,
    connected,
    flood,
    many,
    message_of,
    swallow,
)

PRIORITY, CONTINUATION, UNKNOWN = 2, 9, 0x42
WHOLE_WINDOW = (2**31 - 1).to_bytes(4, "big")
LEAVE_AFTER_S, WATCHING_CONNECTIONS = 4.0, 500
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"


async def _many_streams(port: int, of_stream: bytes, connections: int = 4) -> None:
    """Connections that send these frames for one stream after the other; `of_stream` has 0 in the stream's place."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def write() -> None:
                writer.write(PREFACE)
                for stream in range(1, 2**30, 2):
                    writer.write(_for_stream(of_stream, stream))
                    if stream % 64 == 1:
                        await writer.drain()

            await both(swallow(reader), write())

    await many(connections, work)


def _for_stream(frames: bytes, stream: int) -> bytes:
    """The same frames with a number of a stream in each."""
    written, at = bytearray(frames), 0
    while at < len(written):
        written[at + 5 : at + 9] = stream.to_bytes(4, "big")
        at += 9 + int.from_bytes(written[at : at + 3], "big")
    return bytes(written)


def _an_order() -> bytes:
    items = [pb.ReservationItem(variant_id=f"{BASKET[0]}-nowhere", quantity=1)]
    order = pb.ReserveStockRequest(organization_id=ATTACKER, order_id="reset", items=items)
    return message_of(order.SerializeToString())


@attack
async def made_you_reset(port: int) -> None:
    """Calls that the client makes the server reset: their window overflows when they are under way."""
    call = begun(0, RESERVE) + h2_frame(DATA, END_STREAM, 0, _an_order())
    await _many_streams(port, call + h2_frame(WINDOW_UPDATE, 0, 0, WHOLE_WINDOW) * 2)


@attack
async def expired_deadlines(port: int) -> None:
    """Calls whose time is over when they come."""
    call = begun(0, RESERVE, {b"grpc-timeout": b"1n"}) + h2_frame(DATA, END_STREAM, 0, _an_order())
    await _many_streams(port, call)


@attack
async def continuations(port: int) -> None:
    """A block of headers that never ends."""
    field = b"\x00\x05x-abc" + bytes([100]) + b"v" * 100
    more = h2_frame(CONTINUATION, 0, 1, field * 70)

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def write() -> None:
                writer.write(PREFACE + h2_frame(HEADERS, 0, 1, headers_by_hand(RESERVE.encode())))
                while True:
                    writer.write(more)
                    await writer.drain()

            await both(swallow(reader), write())

    await many(4, work)


@attack
async def fuzzed_frames(port: int) -> None:
    """Frames of any kind, flags, stream and content."""
    numbers = random.Random(13)

    def a_frame() -> bytes:
        kind, flags, stream = numbers.choice((*range(10), UNKNOWN)), numbers.randrange(256), numbers.randrange(8)
        return h2_frame(kind, flags, stream, numbers.randbytes(numbers.choice((0, 4, 5, 8, 40))))

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def write() -> None:
                writer.write(PREFACE)
                while True:
                    writer.write(b"".join(a_frame() for _ in range(20)))
                    await writer.drain()
                    await asyncio.sleep(0)

            await both(swallow(reader), write())

    await many(8, work)


@attack
async def priorities(port: int) -> None:
    """PRIORITY and nothing else, on twelve connections."""
    await flood(port, h2_frame(PRIORITY, 0, 3, b"\0\0\0\0\x10") * 500)


@attack
async def empty_data(port: int) -> None:
    """Calls with empty frames of DATA without an end, on twelve connections."""
    await flood(port, h2_frame(DATA, 0, 1, b"") * 500, begun(1, RESERVE))


@attack
async def unknown_frames(port: int) -> None:
    """Frames of a kind that does not exist, on twelve connections."""
    await flood(port, h2_frame(UNKNOWN, 0, 0, b"12345678") * 500)


@attack
async def health_watchers(port: int) -> None:
    """50,000 watches of health, on 500 connections that come within 4 s and leave at once, again and again."""
    watch = b"".join(
        begun(stream, HEALTH_WATCH) + h2_frame(DATA, END_STREAM, stream, message_of(b"")) for stream in range(1, 201, 2)
    )
    writers: set[asyncio.StreamWriter] = set()
    places = itertools.cycle(range(WATCHING_CONNECTIONS))

    async def work() -> None:
        await asyncio.sleep(LEAVE_AFTER_S * next(places) / WATCHING_CONNECTIONS)
        async with connected(port) as (reader, writer):
            writer.write(PREFACE + watch)
            writers.add(writer)
            await swallow(reader)

    async def leave_together() -> None:
        while True:
            await asyncio.sleep(LEAVE_AFTER_S)
            leaving = list(writers)
            writers.clear()
            for writer in leaving:
                writer.transport.abort()

    await asyncio.gather(many(WATCHING_CONNECTIONS, work), leave_together())


@attack
async def silent_peers(port: int) -> None:
    """900 peers that connect, and say nothing at all."""

    async def work() -> None:
        async with connected(port) as (reader, _):
            await swallow(reader)

    await many(900, work)

"""Attacks by HTTP/2 that no client of gRPC sends; see `tests.torture.attackers`."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from stockkeeper_client.v1 import stock_pb2

from tests.rpc.transport.answers import PREFACE, h2_frame, headers_by_hand
from tests.torture.attack import ATTACKER, HOST, RESERVE, STOCK, attack

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
END_HEADERS, END_STREAM = 4, 1
PINGS_EVERY_S = 0.01
OWN_HOST = "127.0.0.2"  # the bystander comes from another


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(OWN_HOST, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def many(connections: int, work: Callable[[], Awaitable[None]]) -> None:
    """As many connections, each opened again when it is closed."""

    async def again() -> None:
        while True:
            with suppress(OSError, EOFError):
                await work()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(again() for _ in range(connections)))


def begun(stream: int, path: str, more: dict[bytes, bytes] | None = None, flags: int = 0) -> bytes:
    return h2_frame(HEADERS, END_HEADERS | flags, stream, headers_by_hand(path.encode(), more))


def message_of(raw: bytes, *, compressed: bool = False) -> bytes:
    return bytes([compressed]) + len(raw).to_bytes(4, "big") + raw


async def swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def both(reading: Awaitable[None], writing: Awaitable[None]) -> None:
    """Until one of them ends."""
    tasks = [asyncio.ensure_future(reading), asyncio.ensure_future(writing)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


@attack
async def rapid_reset(port: int) -> None:
    """Streams that are opened and reset as fast as the server takes them."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def reset() -> None:
                writer.write(PREFACE)
                for stream in range(1, 2**30, 2):
                    writer.write(begun(stream, RESERVE) + h2_frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
                    if stream % 64 == 1:
                        await writer.drain()

            await both(swallow(reader), reset())

    await many(4, work)


@attack
async def unknown_methods(port: int) -> None:
    """Calls of what does not exist."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def call() -> None:
                writer.write(PREFACE + h2_frame(WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big")))
                for stream in range(1, 2**30, 2):
                    writer.write(begun(stream, "/no.such/Method", flags=END_STREAM))
                    if stream % 64 == 1:
                        await writer.drain()

            await both(swallow(reader), call())

    await many(4, work)


@attack
async def calls_with_pings(port: int) -> None:
    """Calls with PINGs between them."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def call() -> None:
                writer.write(PREFACE + h2_frame(WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big")))
                for stream in range(1, 2**30, 2):
                    data = h2_frame(DATA, END_STREAM, stream, message_of(b""))
                    writer.write(begun(stream, RESERVE) + data + h2_frame(PING, 0, 0, b"12345678"))
                    if stream % 64 == 1:
                        await writer.drain()
                        await asyncio.sleep(0.01)

            await both(swallow(reader), call())

    await many(8, work)


async def flood(port: int, frames: bytes, begin: bytes = b"") -> None:
    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def write() -> None:
                writer.write(PREFACE + begin)
                while True:
                    writer.write(frames)
                    await writer.drain()

            await both(swallow(reader), write())

    await many(12, work)


@attack
async def pings(port: int) -> None:
    """PINGs and nothing else, on twelve connections."""
    await flood(port, h2_frame(PING, 0, 0, b"12345678") * 500)


@attack
async def slow_pings(port: int) -> None:
    """25,000 PINGs a second on each of twelve connections: no flood by their bytes."""
    frames = h2_frame(PING, 0, 0, b"12345678") * 250

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def write() -> None:
                writer.write(PREFACE)
                while True:
                    writer.write(frames)
                    await writer.drain()
                    await asyncio.sleep(PINGS_EVERY_S)

            await both(swallow(reader), write())

    await many(12, work)


@attack
async def settings(port: int) -> None:
    """SETTINGS and nothing else, on twelve connections."""
    await flood(port, h2_frame(SETTINGS, 0, 0, b"") * 500)


@attack
async def bad_headers(port: int) -> None:
    """Header fields that may not be, which gRPC's core logs."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def call() -> None:
                writer.write(PREFACE)
                for stream in range(1, 2**30, 2):
                    writer.write(begun(stream, RESERVE, {b"grpc-timeout": b"xyz", b"x-Bad": b"\x01"}))
                    if stream % 64 == 1:
                        await writer.drain()

            await both(swallow(reader), call())

    await many(4, work)


@attack
async def gzip_bombs(port: int) -> None:
    """100 callers with 50 KB that become 49 MB."""
    bomb = gzip.compress(b"\x0a" + b"\xff\xff\xff\x17" + bytes(49 * 1024 * 1024))

    async def work() -> None:
        async with connected(port) as (reader, writer):
            writer.write(PREFACE)
            for stream in range(1, 201, 2):
                writer.write(begun(stream, RESERVE, {b"grpc-encoding": b"gzip"}))
                body = message_of(bomb, compressed=True)
                parts = [body[begin : begin + 16_384] for begin in range(0, len(body), 16_384)]
                for part in parts[:-1]:
                    writer.write(h2_frame(DATA, 0, stream, part))
                writer.write(h2_frame(DATA, END_STREAM, stream, parts[-1]))
                await writer.drain()
            await asyncio.wait_for(swallow(reader), 5)

    async def patient() -> None:
        with suppress(TimeoutError):
            await work()

    await many(1, patient)


@attack
async def unknown_fields(port: int) -> None:
    """16 callers with 200,900 unknown fields in a gzipped body."""
    body = gzip.compress(b"\xf8\x07\x00" * 200_900)

    async def work() -> None:
        async with connected(port) as (reader, writer):
            writer.write(PREFACE)
            for stream in range(1, 2**20, 2):
                writer.write(begun(stream, RESERVE, {b"grpc-encoding": b"gzip"}))
                writer.write(h2_frame(DATA, END_STREAM, stream, message_of(body, compressed=True)))
                await writer.drain()
                await reader.read(1 << 16)

    await many(16, work)


@attack
async def calls_that_never_end(port: int) -> None:
    """40 calls that send 3.9 MB of a message of 4 MB, and then a byte now and then."""

    async def work() -> None:
        async with connected(port) as (reader, writer):

            async def call() -> None:
                writer.write(PREFACE + begun(1, RESERVE))
                writer.write(h2_frame(DATA, 0, 1, b"\0" + (4_000_000).to_bytes(4, "big")))
                for _ in range(240):
                    writer.write(h2_frame(DATA, 0, 1, bytes(16_000)))
                    await writer.drain()
                while True:
                    writer.write(h2_frame(DATA, 0, 1, b"\0"))
                    await asyncio.sleep(1)

            await both(swallow(reader), call())

    await many(40, work)


@attack
async def unread_pages(port: int) -> None:
    """Pages of ListStock that are asked for, a hundred on a connection, and not read."""
    request = stock_pb2.ListStockRequest(organization_id=ATTACKER, page_size=1_000).SerializeToString()

    async def work() -> None:
        async with connected(port) as (_, writer):
            writer.write(PREFACE)
            for stream in range(1, 201, 2):
                writer.write(begun(stream, f"{STOCK}ListStock"))
                writer.write(h2_frame(DATA, END_STREAM, stream, message_of(request)))
                await writer.drain()
            await asyncio.sleep(60)

    await many(15, work)


@attack
async def much_metadata(port: int) -> None:
    """Calls with nearly 8 KB of metadata that stay open, on 40 connections."""
    more = {f"x-{number}".encode(): b"m" * 100 for number in range(60)}

    async def work() -> None:
        async with connected(port) as (_, writer):
            writer.write(PREFACE)
            for stream in range(1, 201, 2):
                writer.write(begun(stream, RESERVE, more))
                await writer.drain()
            await asyncio.sleep(60)

    await many(40, work)


@attack
async def idle_connections(port: int) -> None:
    """1,500 connections on which nothing is said after the preface."""

    async def work() -> None:
        async with connected(port) as (reader, writer):
            writer.write(PREFACE)
            await swallow(reader)

    await many(1_500, work)

"""Lets a client of a test come from another address than the test's others: gRPC has no option for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc.aio

OTHER_HOST = "127.0.0.2"


@asynccontextmanager
async def channel_from_elsewhere(host: str, port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server, which sees it come from `OTHER_HOST`."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await reader.read(64 * 1024):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port, local_addr=(OTHER_HOST, 0))
        open_writers.update((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    between = await asyncio.start_server(relay, "127.0.0.1", 0)
    own_port = between.sockets[0].getsockname()[1]
    options = [("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{own_port}", options=options) as channel:
        yield channel
    for writer in open_writers:
        writer.close()
    between.close()

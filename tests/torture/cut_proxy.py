"""A TCP proxy before Postgres whose network can be cut: nothing comes through, and no end is told."""

import asyncio
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 65_536


class CutProxy:
    """Passes connections on to a Postgres server's socket, unless it is cut.

    Attributes:
        upstream: the socket that new connections are passed on to.
        url: of the database by this way, once it listens.
    """

    def __init__(self, upstream: Path) -> None:
        self.upstream = upstream
        self.url = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_whole = asyncio.Event()
        self._is_whole.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres?sslmode=disable"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """From now on both sides hear nothing of each other, ends included."""
        self._is_whole.clear()

    def mend(self) -> None:
        """What was said meanwhile arrives now."""
        self._is_whole.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._is_whole.wait()
        up_reader, up_writer = await asyncio.open_unix_connection(str(self.upstream))
        pumps = [asyncio.create_task(self._pump(*pair)) for pair in ((reader, up_writer), (up_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # by `stop`; a callback of asyncio's streams would make a traceback of it
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for one in (writer, up_writer):
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                await self._is_whole.wait()
                writer.write(data)
                await writer.drain()
        await self._is_whole.wait()  # an end does not come through either

"""A TCP proxy before Postgres that can lose the answer to a batch's COMMIT: the batch lands, unknown to the server.

It knows as much of the protocol as that takes. What the server sends to Postgres is, after an untyped startup
message, a byte of type, four of length and the rest; asyncpg ends a transaction by the simple query `COMMIT;`.
Postgres answers that with a CommandComplete message whose tag is COMMIT, once it is durable. Housekeeping commits too,
on connections of its own: the one that writes batches is known by its prepared statement.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

QUERY, PARSE, COMPLETE = b"Q", b"P", b"C"
OF_A_BATCH = b"INSERT INTO journal_entry ("
CHUNK_BYTES = 65_536


class Messages:
    """Cuts a stream of bytes into messages."""

    def __init__(self, *, begins_untyped: bool) -> None:
        self._untyped = begins_untyped
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The type and body of each message that is complete now."""
        self._rest += data
        while True:
            head = 0 if self._untyped else 1
            if len(self._rest) < head + 4:
                return
            end = head + int.from_bytes(self._rest[head : head + 4])
            if len(self._rest) < end:
                return
            yield self._rest[:head], self._rest[head + 4 : end]
            self._rest = self._rest[end:]
            self._untyped = False


class CommitProxy:
    """Passes connections on to a Postgres server's socket.

    Attributes:
        lose: how many answers to a batch's COMMIT are to be lost from now on, with their connection.
        lost: how many were.
    """

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lose = 0
        self.lost = 0

    async def start(self) -> int:
        """Listen on a port of 127.0.0.1, which is returned."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
        is_committing = asyncio.Event()
        pumps = [
            asyncio.create_task(self._requests(reader, up_writer, is_committing)),
            asyncio.create_task(self._answers(up_reader, writer, is_committing)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for one in (writer, up_writer):
                one.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_committing: asyncio.Event
    ) -> None:
        messages = Messages(begins_untyped=True)
        writes_batches = False
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                for kind, body in messages.feed(data):
                    if kind == PARSE and OF_A_BATCH in body:
                        writes_batches = True
                    if writes_batches and kind == QUERY and body.startswith(b"COMMIT"):
                        is_committing.set()
                writer.write(data)
                await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_committing: asyncio.Event
    ) -> None:
        messages = Messages(begins_untyped=False)
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                for kind, body in messages.feed(data):
                    if is_committing.is_set() and kind == COMPLETE and body.startswith(b"COMMIT"):
                        is_committing.clear()
                        if self.lose:
                            self.lose -= 1
                            self.lost += 1
                            return
                writer.write(data)
                await writer.drain()

"""The server's end of the process that writes batches: see `storage.sql.batch_process`."""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from actors.records import Transaction
from storage.sql import batch_process
from storage.sql.batch_process import LENGTH_BYTES
from storage.store import StorageError

ENDS_WITHIN_S = 10.0


class BatchWriter:
    """A process that runs, and the way to it. Of one event loop of asyncio, on the main thread of which it is started.

    Args:
        process: it.
        reader, writer: what it answers, and what it is told.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()

    def __repr__(self) -> str:
        return f"<BatchWriter process={self._process.pid}>"

    @classmethod
    async def start(cls, path: Path, lock: int) -> Self:
        """Start it, and wait until it has the database open.

        Args:
            path: the file, which exists.
            lock: the descriptor of the lock file, which it keeps open.

        Raises:
            OSError, StorageError: it does not start.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = _process(path, theirs, lock)
        try:
            writer = cls(process, *await asyncio.open_connection(sock=ours))
        except BaseException:
            ours.close()
            await _end(process)
            raise
        try:
            await writer._answered()
        except BaseException:
            await writer.close()
            raise
        return writer

    async def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Write a batch: see `write_batch`, whose errors it raises.

        Raises:
            StorageError: the process has ended; the batch may have been written.
        """
        message = self._encoder.encode((epoch, transactions))
        self._writer.write(len(message).to_bytes(LENGTH_BYTES) + message)
        await self._answered()

    async def _answered(self) -> None:
        try:
            length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
            if not length:
                return
            error = pickle.loads(await self._reader.readexactly(length))  # from our own process
        except (asyncio.IncompleteReadError, ConnectionError):
            raise StorageError("the process that writes batches has ended") from None
        raise error

    async def close(self) -> None:
        """Let it end what it writes, and wait for that."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await _end(self._process)


def _process(path: Path, input_: socket.socket, lock: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", batch_process.__name__, str(path)],
        stdin=input_.fileno(),
        stdout=subprocess.DEVNULL,
        pass_fds=[lock],
        process_group=0,  # Ctrl-C is for the server
    )


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has ended to which nothing is said any more."""
    try:
        await asyncio.to_thread(process.wait, ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


def is_worth_it() -> bool:
    """Whether there is a second core for it."""
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1

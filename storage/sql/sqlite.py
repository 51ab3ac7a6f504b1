"""SQLite behind the store: a file, its lock, and one connection or two.

Where SQLite can corrupt a WAL that several connections checkpoint, one connection does everything. Elsewhere a
second one reads, so that a read need not wait for the batch that is being written.

A connection lives on a thread of its own (`ThreadLine`), or inline, where the caller waits for it
(`InlineLine`): the simulation has no threads, and runs under trio.

While there is a crowd and a second core, a process of its own writes the journal's batches (`storage.sql.batch_writer`,
with the measured reason in `storage.sql.batch_process`). It and the server's connection never write at the same time.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

import aiosqlite
from anyio import Lock, lowlevel, sleep
from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from actors.records import Transaction
from storage.latecomers import Latecomers
from storage.sql.batch_writer import BatchWriter, is_worth_it
from storage.sql.lock_file import LockFile
from storage.sql.sqlite_files import (
    Identity,
    SqliteFiles,
    check_wal,
    gone,
    identity,
    is_empty,
    is_marked,
    lock_path,
    make_private,
)
from storage.sql.sqlite_session import SqliteSession, check_version, describe_path, survives_many_connections
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS
from storage.sql.sqlite_thread import run_on_thread
from storage.store import LEASE_S, MovedOut, Ownership, StorageError

T = TypeVar("T")

CROWDED_ENTRIES = 24  # of a batch that is a crowd's
CROWDED_BATCHES = 20  # before a process is started for them
ASIDE_ENTRIES = CROWDED_ENTRIES // 2  # the journal halves a crowd then; a batch of fewer is written as fast here
ASIDE_ROWS_MAX = 1_000  # which it takes the loop 2 ms to hand over
CHANGES_CHECKED_IN = 15_000  # of rows, with those of 1,000 lines or more at a time 1,000 pages

log = logging.getLogger(__name__)


class SqliteLine(Protocol):
    """The way to one connection: functions go in one after the other, and each runs whole."""

    async def run(self, function: Callable[[SqliteSession], T]) -> T:
        """Run a function on the connection, after all that was asked before. Cancelling it stops the waiting only."""
        ...

    async def close(self) -> None:
        """Close the connection, after all that was asked before."""
        ...


class ThreadLine:
    """A connection of SQLAlchemy's async engine, on aiosqlite's thread; a function costs one hop."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection, driver: aiosqlite.Connection) -> None:
        self._engine = engine
        self._connection = connection
        self._driver = driver
        self._session: SqliteSession | None = None

    def __repr__(self) -> str:
        return f"<ThreadLine {self._driver}>"

    @classmethod
    async def connect(cls, path: Path, *, reads_only: bool) -> Self:
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)),
            poolclass=NullPool,
            connect_args=CONNECT_ARGUMENTS,
            isolation_level="AUTOCOMMIT",
        )
        connection = await engine.connect()
        try:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, aiosqlite.Connection)
            line = cls(engine, connection, driver)
            line._session = await run_on_thread(driver, partial(SqliteSession, reads_only=reads_only))
        except BaseException:
            await connection.close()
            raise
        return line

    async def run(self, function: Callable[[SqliteSession], T]) -> T:
        session = self._session
        assert session is not None
        return await run_on_thread(self._driver, lambda _: function(session))

    async def close(self) -> None:
        try:
            await self.run(SqliteSession.close)
        finally:
            await self._connection.close()
            await self._engine.dispose()


class InlineLine:
    """A connection that its caller waits for, under any backend of anyio."""

    def __init__(self, session: SqliteSession) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<InlineLine {self._session}>"

    @classmethod
    async def connect(cls, path: Path, *, reads_only: bool) -> Self:
        raw = sqlite3.connect(path, **CONNECT_ARGUMENTS)
        try:
            return cls(SqliteSession(raw, reads_only=reads_only))
        except BaseException:
            raw.close()
            raise

    async def run(self, function: Callable[[SqliteSession], T]) -> T:
        await lowlevel.checkpoint()
        return function(self._session)

    async def close(self) -> None:
        self._session.close()
        self._session.raw.close()


class SqliteBackend:
    """A database file and its lock file beside it.

    Args:
        path: the file. Its directory must exist.
        inline: run everything where it is asked for, without a thread.
        reader: whether a second connection reads; None lets the version of SQLite decide.
    """

    errors = (sqlite3.Error,)

    def __init__(self, path: Path, *, inline: bool = False, reader: bool | None = None) -> None:
        self._path = path.resolve()  # so that two links to a file have one lock
        self._line: type[ThreadLine] | type[InlineLine] = InlineLine if inline else ThreadLine
        self._has_reader = survives_many_connections(sqlite3.sqlite_version_info) if reader is None else reader
        self._opened: AsyncExitStack | None = None
        self._known: Identity | None = None  # the file that was opened first
        self._files: SqliteFiles | None = None
        self._writer: SqliteLine | None = None
        self._reader: SqliteLine | None = None
        self._lock: LockFile | None = None
        self._writing = Lock(fast_acquire=True)
        self._crowded = 0  # batches
        self._changes = 0  # of rows, by the connection that writes
        self._changes_checked_in = 0  # when the WAL was last copied
        self._changes_let_go = 0  # when pages were last let go
        self._aside: BatchWriter | None = None
        self._starting: asyncio.Task[None] | None = None  # of that

    def __repr__(self) -> str:
        return f"<SqliteBackend {self._path} open={self._writer is not None}>"

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def connections(self) -> str:
        return "one writes, one reads" if self._has_reader else "one for everything"

    @property
    def writes_aside(self) -> bool:
        return self._aside is not None

    async def stand_by(self, on_waiting: Callable[[str], None]) -> None:
        raise StorageError("nothing can take the lock of a SQLite file from a process that still exists")

    async def open(self, owner: str) -> Ownership:
        check_version(sqlite3.sqlite_version_info, sqlite3.sqlite_version)
        if problem := describe_path(self._path):
            raise StorageError(problem)
        stack = self._opened = AsyncExitStack()
        lock = self._lock = LockFile.acquire(lock_path(self._path))
        stack.callback(lock.release)
        if self._known is not None and identity(self._path) != self._known:
            raise gone(self._path)
        if lock.epoch and is_empty(self._path):
            raise StorageError(
                f"the database {self._path} is empty or missing, though a server had it in epoch {lock.epoch}:"
                f" put it back, or remove {lock_path(self._path)} to begin with an empty one"
            )
        if suspect := check_wal(self._path, lock.inode):
            log.warning("database_suspect", extra={"reason": suspect})
        is_unclean = not is_empty(self._path) and is_marked(self._path)
        make_private(self._path)
        self._writer = await self._connect(stack, reads_only=False)
        ownership = await self._writer.run(partial(_taken_over, owner=owner, suspect=suspect, is_unclean=is_unclean))
        self._files = SqliteFiles(self._path)
        inode = self._path.stat().st_ino
        self._known = self._files.database
        stack.push_async_callback(self._leave_no_wal, self._files, self._writer)
        self._reader = await self._connect(stack, reads_only=True) if self._has_reader else self._writer
        if ownership.epoch > 1 and lock.epoch != ownership.epoch - 1:
            await sleep(LEASE_S)  # an owner whose lock was removed answers no call after that
        lock.note(ownership.epoch, inode)  # not before: the next one waits if this one is killed meanwhile
        return ownership

    async def _connect(self, stack: AsyncExitStack, *, reads_only: bool) -> SqliteLine:
        line = await self._line.connect(self._path, reads_only=reads_only)
        stack.push_async_callback(line.close)
        return line

    async def write(
        self, epoch: int, transactions: Sequence[Transaction], latecomers: Latecomers
    ) -> Sequence[Transaction]:
        async with self._writing:
            if self._aside is not None and _is_worth_handing_over(transactions):
                await self._aside.write(epoch, transactions)
                return transactions  # who comes late is half of a crowd, and a batch of its own
            if len(transactions) >= CROWDED_ENTRIES:
                self._meet_a_crowd()
            return await self._run(self._writer, lambda session: session.write(epoch, transactions, latecomers))

    async def catch_up(self) -> None:
        """Copy what is in the WAL, if it is a good part of what SQLite would copy in the middle of a commit.

        That takes 15 to 20 ms for 16 MB, for which a batch waits. A quarter of it, when none is there, is hardly met.
        """
        if self._changes - self._changes_checked_in < CHANGES_CHECKED_IN:
            return
        async with self._writing:
            self._changes_checked_in = self._changes
            await self._run(self._writer, _check_in)

    async def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        async with self._writing:
            return await self._run(self._writer, lambda session: session.move_out(epoch, before_ms, rows_max))

    async def change(self, epoch: int, function: Callable[[Connection], None]) -> None:
        async with self._writing:
            await self._run(self._writer, lambda session: session.change(epoch, function))
        await self.catch_up()  # after a batch that has waited for this

    def _meet_a_crowd(self) -> None:
        self._crowded += 1
        if self._crowded == CROWDED_BATCHES and isinstance(self._writer, ThreadLine) and is_worth_it():
            self._starting = asyncio.create_task(self._start_aside())

    async def _start_aside(self) -> None:
        lock, files = self._lock, self._files
        assert lock is not None
        assert files is not None
        try:
            aside = await BatchWriter.start(self._path, lock.descriptor)
        except (OSError, StorageError) as error:
            log.warning("batches_written_by_a_thread", extra={"reason": str(error)})
            return
        self._aside = aside
        try:
            files.check()  # so that what it has open is what we have open
        except StorageError:
            await self._end_aside()

    async def read(self, function: Callable[[Connection], T]) -> T:
        return await self._run(self._reader, lambda session: session.read(function))

    async def let_go(self) -> bool:
        before = self._changes_let_go
        self._changes_let_go = await self._run(self._writer, lambda session: session.let_go(before))
        has_ended = await self._end_aside()
        return self._changes_let_go != before or has_ended

    async def _end_aside(self) -> bool:
        """The next crowd gets another. Returns whether there was one."""
        async with self._writing:
            aside, self._aside, self._crowded = self._aside, None, 0
        if aside is not None:
            await aside.close()
        return aside is not None

    async def _run(self, line: SqliteLine | None, function: Callable[[SqliteSession], T]) -> T:
        files = self._files
        assert line is not None
        assert files is not None

        def run_and_look(session: SqliteSession) -> T:
            value = function(session)
            files.check()
            if line is self._writer:
                self._changes = session.raw.total_changes
            return value

        return await line.run(run_and_look)

    async def _leave_no_wal(self, files: SqliteFiles, writer: SqliteLine) -> None:
        def leave(session: SqliteSession) -> None:
            if files.are_ours:
                with suppress(sqlite3.Error):  # a full disk, for example; then the next server looks at the WAL
                    session.mark_unused()
            files.leave_no_wal(session.raw)

        await writer.run(leave)

    async def close(self) -> None:
        if (starting := self._starting) is not None:
            starting.cancel()
            await asyncio.wait([starting])
        await self._end_aside()
        stack, self._opened = self._opened, None
        self._writer = self._reader = self._files = self._lock = self._starting = None
        self._crowded = self._changes = self._changes_checked_in = self._changes_let_go = 0
        if stack is not None:
            await stack.aclose()


def _check_in(session: SqliteSession) -> None:
    with suppress(sqlite3.Error):  # of a full disk, for example, the next batch tells
        session.check_in()


def _is_worth_handing_over(transactions: Sequence[Transaction]) -> bool:
    return len(transactions) >= ASIDE_ENTRIES and sum(len(one.changes) for one in transactions) <= ASIDE_ROWS_MAX


def _taken_over(session: SqliteSession, owner: str, suspect: str, is_unclean: bool) -> Ownership:
    session.check_ours()
    if suspect:
        session.check_whole()
    elif is_unclean:
        session.check_soon()
    ownership = session.take_over(owner)
    session.check_in()
    return ownership

"""The two ends of a move: a database that is opened and held as a server holds it, and in which functions are run."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.sql.database_url import parse_url
from storage.sql.file_state import look_at_file
from storage.sql.lock_file import LockFile
from storage.sql.move import MoveRefused, MoveSide
from storage.sql.postgres_address import PostgresAddress, read_address
from storage.sql.sqlite_files import lock_path, make_private
from storage.sql.sqlite_session import SqliteSession, describe_path
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS
from storage.store import StorageError

T = TypeVar("T")


@asynccontextmanager
async def opened_side(database_url: str, *, is_source: bool) -> AsyncIterator[MoveSide]:
    """Hold a database for the length of a block. A file that is not there is made, as a target.

    Raises:
        MoveRefused: the file is not there, or not what the last server had.
        OwnershipLost: a server has it.
        StorageError, SQLAlchemyError, sqlite3.Error, OSError: it cannot be opened.
    """
    url = parse_url(database_url)
    opened = _opened_file(url, is_source) if url.get_backend_name() == "sqlite" else _opened_postgres(url)
    async with opened as side:
        yield side


class SqliteSide:
    """A file that is held by its lock."""

    def __init__(self, path: Path, session: SqliteSession) -> None:
        self._path = path
        self._session = session

    def __repr__(self) -> str:
        return f"<SqliteSide {self._path}>"

    @property
    def name(self) -> str:
        return str(self._path)

    async def run(self, function: Callable[[Connection], T]) -> T:
        return self._session.in_transaction(function)


def path_of(url: URL) -> Path:
    """The file of a URL of SQLite."""
    return Path(str(url.database)).resolve()


@asynccontextmanager
async def _opened_file(url: URL, is_source: bool) -> AsyncIterator[MoveSide]:
    path = path_of(url)
    if trouble := describe_path(path):
        raise StorageError(trouble)
    state = look_at_file(path)
    if state.kind in ("lost", "suspect") or (is_source and state.kind == "none"):
        raise MoveRefused(state.found)
    lock = LockFile.acquire(lock_path(path))
    try:
        make_private(path)
        with closing(sqlite3.connect(path, **CONNECT_ARGUMENTS)) as raw:
            session = SqliteSession(raw)
            session.check_ours()
            with closing(session):
                yield SqliteSide(path, session)
                epoch = session.leave_in_order()
        lock.note(epoch, path.stat().st_ino)
    finally:
        lock.release()


class PostgresSide:
    """A database whose lock another connection holds.

    Args:
        holder: the connection, of asyncpg.
    """

    def __init__(self, address: PostgresAddress, holder: Any, engine: AsyncEngine) -> None:
        self._address = address
        self._holder = holder
        self._engine = engine

    def __repr__(self) -> str:
        return f"<PostgresSide {self._address}>"

    @property
    def name(self) -> str:
        return self._address.name

    async def run(self, function: Callable[[Connection], T]) -> T:
        if self._holder.is_closed():
            raise StorageError(f"the connection that held the lock of {self.name} is gone")
        async with self._engine.connect() as connection, connection.begin():
            return await connection.run_sync(function)


@asynccontextmanager
async def _opened_postgres(url: URL) -> AsyncIterator[MoveSide]:
    import asyncpg  # type: ignore[import-untyped]

    from storage.sql.postgres_lock import lock_key, take_lock
    from storage.sql.postgres_session import NO_TIMEOUTS, check_sessions, connect, own_schema

    async def connected() -> Any:
        try:
            connection = await connect(address)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            cause = (str(error).splitlines() or ["it did not answer in time"])[0]
            raise StorageError(f"cannot open the database {address.name}: {cause}") from error
        await connection.execute(NO_TIMEOUTS)
        return connection

    address = read_address(url)
    holder = await connected()
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connected, pool_size=1, max_overflow=0)
    try:
        other = await connected()
        await check_sessions(holder, other)
        await other.close()
        await take_lock(holder, lock_key(await own_schema(holder)))
        yield PostgresSide(address, holder, engine)
    finally:
        await engine.dispose()
        await holder.close()

"""One moment of a database that a server may be using, read by another process.

Several questions agree with each other only if they see the same moment. On Postgres that is a REPEATABLE READ
transaction that may not write; on SQLite a transaction in WAL mode, which takes no lock and keeps no other waiting.

A second connection to a WAL is safe in every version of SQLite as long as it neither commits nor checkpoints
(https://sqlite.org/wal.html#walresetbug: one connection checkpoints while another one's commit resets the WAL).
This one can do neither. It is opened `mode=ro`, so nothing it runs commits a change, and automatic checkpoints
follow commits only. The checkpoint at the close of the last connection needs an exclusive lock on the file: the
kernel does not give a write lock to a descriptor that was opened for reading, whether or not a server runs. What
a killed server left in its WAL is read from there and stays there, for the next server to check in.

It pins the WAL while it reads: the server checkpoints, but cannot reset the WAL beyond this moment, so that the WAL
grows by what is written meanwhile and shrinks again afterwards.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from storage.sql.database_url import parse_url
from storage.sql.postgres_address import read_address
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a SQLite file that a server may be using, which can change nothing.

    Raises:
        sqlite3.Error: the file does not exist or is no database.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, **CONNECT_ARGUMENTS)) as raw:
        raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        raw.execute("PRAGMA query_only = 1")
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        yield raw


def read_file(path: Path, function: Callable[[Connection], T]) -> T:
    """Run a function that reads one moment of a SQLite file. Raises what `open_read_only` does, and SQLAlchemyError."""
    with open_read_only(path) as raw:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            raw.execute("BEGIN")  # not before: SQLAlchemy rolls back when it first sees a connection
            return function(connection)


async def read_snapshot(database_url: str, function: Callable[[Connection], T]) -> T:
    """Run a function that reads, where it sees one moment of the database and can change nothing.

    Args:
        database_url: of a kind that `storage.sql.sql_store.backend_for` understands.

    Raises:
        SQLAlchemyError, sqlite3.Error, OSError: the database cannot be read.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        return read_file(Path(str(url.database)), function)
    return await _read_postgres(url, function)


async def _read_postgres(url: URL, function: Callable[[Connection], T]) -> T:
    from storage.sql.postgres_session import connect

    address = read_address(url)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(address), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                return await connection.run_sync(function)
    finally:
        await engine.dispose()

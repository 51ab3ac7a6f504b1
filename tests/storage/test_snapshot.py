"""A snapshot sees one moment of a database that goes on, and changes nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio

COUNT = text("SELECT count(*), max(lsn) FROM stock_movement")
BEHIND_ITS_BACK = "DELETE FROM stock_movement WHERE lsn = 1"
Database = tuple[str, Callable[[str], object]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A URL, and how to change what is there from another connection."""
    if request.param == "sqlite":
        path = tmp_path / "stock ?keeper.db"

        def execute(sql: str) -> None:
            raw = sqlite3.connect(path, **CONNECT_ARGUMENTS)
            raw.execute(sql)
            raw.close()

        return f"sqlite+aiosqlite:///{path}".replace("?", "%3F"), execute
    postgres = request.getfixturevalue("postgres")
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(postgres.get_uri()), postgres.psql


async def test_what_is_changed_meanwhile_is_not_seen(database: Database) -> None:
    url, execute = database
    store = SqlStore(url)
    await store.open()
    await store.write([Scribe().receive()])

    def read(connection: Connection) -> list[tuple[int, int]]:
        before = connection.execute(COUNT).one()
        execute(BEHIND_ITS_BACK)
        return [tuple(before), tuple(connection.execute(COUNT).one())]

    assert await read_snapshot(url, read) == [(1, 1), (1, 1)]
    await store.close()
    assert await read_snapshot(url, lambda connection: connection.execute(COUNT).one()[0]) == 0


async def test_it_cannot_write(database: Database) -> None:
    url, _ = database
    store = SqlStore(url)
    await store.open()
    with pytest.raises(DBAPIError, match=r"read-?only"):
        await read_snapshot(url, lambda connection: connection.execute(text("UPDATE ownership SET epoch = 9")))
    await store.check_ownership()
    await store.close()

"""What a start makes of a database that has lost a table or an index, or whose pages or rows are damaged."""
# ruff: noqa: ASYNC240 - what is done to the files is done between two awaits, on purpose

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from actors.queries import ListStock
from storage.sql import sqlite_session
from storage.sql.audit import audit
from storage.sql.migrate import migrate
from storage.sql.schema import metadata
from storage.sql.schema_check import missing_indexes
from storage.store import DatabaseGone, StorageError
from tests.storage.scribe import ORGANIZATION, Scribe
from tests.storage.test_sqlite_at_start import killed, made

pytestmark = pytest.mark.anyio
INDEXES = sorted(str(index.name) for table in metadata.sorted_tables for index in table.indexes)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


async def begin(path: Path) -> None:
    store = made(path)
    await store.open()
    await store.write([Scribe().counted([("v", "w", 5)])])
    await store.close()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("index", INDEXES)
async def test_an_index_that_was_dropped_is_made_anew_and_told(
    path: Path, index: str, caplog: pytest.LogCaptureFixture
) -> None:
    await begin(path)
    change(path, f"DROP INDEX {index}")
    with caplog.at_level(logging.WARNING):
        store = made(path)
        await store.open()
        await store.close()
    [told] = [record for record in caplog.records if record.message == "index_made_anew"]
    assert vars(told)["index"] == index
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert missing_indexes(connection) == []


async def test_check_tells_an_index_that_is_missing(path: Path) -> None:
    await begin(path)
    change(path, f"DROP INDEX {INDEXES[0]}")
    with create_engine(f"sqlite:///{path}").connect() as connection:
        told = [disagreement.sentence for disagreement in audit(connection).disagreements]
    assert told == [f"the index {INDEXES[0]} is missing: the next start of a server makes it anew"]


@pytest.mark.parametrize("table", ["reservation_item", "stock_movement", "request"])
async def test_a_table_that_was_dropped_ends_the_start(path: Path, table: str) -> None:
    await begin(path)
    change(path, f"DROP TABLE {table}")
    with pytest.raises(DatabaseGone, match=f"the database has lost the table {table}: restore a backup"):
        await made(path).open()


async def test_after_a_kill_a_damaged_page_is_found(path: Path) -> None:
    await killed(path)
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    for page in range(4_096, len(content), 4_096):
        content[page : page + 12] = b"\xff" * 12
    path.write_bytes(content)
    with pytest.raises((StorageError, sqlite3.DatabaseError), match=r"damaged|malformed"):
        await made(path).open()


async def test_after_a_kill_a_large_database_is_read_in_part(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await killed(path)
    monkeypatch.setattr(sqlite_session, "READ_WHOLE_BYTES_MAX", 0)
    whole: list[str] = []
    monkeypatch.setattr(sqlite_session.SqliteSession, "check_whole", lambda self: whole.append("read"))
    store = made(path)
    await store.open()
    assert whole == []
    assert len(await store.list_stock(ListStock(ORGANIZATION, limit=500))) == 200
    await store.close()


async def test_a_row_that_was_made_impossible_is_shown_as_it_is(path: Path) -> None:
    await begin(path)
    change(path, "PRAGMA ignore_check_constraints = 1", "UPDATE stock SET available = -3, total = -3")
    store = made(path)
    await store.open()
    [row] = await store.list_stock(ListStock(ORGANIZATION, limit=5))
    assert row.available == -3
    await store.close()


def test_a_schema_that_was_just_made_lacks_nothing() -> None:
    with create_engine("sqlite://").begin() as connection:
        migrate(connection)
        assert missing_indexes(connection) == []

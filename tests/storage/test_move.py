"""Everything goes from one database to another, is compared, and can be cut off at any step."""
# ruff: noqa: ASYNC240 - what is done to the files is done between two awaits, on purpose

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Table

from stockkeeper.command_line import move_command
from stockkeeper.config import ConfigurationError
from storage.schema_errors import SchemaTooNew, SchemaTooOld
from storage.sql import move as moving
from storage.sql import table_copy
from storage.sql.audit import audit
from storage.sql.file_state import look_at_file
from storage.sql.move import Moved, MoveRefused, MoveSide, move_all
from storage.sql.move_sides import opened_side
from storage.sql.schema import metadata
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from storage.sql.table_copy import Rows
from storage.store import OwnershipLost
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import Scribe
from tests.system.servers import run_cli

pytestmark = pytest.mark.anyio

T = TypeVar("T")

# Two days of deliveries and orders, a part of them in the archive.
DUMP = Path(__file__).parent / "databases" / "schema_0002.sql"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that keys of every kind lie between two pages."""
    monkeypatch.setattr(table_copy, "ROWS_A_PAGE", 8)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def empty_url(postgres: PostgresServer) -> str:
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(postgres.get_uri())


@pytest.fixture
async def source(tmp_path: Path) -> str:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(DUMP.read_text())
    url = url_of(path)
    store = SqlStore(url)
    await store.open()  # brings it up to date
    await store.close()
    return url


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite+aiosqlite:///"))


async def moved(source: str, target: str) -> Moved:
    async with opened_side(source, is_source=True) as begin, opened_side(target, is_source=False) as end:
        return await move_all(begin, end)


async def test_everything_goes_to_postgres_and_back(source: str, empty_url: str, tmp_path: Path) -> None:
    there = await moved(source, empty_url)
    assert there.tables["stock_movement"].rows > 10
    assert there.tables["stock_movement_archive"].rows > 10
    assert there.tables["reservation_archive"].rows > 1
    back = url_of(tmp_path / "back.db")
    assert len({moved.digest for moved in there.tables.values() if moved.rows}) > 8
    again = await moved(empty_url, back)
    assert {name: one for name, one in again.tables.items() if name != "ownership"} == {
        name: one for name, one in there.tables.items() if name != "ownership"
    }
    for url in (source, empty_url, back):
        assert (await read_snapshot(url, audit)) == there.audit
    assert contents(path_of(back)) == contents(path_of(source))
    stats = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2"
    assert rows_of(path_of(back), stats) == rows_of(path_of(source), stats)


def rows_of(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(query).fetchall()


def contents(path: Path) -> dict[str, list[str]]:
    """All of a file but for who had it last, as SQLite itself tells it."""
    tables = [table for table in metadata.sorted_tables if table.name != "ownership"]
    return {
        one.name: sorted(map(repr, rows_of(path, f"SELECT {', '.join(one.c.keys())} FROM {one.name}")))
        for one in tables
    }


async def test_a_server_goes_on_where_the_last_one_was(source: str, tmp_path: Path) -> None:
    before = SqlStore(source)
    was = await before.open()
    await before.close()
    target = tmp_path / "target.db"
    await moved(source, url_of(target))
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("target.db*")) == ["target.db", "target.db.lock"]
    assert look_at_file(target).kind == "whole"
    after = SqlStore(url_of(target))
    now = await after.open()
    assert (now.last_lsn, now.database_id, now.epoch) == (was.last_lsn, was.database_id, was.epoch + 2)
    await after.close()
    target.unlink()
    assert look_at_file(target).kind == "lost"


async def test_a_server_that_slept_through_it_writes_nothing_more(source: str, tmp_path: Path) -> None:
    sleeping = SqlStore(source)
    await sleeping.open()
    path_of(source).with_name("source.db.lock").unlink()  # so that it does not keep the move away
    await moved(source, url_of(tmp_path / "target.db"))
    with pytest.raises(Exception, match=r"removed or replaced|owns the database since epoch"):
        await sleeping.write([Scribe().receive()])
    await sleeping.close()


class Breaking:
    """A side that dies at a step."""

    def __init__(self, side: MoveSide, steps: int) -> None:
        self._side = side
        self._steps = steps

    def __repr__(self) -> str:
        return f"<Breaking {self._side}>"

    @property
    def name(self) -> str:
        return self._side.name

    async def run(self, function: Callable[[Connection], T]) -> T:
        self._steps -= 1
        if self._steps < 0:
            raise KeyboardInterrupt
        return await self._side.run(function)


async def cut_off(source: str, target: str, steps: int) -> bool:
    """Whether a move was cut off after this number of steps at the target."""
    async with opened_side(source, is_source=True) as begin, opened_side(target, is_source=False) as end:
        try:
            await move_all(begin, Breaking(end, steps))
        except KeyboardInterrupt:
            return True
    return False


@pytest.mark.parametrize("kind", ["SQLite", "Postgres"])
async def test_a_move_that_is_cut_off_is_served_by_no_server_and_begins_anew(
    source: str, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    target = url_of(tmp_path / "target.db") if kind == "SQLite" else request.getfixturevalue("empty_url")
    steps, times = 1, 0
    while await cut_off(source, target, steps):
        store = SqlStore(target)
        with pytest.raises(SchemaTooNew, match="half of what `stockkeeper move` was to bring: run it again"):
            await store.open()
        await store.close()
        steps, times = steps * 2 + 1, times + 1
    assert times >= 5  # and the last one went through
    assert (await read_snapshot(target, audit)).disagreements == ()


async def test_the_last_step_alone_makes_a_database_of_it(source: str, tmp_path: Path) -> None:
    counted = Counting()
    async with (
        opened_side(source, is_source=True) as begin,
        opened_side(url_of(tmp_path / "a.db"), is_source=False) as end,
    ):
        counted.side = end
        await move_all(begin, counted)
    target = url_of(tmp_path / "target.db")
    assert await cut_off(source, target, counted.steps - 1)
    with pytest.raises(SchemaTooNew):
        await read_snapshot(target, audit)
    assert not await cut_off(source, target, counted.steps)


class Counting:
    """A side that counts its steps."""

    side: MoveSide
    steps = 0

    @property
    def name(self) -> str:
        return self.side.name

    async def run(self, function: Callable[[Connection], T]) -> T:
        self.steps += 1
        return await self.side.run(function)


# ---- what is not the same is noticed


def without_the_last(connection: Connection, table: Table, rows: Rows) -> None:
    table_copy.write_page(connection, table, rows[:-1] if table.name == "request" else rows)


def another_time(connection: Connection, table: Table, rows: Rows) -> None:
    wrong = [{**row, "expires_at": row["expires_at"] + 1} for row in rows] if table.name == "reservation" else rows
    table_copy.write_page(connection, table, wrong)


def no_time_for_none(connection: Connection, table: Table, rows: Rows) -> None:
    wrong = [{**row, "expires_at": row["expires_at"] or 0} for row in rows] if table.name == "journal_entry" else rows
    table_copy.write_page(connection, table, wrong)


@pytest.mark.parametrize(
    ("write", "table"),
    [(without_the_last, "request"), (another_time, "reservation"), (no_time_for_none, "journal_entry")],
)
async def test_what_does_not_arrive_as_it_was_is_refused(
    source: str, tmp_path: Path, write: Callable[..., None], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = url_of(tmp_path / "target.db")
    monkeypatch.setattr(moving, "write_page", write)
    with pytest.raises(MoveRefused, match=f"{table} is not the same"):
        await moved(source, target)
    with pytest.raises(SchemaTooNew):
        await SqlStore(target).open()


# ---- what is refused before anything is done


async def test_a_target_that_has_something_is_left_as_it_is(source: str, tmp_path: Path) -> None:
    target = url_of(tmp_path / "target.db")
    store = SqlStore(target)
    await store.open()
    await store.close()
    await moved(source, target)  # servers have only started there
    before = contents(tmp_path / "target.db")
    with pytest.raises(MoveRefused, match="the target is not empty: it ends at LSN 34"):
        await moved(source, target)
    assert contents(tmp_path / "target.db") == before


async def test_another_programs_tables_are_left_alone(source: str, empty_url: str, postgres: PostgresServer) -> None:
    postgres.psql("CREATE TABLE request (id int); INSERT INTO request VALUES (7);")
    with pytest.raises(MoveRefused, match="another program's table request"):
        await moved(source, empty_url)
    assert "7" in postgres.psql("SELECT id FROM request").split()


async def test_neither_end_may_have_a_server(source: str, empty_url: str, tmp_path: Path) -> None:
    for url, ends in ((source, (source, empty_url)), (empty_url, (source, empty_url))):
        server = SqlStore(url)
        await server.open()
        with pytest.raises(OwnershipLost, match="another server owns the database"):
            await moved(*ends)
        await server.close()


async def test_a_source_that_is_not_in_order_is_not_moved(source: str, tmp_path: Path) -> None:
    target = url_of(tmp_path / "target.db")
    with pytest.raises(MoveRefused, match="does not exist"):
        await moved(url_of(tmp_path / "missing.db"), target)
    assert not (tmp_path / "missing.db").exists()
    with closing(sqlite3.connect(path_of(source))) as raw, raw:
        raw.execute("UPDATE stock SET available = available + 1, total = total + 1")
    with pytest.raises(MoveRefused, match="the source does not agree with itself"):
        await moved(source, target)
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as raw:
        raw.executescript(DUMP.read_text())
    with pytest.raises(SchemaTooOld, match="a start of the server makes"):
        await moved(url_of(old), target)
    path_of(source).unlink()
    with pytest.raises(MoveRefused, match="though a server had it"):
        await moved(source, target)


async def test_the_command_moves_and_shows_no_password(source: str, empty_url: str) -> None:
    secret = empty_url.replace("postgres@", "postgres:s3cret@", 1).replace("postgres:@", "postgres:s3cret@", 1)
    assert "s3cret" in secret
    status, out, err = await run_cli("move", "--from", source, "--to", secret)
    assert (status, err) == (0, "")
    assert "the same as before. All agrees: " in out
    status, again, err = await run_cli("move", f"--from={source}", f"--to={secret}")
    assert (status, again) == (1, "")
    assert err.startswith("Nothing was moved: the target is not empty: it ends at LSN 34 of ")
    assert "s3cret" not in out + err


@pytest.mark.parametrize(
    ("begin", "end", "sentence"),
    [
        ("sqlite:///a.db", "", "Say from where to where"),
        ("sqlite:///a.db", "sqlite:///a.db", "Both are the same database"),
        ("sqlite:///a.db", "mysql://u:s3cret@h/d", "must begin with sqlite or postgresql"),
    ],
)
def test_what_names_no_two_databases_is_refused(begin: str, end: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        move_command.move(from_=begin, to=end)
    assert "s3cret" not in str(refused.value)

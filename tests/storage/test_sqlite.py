"""SQLite keeps the contract, and what is true of SQLite alone: files, locks, threads, versions."""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from msgspec.structs import replace

from storage.schema_errors import SchemaTooNew
from storage.sql import sqlite_session, sqlite_settings
from storage.sql.sql_store import SqlStore, backend_for
from storage.sql.sqlite import SqliteBackend
from storage.sql.sqlite_session import check_version, survives_many_connections
from storage.store import OwnershipLost, StorageError
from tests.storage.contract import Make, contents
from tests.storage.contract_housekeeping import WholeStoreContract
from tests.storage.scribe import ORGANIZATION, Scribe


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stock keeper %20.db"  # a path is a path, and no URL


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


def execute(path: Path, sql: str, *parameters: Any) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql, parameters)
    connection.close()


def query(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


class SqliteContract(WholeStoreContract):
    @pytest.fixture
    def usurp(self, path: Path) -> Callable[[], None]:
        return lambda: execute(path, "UPDATE ownership SET epoch = epoch + 1")


class TestSqliteStore(SqliteContract):
    @pytest.fixture
    def make(self, path: Path) -> Make:
        return lambda: SqlStore(backend=SqliteBackend(path, reader=False), owner="a test")


class TestSqliteStoreWithAReader(SqliteContract):
    """As with a version of SQLite that is safe with two connections; nothing here checkpoints beside a writer."""

    @pytest.fixture
    def make(self, path: Path) -> Make:
        return lambda: SqlStore(backend=SqliteBackend(path, reader=True), owner="a test")


class TestInlineSqliteStore(SqliteContract):
    """As the simulation uses it: no thread, and trio too."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def make(self, path: Path) -> Make:
        return lambda: SqlStore(backend=SqliteBackend(path, inline=True), owner="a test")


@pytest.fixture
def store(path: Path) -> SqlStore:
    return SqlStore(backend=SqliteBackend(path), owner="a test")


SERVER = """
import asyncio, pathlib, sys, threading
from storage.sql.sqlite import SqliteBackend
from storage.sql.sql_store import SqlStore
from tests.storage.scribe import Scribe

async def main():
    store = SqlStore(backend=SqliteBackend(pathlib.Path(sys.argv[1])))
    await store.open()
    await store.write(Scribe().reserve_after_receiving())
    print("written", flush=True)
    threading.Event().wait()

asyncio.run(main())
"""


@pytest.mark.anyio
class TestOwner:
    async def test_the_refusal_names_the_file_and_the_process(self, store: SqlStore, path: Path) -> None:
        await store.open()
        second = SqlStore(backend=SqliteBackend(path))
        with pytest.raises(OwnershipLost, match=rf"process {os.getpid()} holds .*stock keeper %20\.db\.lock"):
            await second.open()
        await store.close()

    async def test_two_links_to_a_file_have_one_lock(self, store: SqlStore, path: Path, tmp_path: Path) -> None:
        await store.open()
        link = tmp_path / "link.db"
        link.symlink_to(path)
        with pytest.raises(OwnershipLost):
            await SqlStore(backend=SqliteBackend(link)).open()
        await store.close()

    async def test_a_killed_server_leaves_no_lock_and_loses_nothing(self, path: Path, store: SqlStore) -> None:
        async with await anyio.open_process([sys.executable, "-c", SERVER, str(path)], stderr=None) as server:
            assert server.stdout is not None
            try:
                assert (await server.stdout.receive()).startswith(b"written")
                with pytest.raises(OwnershipLost, match=f"process {server.pid} holds"):
                    await store.open()
            finally:
                server.kill()
        ownership = await store.open()
        assert (ownership.epoch, ownership.last_lsn) == (2, 2)
        assert len(await store.active_reservations(9)) == 1
        await store.close()

    async def test_the_database_says_who_owns_it(self, store: SqlStore, path: Path, scribe: Scribe) -> None:
        await store.open()
        await store.write([scribe.receive()])
        await store.close()
        assert query(path, "SELECT singleton, epoch, owner, last_lsn, last_at, entries_from_lsn FROM ownership") == [
            (1, 1, "a test", 1, "2026-09-21T14:13:20.000Z", 1)
        ]


@pytest.mark.anyio
class TestWhatCannotBeOpened:
    async def assert_refused(self, path: Path, sentence: str) -> None:
        store = SqlStore(backend=SqliteBackend(path))
        with pytest.raises(StorageError, match=sentence) as error:
            await store.open()
        assert "\n" not in str(error.value)
        await store.close()

    async def test_a_directory_that_does_not_exist(self, tmp_path: Path) -> None:
        await self.assert_refused(tmp_path / "nowhere" / "x.db", r"directory .*nowhere of the database does not exist")

    async def test_a_directory(self, tmp_path: Path) -> None:
        await self.assert_refused(tmp_path, "is a directory")

    @pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a directory that root cannot write either")
    async def test_a_directory_that_cannot_be_written(self) -> None:
        await self.assert_refused(Path("/proc/self/x.db"), r"cannot open the database /proc/.*x\.db")

    async def test_a_disk_without_room_for_a_batch(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_session, "FREE_BYTES_MIN", 1 << 60)
        await self.assert_refused(path, r"the disk of the database .* is full")

    async def test_a_file_that_is_no_database(self, path: Path) -> None:
        await anyio.Path(path).write_text("variant,quantity\n" * 999)
        await self.assert_refused(path, r"cannot open the database .*: file is not a database")

    async def test_a_database_with_a_damaged_page(self, path: Path, store: SqlStore) -> None:
        await store.open()
        await store.close()
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 4000)
        await self.assert_refused(path, "cannot open the database .*malformed")

    async def test_a_database_of_something_else(self, path: Path) -> None:
        execute(path, "CREATE TABLE stock (symbol TEXT)")
        await self.assert_refused(path, "cannot open the database .*: table stock already exists")
        assert query(path, "SELECT name FROM sqlite_schema") == [("stock",)]

    async def test_a_newer_schema(self, path: Path, store: SqlStore) -> None:
        await store.open()
        await store.close()
        execute(path, "UPDATE stockkeeper_schema_version SET version_num = '9999'")
        with pytest.raises(SchemaTooNew, match="has the schema 9999"):
            await store.open()
        assert query(path, "SELECT epoch FROM ownership") == [(1,)]

    async def test_a_store_that_failed_to_open_opens_at_the_next_try(self, path: Path, tmp_path: Path) -> None:
        store = SqlStore(backend=SqliteBackend(tmp_path / "later" / "x.db"))
        with pytest.raises(StorageError):
            await store.open()
        (tmp_path / "later").mkdir()
        assert (await store.open()).epoch == 1
        await store.close()

    @pytest.mark.parametrize(
        "url", ["sqlite+aiosqlite://", "sqlite://", "sqlite:///:memory:", "sqlite:///x.db?cache=1"]
    )
    def test_a_url_without_a_file_is_a_mistake(self, url: str) -> None:
        with pytest.raises(ValueError, match="must name a file"):
            backend_for(url)

    @pytest.mark.parametrize("url", ["x", "mysql://u:secret@h/d", ""])
    def test_another_url_is_a_mistake_and_its_password_stays_out(self, url: str) -> None:
        with pytest.raises(ValueError, match="database") as error:
            backend_for(url)
        assert "secret" not in str(error.value)


@pytest.mark.anyio
class TestConnections:
    @pytest.mark.parametrize("inline", [True, False])
    async def test_every_connection_has_the_pragmas(self, path: Path, inline: bool) -> None:
        backend = SqliteBackend(path, inline=inline, reader=True)
        await backend.open("a test")
        for line in (backend._writer, backend._reader):
            assert line is not None
            found = await line.run(
                lambda session: {
                    name: session.raw.execute(f"PRAGMA {name}").fetchone()[0] for name in sqlite_settings.PRAGMAS
                }
            )
            assert found == sqlite_settings.PRAGMAS
            assert (found["journal_mode"], found["synchronous"]) == ("wal", 2)
        await backend.close()

    async def test_the_reader_cannot_write(self, path: Path) -> None:
        backend = SqliteBackend(path, reader=True)
        await backend.open("a test")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await backend.read(lambda c: backend_write(c))
        await backend.close()

    @pytest.mark.parametrize(
        ("version", "safe"),
        [
            ((3, 40, 1), False),
            ((3, 44, 5), False),
            ((3, 44, 6), True),
            ((3, 45, 0), False),
            ((3, 50, 6), False),
            ((3, 50, 7), True),
            ((3, 51, 0), False),
            ((3, 51, 2), False),
            ((3, 51, 3), True),
            ((3, 53, 0), True),
            ((4, 0, 0), True),
        ],
    )
    def test_the_sqlite_version_decides_whether_several_connections_are_safe(
        self, version: tuple[int, ...], safe: bool
    ) -> None:
        assert survives_many_connections(version) is safe

    def test_the_store_tells_how_many_connections_it_uses(self, path: Path) -> None:
        two = survives_many_connections(sqlite3.sqlite_version_info)
        assert SqlStore(f"sqlite:///{path}").connections == ("one writes, one reads" if two else "one for everything")

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("version", "said", "opened"), [((3, 40, 1), "one for everything", 1), ((3, 53, 0), "one writes, one reads", 2)]
    )
    async def test_the_file_is_opened_as_often_as_the_store_tells(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], said: str, opened: int
    ) -> None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        store = SqlStore(backend=SqliteBackend(path))
        await store.open()
        await store.load_warehouses()
        assert store.connections == said
        assert [file.path for file in psutil.Process().open_files()].count(str(path)) == opened
        await store.close()

    def test_a_version_without_strict_tables_is_refused(self) -> None:
        check_version((3, 37, 0), "3.37.0")
        with pytest.raises(StorageError, match=r"SQLite 3\.37\.0 or newer is needed, and this Python has 3\.36\.0"):
            check_version((3, 36, 0), "3.36.0")


def backend_write(connection: Any) -> None:
    connection.connection.driver_connection.execute("UPDATE ownership SET owner = 'reader'")


@pytest.mark.anyio
class TestFailures:
    async def test_a_full_disk_writes_nothing_and_the_batch_goes_in_once_there_is_room(
        self, path: Path, scribe: Scribe
    ) -> None:
        backend = SqliteBackend(path)
        store = SqlStore(backend=backend)
        await store.open()
        assert backend._writer is not None
        await backend._writer.run(lambda session: session.raw.execute("PRAGMA max_page_count = 1").close())
        batch = [scribe.counted([(f"v{n}", "w", 1) for n in range(5_000)])]
        with pytest.raises(StorageError, match=r"cannot write to the database .*: database or disk is full"):
            await store.write(batch)
        assert (await contents(store))["stock"] == {ORGANIZATION: []}
        await backend._writer.run(lambda session: session.raw.execute("PRAGMA max_page_count = 1000000").close())
        await store.write(batch)
        await store.close()

    async def test_a_row_that_breaks_a_check_takes_its_batch_with_it(self, store: SqlStore, scribe: Scribe) -> None:
        await store.open()
        bad = scribe.receive()
        change = bad.changes[0]
        bad = replace(bad, changes=(replace(change, after=replace(change.after, min_stock=-1)),))
        with pytest.raises(StorageError, match="stock_bounds_are_never_negative"):
            await store.write([bad])
        assert (await contents(store))["warehouses"] == []
        await store.close()

    async def test_a_row_changed_by_hand_stops_the_next_batch(
        self, store: SqlStore, path: Path, scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive()])
        execute(path, "UPDATE stock SET available = 99, total = 99, version = version + 1")
        with pytest.raises(StorageError, match="1 of 1 stock rows are not as the service knows them"):
            await store.write([scribe.reserve()])
        await store.close()

    async def test_a_lock_held_by_another_program_is_an_error_and_no_deadlock(
        self, store: SqlStore, path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sqlite_settings.PRAGMAS, "busy_timeout", 1)
        await store.open()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        batch = [scribe.receive()]
        with pytest.raises(StorageError, match="database is locked"):
            await store.write(batch)
        other.execute("ROLLBACK")
        other.close()
        await store.write(batch)
        await store.close()


@pytest.mark.anyio
async def test_a_close_that_fails_is_one_line_of_the_log(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await store.open()
    close = store._backend.close

    async def close_and_fail() -> None:
        await close()
        raise ConnectionResetError("the peer is gone")

    monkeypatch.setattr(store._backend, "close", close_and_fail)
    await store.close()
    [record] = [one for one in caplog.records if one.message == "storage_not_closed"]
    assert (record.exc_info, vars(record)["reason"]) == (None, "the peer is gone")


@pytest.mark.anyio
async def test_a_store_tells_its_state_and_counts(store: SqlStore, path: Path, scribe: Scribe) -> None:
    assert repr(store) == f"<SqlStore {path} epoch=0>"
    await store.open()
    await store.write([scribe.receive(), scribe.receive()])
    await store.check_ownership()
    with pytest.raises(StorageError):
        await store.write([replace(scribe.receive(), lsn=9)])
    counts = store.statistics()
    assert (counts.batches, counts.transactions, counts.reads, counts.failures) == (1, 2, 1, 1)
    assert repr(store) == f"<SqlStore {path} epoch=1>"
    await store.close()

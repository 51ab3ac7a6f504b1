"""SQLite keeps the contract also where another process writes the batches; and what is true of that process."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import msgspec
import psutil
import pytest

from actors.records import Origin, StockKey, Transaction, VariantKey, WarehouseRecord
from actors.sourcing import SourcingRecord
from actors.staged_rows import StagedRows
from actors.transfer_records import TransferLine, TransferRecord
from storage.sql import batch_writer, sqlite, sqlite_session
from storage.sql.batch_process import Message
from storage.sql.lock_file import is_in_use
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import ASIDE_ROWS_MAX, CROWDED_BATCHES, CROWDED_ENTRIES, SqliteBackend
from storage.store import DatabaseGone, Ownership, OwnershipLost, StorageError, Store
from tests.storage.contract import Make, StoreContract
from tests.storage.scribe import ORGANIZATION, Scribe
from tests.storage.test_sqlite import execute

pytestmark = pytest.mark.anyio


class AsideBackend(SqliteBackend):
    """Has the process from the beginning."""

    async def open(self, owner: str) -> Ownership:
        ownership = await super().open(owner)
        await self._start_aside()
        assert self.writes_aside
        return ownership

    @property
    def process(self) -> psutil.Process:
        assert self._aside is not None
        return psutil.Process(self._aside._process.pid)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stock keeper %20.db"


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


@pytest.fixture
def backend(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsideBackend:
    monkeypatch.setattr(sqlite, "ASIDE_ENTRIES", 1)
    return AsideBackend(path)


@pytest.fixture
async def store(backend: AsideBackend) -> AsyncIterator[SqlStore]:
    store = SqlStore(backend=backend, owner="a test")
    await store.open()
    yield store
    await store.close()


class TestSqliteStoreWithBatchesAside(StoreContract):
    @pytest.fixture
    def usurp(self, path: Path) -> Callable[[], None]:
        return lambda: execute(path, "UPDATE ownership SET epoch = epoch + 1")

    @pytest.fixture
    def make(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
        monkeypatch.setattr(sqlite, "ASIDE_ENTRIES", 1)
        return lambda: SqlStore(backend=AsideBackend(path), owner="a test")

    async def test_those_that_come_late_are_the_other_half_of_a_crowd(self, store: Store, scribe: Scribe) -> None:
        batch = [scribe.receive(), scribe.reserve()]
        assert await store.write(batch, lambda: pytest.fail("they are a batch of their own")) == batch


async def test_it_is_started_when_a_crowd_stays(path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "is_worth_it", lambda: True)
    backend = SqliteBackend(path)
    store = SqlStore(backend=backend)
    await store.open()
    await store.write([scribe.receive(quantity=1_000)])
    for _ in range(CROWDED_BATCHES):
        assert backend._starting is None
        await store.write([scribe.reserve(f"crowd-{n}-{scribe.lsn}") for n in range(CROWDED_ENTRIES - 1)])
        await store.write([scribe.reserve(f"crowd-{n}-{scribe.lsn}") for n in range(CROWDED_ENTRIES)])
    with anyio.fail_after(60):
        while not store.writes_aside:  # noqa: ASYNC110 - it does not tell
            await anyio.sleep(0.01)
    await store.write([scribe.reserve(f"aside-{n}") for n in range(CROWDED_ENTRIES)])
    assert await store.load_variants([VariantKey(ORGANIZATION, "v")]) == list(scribe.rows.values())
    await store.close()
    assert not store.writes_aside


@pytest.mark.parametrize("while_it", ["starts", "runs"])
async def test_it_ends_with_the_store(path: Path, scribe: Scribe, while_it: str) -> None:
    backend = AsideBackend(path) if while_it == "runs" else SqliteBackend(path)
    store = SqlStore(backend=backend)
    await store.open()
    await store.write(scribe.reserve_after_receiving())
    if while_it == "starts":
        backend._crowded = CROWDED_BATCHES - 1
        backend._meet_a_crowd()
        await anyio.lowlevel.checkpoint()
    await store.close()
    assert not [child for child in psutil.Process().children() if str(path) in child.cmdline()]
    assert not is_in_use(path)


async def test_where_it_does_not_start_a_thread_goes_on(
    path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batch_writer.sys, "executable", "/bin/false")  # type: ignore[attr-defined]
    backend = SqliteBackend(path)
    store = SqlStore(backend=backend)
    await store.open()
    await backend._start_aside()
    told = [(record.message, vars(record)["reason"]) for record in caplog.records]
    assert told == [("batches_written_by_a_thread", "the process that writes batches has ended")]
    assert not store.writes_aside
    await store.write(scribe.reserve_after_receiving())
    await store.close()


async def test_a_process_that_is_killed_is_an_error_and_a_new_opening_has_another(
    store: SqlStore, backend: AsideBackend, scribe: Scribe
) -> None:
    await store.write(scribe.reserve_after_receiving())
    backend.process.kill()
    following = [scribe.confirm(scribe.only_reservation())]
    with pytest.raises(StorageError, match="the process that writes batches has ended"):
        await store.write(following)
    assert (await store.open()).last_lsn == 2
    await store.write(following)


async def test_a_batch_that_is_being_written_when_the_process_is_killed_is_an_error(
    store: SqlStore, backend: AsideBackend, path: Path, scribe: Scribe
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that it waits
    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            with pytest.raises(StorageError, match="has ended"):
                await store.write(scribe.reserve_after_receiving())

        tasks.start_soon(write)
        await anyio.sleep(0.05)
        backend.process.kill()
    other.close()
    assert (await store.open()).last_lsn == 0


async def test_its_errors_are_those_of_the_thread(store: SqlStore, path: Path, scribe: Scribe) -> None:
    first, second = scribe.reserve_after_receiving()
    with pytest.raises(StorageError, match=r"the database ends at LSN 0, and the batch begins at 2"):
        await store.write([second])
    await store.write([first])
    execute(path, "UPDATE ownership SET epoch = epoch + 1")
    with pytest.raises(OwnershipLost, match="ours was 1"):
        await store.write([second])


async def test_a_file_that_was_replaced_is_noticed(store: SqlStore, path: Path, scribe: Scribe) -> None:
    await anyio.Path(path).rename(path.with_name("moved"))
    await anyio.Path(path).touch()
    with pytest.raises(DatabaseGone):
        await store.write(scribe.reserve_after_receiving())


async def test_others_write_between_batches_and_never_beside_one(
    store: SqlStore, backend: AsideBackend, scribe: Scribe
) -> None:
    """Two connections that write a WAL at the same time can ruin it, in the versions that have the bug."""
    done: list[str] = []

    async def drop() -> None:
        await store.drop_cursor("none")
        done.append("cursor")

    async def tidy() -> None:
        await store.move_out(1, 10)
        done.append("tidied")

    async def write() -> None:
        await store.write(scribe.reserve_after_receiving())
        done.append("batch")

    backend.process.suspend()
    async with anyio.create_task_group() as tasks:
        for task in (write, drop, tidy):
            tasks.start_soon(task)
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.05)  # longer than they take
        assert (done, backend._writing.statistics().tasks_waiting) == ([], 1)  # and the other change for the first
        backend.process.resume()
    assert sorted(done) == ["batch", "cursor", "tidied"]
    assert done[0] == "batch"


async def test_what_the_loop_would_need_long_to_hand_over_is_written_by_the_thread(
    store: SqlStore, backend: AsideBackend, scribe: Scribe
) -> None:
    backend.process.suspend()
    await store.write([scribe.counted([(f"v{number}", "w", 1) for number in range(ASIDE_ROWS_MAX + 1)])])
    backend.process.resume()
    assert (await store.load_variants([VariantKey(ORGANIZATION, "v7")]))[0].available == 1


async def test_the_lock_is_held_until_the_process_is_gone(path: Path) -> None:
    """As after a kill -9 of the server, whose own descriptor is closed first."""
    backend = AsideBackend(path)
    await backend.open("a test")
    process, lock = backend.process, backend._lock
    assert lock is not None
    process.suspend()
    os.close(lock.descriptor)
    assert is_in_use(path)
    process.resume()
    lock.descriptor = os.open(path.with_name("for the end"), os.O_RDWR | os.O_CREAT)
    await backend.close()
    assert not is_in_use(path)


def test_every_kind_of_transaction_arrives_as_it_is(scribe: Scribe) -> None:
    key = StockKey(ORGANIZATION, "v", "w")
    history = [*scribe.reserve_after_receiving(), scribe.counted([("v", "w", 5)])]
    history.append(scribe.confirm(scribe.only_reservation()))
    history.append(scribe.fulfill(scribe.only_reservation()))
    warehouse = WarehouseRecord(ORGANIZATION, "w", "One", "code", 3, is_active=False)
    history.append(
        Transaction(
            scribe.lsn + 1,
            scribe.at_ms,
            "import",
            warehouses=(warehouse,),
            warehouses_before=(warehouse,),
            origin=Origin("an actor", "a correlation", "a parent"),
            transfer=TransferRecord("t", ORGANIZATION, "w", "w2", "in_transit", (TransferLine("v", 3, 1, 1, 1),), 5),
            sourcing=SourcingRecord(ORGANIZATION, "fewest_parcels"),
            staged=StagedRows("import", (ORGANIZATION, key.variant_id), 1, 2, 3),
            positions=(4, 7),
        )
    )
    sent = msgspec.msgpack.encode((7, history))
    assert msgspec.msgpack.decode(sent, type=Message) == (7, history)
    assert {name for one in history for name in one.__struct_fields__ if getattr(one, name)} == set(
        Transaction.__struct_fields__
    )


async def test_it_ends_when_the_crowd_has_gone_and_the_next_crowd_gets_another(
    path: Path, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ASIDE_ENTRIES", 1)
    monkeypatch.setattr(sqlite_session, "MANY_CHANGES", 100)
    backend = AsideBackend(path)
    store = SqlStore(backend=backend)
    await store.open()
    process = backend.process
    await store.write([scribe.receive(quantity=1_000)])
    assert await store.let_go()
    assert not store.writes_aside
    assert not process.is_running()
    assert not await store.let_go()
    await store.write([scribe.reserve(f"more-{n}") for n in range(50)])
    assert await store.let_go()  # what this connection has read and written
    assert not await store.let_go()
    await backend._start_aside()
    await store.write([scribe.reserve("o")])
    assert backend.process.is_running()
    assert await store.load_variants([VariantKey(ORGANIZATION, "v")]) == list(scribe.rows.values())
    await store.close()

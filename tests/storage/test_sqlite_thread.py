"""SQLite's thread: one hop for a batch or a read, and what becomes of it when its caller is cancelled."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import pytest

from actors.records import OrderKey, VariantKey
from storage.sql import sqlite_session
from storage.sql.batch_sqlite import write_batch
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import SqliteBackend
from storage.sql.sqlite_thread import run_on_thread
from tests.storage.scribe import ORGANIZATION, Scribe


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


@pytest.fixture
def store(path: Path) -> SqlStore:
    return SqlStore(backend=SqliteBackend(path))


@pytest.mark.anyio
class TestThread:
    async def test_a_batch_and_a_read_cost_one_hop_each(
        self, store: SqlStore, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The canary for what `run_on_thread` takes from aiosqlite."""
        await store.open()
        hops: list[str] = []
        execute = aiosqlite.Connection._execute

        async def counted(self: aiosqlite.Connection, function: Any, *args: Any, **kwargs: Any) -> Any:
            hops.append(threading.current_thread().name)
            return await execute(self, function, *args, **kwargs)  # type: ignore[no-untyped-call]

        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        await store.write([scribe.receive(), *(scribe.reserve(f"o{n}", [("v", "w", 1)]) for n in range(10))])
        assert len(hops) == 1
        await store.load_variants([VariantKey(ORGANIZATION, "v")])
        assert len(hops) == 2
        assert len(await store.load_orders([OrderKey(ORGANIZATION, f"o{n}") for n in range(10)])) == 10
        assert len(hops) == 3
        await store.close()

    async def test_a_writer_cancelled_natively_leaves_a_whole_batch_and_a_usable_connection(
        self, store: SqlStore, scribe: Scribe, held: "Held"
    ) -> None:
        await store.open()
        task = asyncio.create_task(store.write(scribe.reserve_after_receiving()))
        await held.wait_until_begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let_go.set()
        assert len(await store.active_reservations(9)) == 1
        await store.write([scribe.receive()])
        await store.close()

    async def test_a_cancelled_scope_waits_for_the_batch(self, store: SqlStore, scribe: Scribe, held: "Held") -> None:
        await store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.write, scribe.reserve_after_receiving())
            await held.wait_until_begun()
            tasks.cancel_scope.cancel()
            held.let_go.set()
        await store.write([scribe.receive()])
        await store.close()

    async def test_a_reader_cancelled_natively_breaks_nothing(
        self, store: SqlStore, scribe: Scribe, held: "Held"
    ) -> None:
        await store.open()
        writing = asyncio.create_task(store.write(scribe.reserve_after_receiving()))
        await held.wait_until_begun()
        reading = asyncio.create_task(store.next_expiry_ms())
        await asyncio.sleep(0)
        reading.cancel()
        held.let_go.set()
        await writing
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await store.next_expiry_ms() is not None
        await store.close()

    async def test_closing_waits_for_the_batch_under_way(self, store: SqlStore, scribe: Scribe, held: "Held") -> None:
        await store.open()
        writing = asyncio.create_task(store.write(scribe.reserve_after_receiving()))
        await held.wait_until_begun()
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        held.let_go.set()
        await writing
        await closing
        assert (await store.open()).last_lsn == 2
        await store.close()

    async def test_a_call_after_the_end_gets_an_error_of_the_database(self) -> None:
        connection = await aiosqlite.connect(":memory:")
        assert await run_on_thread(connection, lambda raw: raw.in_transaction) is False
        await connection.close()
        with pytest.raises(sqlite3.ProgrammingError):
            await run_on_thread(connection, lambda raw: raw.in_transaction)

    @pytest.fixture
    def held(self, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Held]":
        held = Held()
        monkeypatch.setattr(sqlite_session, "write_batch", held.write_batch)
        yield held
        held.let_go.set()


class Held:
    """Holds the first batch on its thread, in the middle of its transaction's time, until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def write_batch(self, *args: Any) -> Any:
        self.begun.set()
        assert self.let_go.wait(timeout=10)
        return write_batch(*args)

    async def wait_until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)

"""What housekeeping moves is in the archive as it was, also beside batches that go on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, text

from actors.changes import Point
from actors.history_feed import CursorRecord
from storage.memory_store import Disk, MemoryStore
from storage.sql.audit import audit
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from storage.store import MovedOut
from tests.postgres import PostgresServer, running_postgres
from tests.storage.contract import contents, steps_of
from tests.storage.scribe import MINUTE_MS, Scribe

pytestmark = pytest.mark.anyio

MOVED_TABLES = {
    "reservation": "organization_id, reservation_id",
    "reservation_item": "organization_id, reservation_id, line",
    "stock_movement": "lsn, position",
    "journal_entry": "lsn, organization_id",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/x.db"
    postgres = request.getfixturevalue("postgres")
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(postgres.get_uri())


@pytest.fixture
async def store(url: str) -> Any:
    store = SqlStore(url)
    await store.open()
    yield store
    await store.close()


async def rows_of(url: str, suffixes: tuple[str, ...]) -> dict[str, list[tuple[Any, ...]]]:
    """Every column of the tables that housekeeping moves, and of their archives if asked for."""

    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        found = {}
        for table, key in MOVED_TABLES.items():
            union = " UNION ALL ".join(f"SELECT * FROM {table}{suffix}" for suffix in suffixes)
            found[table] = [tuple(row) for row in connection.execute(text(f"{union} ORDER BY {key}"))]
        return found

    return await read_snapshot(url, read)


async def test_nothing_is_lost_or_changed_on_the_way_and_the_audit_follows(store: SqlStore, url: str) -> None:
    history = Scribe().random_history(seed=3, length=400)
    await store.write(history)
    before = await rows_of(url, ("",))
    middle_ms = history[len(history) // 2].at_ms
    steps = await steps_of(store, middle_ms, 20)
    assert len(steps) > 10
    assert max(step.rows for step in steps) <= 20 + 3  # a reservation goes with all of its items
    assert await rows_of(url, ("", "_archive")) == before
    kept = await rows_of(url, ("",))
    for table in MOVED_TABLES:
        assert 0 < len(kept[table]) < len(before[table])
    found = await read_snapshot(url, audit)
    assert found.disagreements == ()
    assert found.archived_movements == sum(step.movements for step in steps) > 50
    assert await steps_of(store, history[-1].at_ms + 1, 20)
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_a_reservation_of_more_lines_than_a_step_has_rows_goes_whole(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    basket = [(f"v{number}", "w", 1) for number in range(30)]
    history = [scribe.counted(basket), scribe.reserve("small", basket[:2]), scribe.reserve("large", basket[2:])]
    history += [scribe.release(one.reservation) for one in history[1:]]
    await store.write(history)
    assert await store.move_out(scribe.at_ms + 1, 10) == MovedOut(requests=0, reservations=1, items=2, movements=7)
    assert await store.move_out(scribe.at_ms + 1, 10) == MovedOut(requests=0, reservations=1, items=28, movements=0)
    assert (await read_snapshot(url, audit)).disagreements == ()
    steps = [step.movements for step in await steps_of(store, scribe.at_ms + 1, 10)]
    assert steps == [10] * 8 + [3]
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_steps_run_beside_batches(store: SqlStore, url: str) -> None:
    history = Scribe().random_history(seed=11, length=1_500)
    model = MemoryStore(Disk())
    await model.open()
    written_ms = 0
    is_over = False

    async def tidy() -> None:
        while not is_over:
            await store.move_out(written_ms - 5 * MINUTE_MS, 15)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tidy)
        for begin in range(0, len(history), 10):
            batch = history[begin : begin + 10]
            await store.write(batch)
            await model.write(batch)
            written_ms = batch[-1].at_ms
        is_over = True
    for tidied in (store, model):
        await steps_of(tidied, written_ms - 5 * MINUTE_MS, 15)
    assert await contents(store) == await contents(model)
    found = await read_snapshot(url, audit)
    assert found.disagreements == ()
    assert found.archived_movements > 100


async def test_the_ledger_names_reservation_order_and_reference_of_each_movement(store: SqlStore, url: str) -> None:
    def read(connection: Connection) -> list[Any]:
        columns = "kind, reference, reason, reservation_id, order_id"
        tables = ("stock_movement_archive", "stock_movement")
        union = " UNION ALL ".join(f"SELECT lsn, {columns} FROM {table}" for table in tables)
        return [tuple(row)[1:] for row in connection.execute(text(f"{union} ORDER BY lsn"))]

    scribe = Scribe()
    first, second = scribe.receive(), scribe.reserve("order", reservation_id="r1")
    shipped = [scribe.confirm(second.reservation), scribe.fulfill(scribe.only_reservation())]
    third = scribe.reserve("order", reservation_id="r2")
    history = [first, second, *shipped, third, scribe.release(third.reservation), scribe.receive()]
    expected = [
        ("receive", "delivery note 7", "goods in", "", ""),
        ("reserve", "", "", "r1", "order"),
        ("fulfill", "SHIP-1", "", "r1", "order"),
        ("reserve", "", "", "r2", "order"),
        ("release", "", "payment failed", "r2", "order"),
        ("receive", "delivery note 7", "goods in", "", ""),
    ]
    await store.write(history)
    assert await read_snapshot(url, read) == expected
    assert (await store.move_out(scribe.at_ms, 8)).movements == 4
    assert await read_snapshot(url, read) == expected
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_what_a_cursor_still_needs_stays_however_old(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    history = scribe.random_history(seed=4, length=60)
    await store.write(history)
    late_ms = history[-1].at_ms + 1
    in_part = next(one for one in history[20:] if len(one.changes) > 1)
    await store.write_cursor(CursorRecord("far", 1, Point(50)))
    await store.write_cursor(CursorRecord("behind", 1, Point(in_part.lsn, 0)))
    await steps_of(store, late_ms, 20)
    kept = await rows_of(url, ("",))
    assert min(row[0] for row in kept["journal_entry"]) == in_part.lsn
    assert kept["stock_movement"][0][:2] == (in_part.lsn, 0)
    await store.write_cursor(CursorRecord("behind", 2, Point(40)))
    await steps_of(store, late_ms, 20)
    assert min(row[0] for row in (await rows_of(url, ("",)))["journal_entry"]) == 41
    for name in ("behind", "far"):
        await store.drop_cursor(name)
    await steps_of(store, late_ms, 20)
    assert (await rows_of(url, ("",)))["journal_entry"] == []

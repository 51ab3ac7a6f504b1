"""What the tables tell of the past is what a journal in memory tells, before and while housekeeping moves it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from msgspec.structs import replace

from actors.changes import WHOLE, Change, Movement, Pieces, Point, StockAt
from actors.queries import GetStockAt, ListMovements
from actors.records import Origin, Transaction
from storage.memory_store import Disk, MemoryStore
from storage.sql import history_reads, movement_reads, stock_at_reads
from storage.sql.sql_store import SqlStore
from storage.store import Store
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe

pytestmark = pytest.mark.anyio

LENGTH = 400


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    else:
        server = request.getfixturevalue("postgres")
        server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        store = SqlStore(str(server.get_uri()))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def model() -> MemoryStore:
    model = MemoryStore(Disk())
    await model.open()
    return model


async def every_change(store: Store, organization: str, rows_max: int = 1_000) -> list[Change]:
    """All changes, page by page, as one who follows them gets them."""
    point, found = Point(0), list[Change]()
    while True:
        page, _ = await store.read_changes(organization, point, rows_max)
        found += page.changes
        if page.upto is None:
            return found
        assert page.upto > point
        point = page.upto


async def every_movement(store: Store, query: ListMovements) -> list[Movement]:
    found = list[Movement]()
    while True:
        page = await store.list_movements(query)
        assert len(page.movements) <= query.limit
        found += page.movements
        if page.next is None:
            return found
        query = replace(query, after_place=page.next)


def filters(scribe: Scribe, history: list[Transaction]) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"variant_id": "v1"}
    yield {"variant_id": "v1", "warehouse_id": "w1"}
    yield {"kinds": ("release", "receive")}
    yield {"reference": "SHIP-1"}
    yield {"reference": "SHIP-1", "variant_id": "v1"}
    yield {"order_id": "order3"}
    yield {"order_id": "no such order"}
    yield {"reservation_id": next(iter(scribe.reservations))[1]}
    yield {"after_ms": history[100].at_ms, "before_ms": history[300].at_ms}
    yield {"after_ms": history[-1].at_ms + 1}
    yield {"before_ms": history[0].at_ms}


async def told(store: Store, scribe: Scribe, history: list[Transaction]) -> AsyncIterator[tuple[object, object]]:
    """Each question, and all that is answered to it."""
    for organization in ("org_1", "org_2", "nobody's"):
        for rows_max in (3, 1_000):
            yield (organization, rows_max), await every_change(store, organization, rows_max)
        for wanted in filters(scribe, history):
            for newest_first in (False, True):
                query = ListMovements(organization, **wanted, newest_first=newest_first, limit=7)
                yield query, await every_movement(store, query)
    for one in history[::40]:
        row = GetStockAt("org_1", "v1", "w1", one.at_ms)
        yield row, await store.stock_at(row)


class Past(NamedTuple):
    """A history, and what a journal in memory tells of it."""

    scribe: Scribe
    history: list[Transaction]
    answers: list[tuple[object, object]]


@pytest.fixture(scope="module")
def past() -> Past:
    async def make() -> Past:
        scribe, model = Scribe(), MemoryStore(Disk())
        history = scribe.random_history(seed=3, length=LENGTH)
        await model.open()
        await model.write(history)
        return Past(scribe, history, [one async for one in told(model, scribe, history)])

    return anyio.run(make)


async def assert_same(store: Store, past: Past) -> None:
    wanted = iter(past.answers)
    async for answer in told(store, past.scribe, past.history):
        assert answer == next(wanted)
    assert next(wanted, None) is None


@pytest.mark.long
@pytest.mark.parametrize(("scanned_max", "lines_max"), [(50, 30), (2_000, 5_000)])
async def test_the_past_is_that_of_the_journal_also_while_it_is_moved(
    store: Store, past: Past, scanned_max: int, lines_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_reads, "SCANNED_MAX", scanned_max)
    monkeypatch.setattr(movement_reads, "SCANNED_MAX", scanned_max)
    monkeypatch.setattr(movement_reads, "ENTRIES_A_STEP", scanned_max // 3)
    for module in (movement_reads, stock_at_reads):
        monkeypatch.setattr(module, "LINES_A_STEP", lines_max)
    monkeypatch.setattr(movement_reads, "ROWS_A_STEP", lines_max // 10)
    monkeypatch.setattr(movement_reads, "LINES_MAX", 4 * lines_max)
    for begin in range(0, LENGTH, 9):
        await store.write(past.history[begin : begin + 9])
    await assert_same(store, past)
    limit_ms = past.history[250].at_ms
    for _ in range(4):  # to the middle of something
        await store.move_out(limit_ms, 77)
    await assert_same(store, past)
    while (await store.move_out(limit_ms, 500)).rows:
        pass
    await assert_same(store, past)


async def test_a_large_import_is_told_in_parts_and_an_order_never(store: Store, model: Store) -> None:
    scribe = Scribe()
    history = [scribe.counted([(f"v{number:03}", "w", 9) for number in range(250)])]
    history += [scribe.reserve("order", [(f"v{number:03}", "w", 1) for number in range(60)])]
    for one in (store, model):
        await one.write(history)
        changes = await every_change(one, ORGANIZATION, 100)
        assert [(change.lsn, len(change.rows), change.is_whole) for change in changes] == [
            (1, 100, False),
            (1, 100, False),
            (1, 50, True),
            (2, 60, True),
        ]
        assert [row.position for change in changes[:3] for row in change.rows] == list(range(250))
        assert changes[3].reservation is not None
        assert len(changes[3].reservation.lines) == 60


async def test_what_is_told_of_a_reservation_and_of_who_asked(store: Store) -> None:
    scribe = Scribe()
    received, reserved = scribe.reserve_after_receiving()
    reserved = replace(reserved, origin=Origin("ana", "checkout-6"))
    confirmed = replace(scribe.confirm(reserved.reservation), origin=Origin("ana", "checkout-7"))
    await store.write([received, reserved, confirmed])
    _, made, paid = await every_change(store, ORGANIZATION)
    assert made.reservation is not None
    assert [(line.variant_id, line.quantity) for line in made.reservation.lines] == [("v", 1)]
    assert paid.reservation is not None
    assert (paid.reservation.state, paid.reservation.lines, paid.rows) == ("confirmed", (), ())
    assert (paid.actor, paid.correlation_id) == ("ana", "checkout-7")
    [first, line] = await every_movement(store, ListMovements(ORGANIZATION))
    assert received.request is not None
    assert (first.correlation_id, line.correlation_id) == (received.request.request_id, "checkout-6")
    assert (line.before, line.after) == (Pieces(10, 0, 0, 0), Pieces(9, 1, 0, 0))
    assert (line.reservation_id, line.order_id) == ("reservation-000002", "order")


async def test_a_row_that_falls_to_its_minimum_is_told_so(store: Store, model: Store) -> None:
    scribe = Scribe()
    history = [scribe.counted([("v", "w", 3)]), scribe.reserve("a", [("v", "w", 1)])]  # its minimum is 1
    history += [scribe.reserve("b", [("v", "w", 1)]), scribe.reserve("c", [("v", "w", 1)])]
    for one in (store, model):
        await one.write(history)
        low = [row.low for change in await every_change(one, ORGANIZATION) for row in change.rows]
        assert low == [None, None, (1, 0), None]


async def test_of_an_emptied_archive_is_said_where_the_history_begins(
    store: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    scribe = Scribe()
    await store.write(scribe.reserve_after_receiving())
    scribe.at_ms += 60_000
    limit_ms = scribe.at_ms
    await store.write([scribe.receive(quantity=5)])
    assert (await store.read_changes(ORGANIZATION, Point(0), 10))[1] == 1
    assert (await store.move_out(limit_ms, 500)).entries == 2
    assert (await store.read_changes(ORGANIZATION, Point(0), 10))[1] == 1
    assert await store.stock_at(GetStockAt(ORGANIZATION, "v", "w", START_MS)) == StockAt(Pieces(9, 1, 0, 0), 2)
    emptied = "DELETE FROM stock_movement_archive; DELETE FROM journal_entry_archive;"
    if "postgres" in request.node.name:
        request.getfixturevalue("postgres").psql(emptied)
    else:
        import sqlite3

        with sqlite3.connect(tmp_path / "x.db") as raw:
            raw.executescript(emptied)
    changes, first_lsn = await store.read_changes(ORGANIZATION, Point(0), 10)
    assert ([change.lsn for change in changes.changes], first_lsn) == ([3], 3)
    for then_ms in (START_MS, limit_ms - 1):
        gone = GetStockAt(ORGANIZATION, "v", "w", then_ms)
        assert await store.stock_at(gone) == StockAt(None, is_known=False)
    now = GetStockAt(ORGANIZATION, "v", "w", limit_ms)
    assert await store.stock_at(now) == StockAt(Pieces(14, 1, 0, 0), 3)


def test_the_point_behind_a_transaction_is_behind_all_of_its_rows() -> None:
    assert Point(3, 2**31 - 2) < Point(3) < Point(4, 0)
    assert Point(3).position == WHOLE

"""A database is divided among cells, with the history of each organization, and can be cut off at any step."""

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from actors.cell_records import CellRecord
from actors.changes import Point
from actors.feed_entries import FeedRows
from actors.organization_stays import place_here
from actors.queries import GetStockAt, ListMovements
from storage.schema_errors import SchemaTooNew
from storage.sql import organization_tables, split
from storage.sql.audit import audit
from storage.sql.move import MoveRefused, MoveSide
from storage.sql.move_sides import opened_side
from storage.sql.snapshot import read_snapshot
from storage.sql.split import Divided, Division, divide, finish
from storage.sql.sql_store import SqlStore
from storage.store import OwnershipLost
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio

T = TypeVar("T")

DUMP = Path(__file__).parent / "databases" / "schema_0002.sql"
CELLS = {name: CellRecord(name, 1, "digest") for name in ("a", "b")}
DIVISION = Division(CELLS, {"shop": "a", "other": "b", "new": "a", "late": "b"}.__getitem__)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (organization_tables, split):
        monkeypatch.setattr(module, "ROWS_A_PAGE", 3)
    monkeypatch.setattr("storage.sql.organization_rows.TRANSACTIONS_A_PAGE", 4)


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(DUMP.read_text())
    store = SqlStore(url_of(path))
    ownership = await store.open()  # brings it up to date
    scribe = Scribe()
    scribe.lsn, scribe.at_ms = ownership.last_lsn, max(ownership.last_at_ms, scribe.at_ms)
    for number in range(6):
        for one in ("new", "late"):
            await store.write([scribe.receive(organization=one)])
            await store.write([scribe.reserve(f"order-{number}", organization=one)])
    await store.close()
    return path


class Dying:
    """A side that dies at a step, counted over all sides."""

    steps = 0

    def __init__(self, side: MoveSide) -> None:
        self._side = side

    @property
    def name(self) -> str:
        return self._side.name

    async def run(self, function: Callable[[Connection], T]) -> T:
        Dying.steps -= 1
        if Dying.steps == 0:
            raise KeyboardInterrupt
        return await self._side.run(function)


async def divided(whole: Path, steps: int = 0) -> Divided | None:
    """As the command does it; killed at a step, if there is one."""
    Dying.steps = steps
    map_file = whole.with_name("map")
    async with AsyncExitStack() as stack:
        source = Dying(await stack.enter_async_context(opened_side(url_of(whole), is_source=True)))
        targets: Mapping[str, MoveSide] = {
            name: Dying(
                await stack.enter_async_context(opened_side(url_of(whole.with_name(f"{name}.db")), is_source=False))
            )
            for name in CELLS
        }
        found = None
        if not map_file.exists():
            found = await divide(source, targets, DIVISION)
            map_file.write_text("")
        await finish(source, targets, "digest")
    return found


async def test_each_cell_has_its_organizations_with_all_of_their_history(whole: Path) -> None:
    before, tables = await read_snapshot(url_of(whole), audit), contents(whole)
    store = SqlStore(url_of(whole))
    ownership = await store.open()
    queries = [ListMovements("shop", limit=1_000), ListMovements("other", limit=1_000)]
    told = [(await store.list_movements(query)).movements for query in queries]
    changes = (await store.read_changes("new", Point(34), 1_000))[0].changes
    assert len(changes) == 12
    middle = told[0][len(told[0]) // 2]
    at = GetStockAt("shop", middle.variant_id, middle.warehouse_id, middle.at_ms)
    stock_then = await store.stock_at(at)
    orders = await store.orders_after(None, 1_000)
    await store.close()
    found = await divided(whole)
    assert found is not None
    assert found.organizations == {"a": 2, "b": 2}
    for name in ("stock_rows", "movements", "reservations", "archived_movements", "archived_reservations"):
        assert sum(getattr(one, name) for one in found.audits.values()) == getattr(before, name)
    for name in CELLS:
        assert (await read_snapshot(url_of(whole.with_name(f"{name}.db")), audit)) == found.audits[name]
    cell = SqlStore(url_of(whole.with_name("a.db")))
    now = await cell.open()
    # Its one entry says up to when there was history elsewhere.
    assert (now.cell, now.last_lsn, now.last_at_ms) == (CELLS["a"], 1, ownership.last_at_ms)
    assert [one.organization_id for one in await cell.load_organizations()] == ["new", "shop"]
    stays = await cell.load_stays()
    blocks = [place_here(stays[one], ownership.database_id, Point(35)) for one in ("new", "shop")]
    assert blocks[0] != blocks[1]  # each has its own
    shift = min(stays["shop"], key=lambda stay: stay.shift).shift
    movements = (await cell.list_movements(queries[0])).movements
    assert [(one.lsn - shift, one.before, one.after, one.at_ms) for one in movements] == [
        (one.lsn, one.before, one.after, one.at_ms) for one in told[0]
    ]
    assert (await cell.list_movements(queries[1])).movements == ()
    assert (await cell.stock_at(at)).pieces == stock_then.pieces
    assert sorted(await cell.orders_after(None, 1_000)) == [
        one for one in sorted(orders) if one.organization_id in ("new", "shop")
    ]
    shift = min(stays["new"], key=lambda stay: stay.shift).shift
    for change in changes:  # a token of before, wherever it was cut
        place = place_here(stays["new"], ownership.database_id, Point(change.lsn))
        assert place is not None
        follow, first_lsn = await cell.read_changes("new", place, 1_000)
        assert first_lsn <= place.lsn + 1
        assert [one.lsn - shift for one in follow.changes] == [one.lsn for one in changes if one.lsn > change.lsn]
    feed, first_lsn = await cell.read_feed(Point(0), 1_000)
    assert (feed.rows, first_lsn) == (FeedRows(), 1)  # it is the old relay's
    await cell.close()
    assert {name: rows for name, rows in contents(whole).items() if name != "ownership"} == {
        name: rows for name, rows in tables.items() if name != "ownership"
    }
    old = SqlStore(url_of(whole))
    assert (await old.open()).cell == CellRecord("divided", 1, "digest")
    await old.close()


def contents(path: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(path)) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, raw.execute(f"SELECT * FROM {name}"))) for name in names}


async def test_killed_at_any_step_it_is_finished_by_the_next_try(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "ROWS_A_PAGE", 50)
    tables, rehearsal = contents(whole), whole.parent / "rehearsal"
    rehearsal.mkdir()
    shutil.copy(whole, rehearsal / whole.name)
    await divided(rehearsal / whole.name)
    steps, b = -Dying.steps, whole.with_name("b.db")
    for step in (3, steps // 3, steps - 9, *range(steps - 6, steps + 1)):
        with pytest.raises(KeyboardInterrupt):
            await divided(whole, step if not whole.with_name("map").exists() else step - steps + 7)
        is_proven = whole.with_name("map").exists()
        assert is_proven or contents(whole) == tables
        if not is_proven and step > 3:
            with pytest.raises(SchemaTooNew):
                await SqlStore(url_of(b)).open()
    await divided(whole)
    for name in CELLS:
        assert not (await read_snapshot(url_of(whole.with_name(f"{name}.db")), audit)).disagreements


async def test_what_cannot_be_divided_says_why(whole: Path) -> None:
    running = SqlStore(url_of(whole))
    await running.open()
    with pytest.raises(OwnershipLost):
        await divided(whole)
    await running.close()
    with closing(sqlite3.connect(whole)) as raw:
        raw.execute("INSERT INTO event_cursor VALUES ('relay', 1, 3, 2147483647, 3, 0, NULL, 1)")
        raw.commit()
    with pytest.raises(MoveRefused, match="a relay has not passed on everything"):
        await divided(whole)
    with closing(sqlite3.connect(whole)) as raw:
        raw.execute("DELETE FROM event_cursor")
        raw.commit()
    await divided(whole)
    whole.with_name("map").unlink()
    with pytest.raises(MoveRefused, match="the database is the cell divided already"):
        await divided(whole)

"""An organization is copied while it is served: whatever happens meanwhile arrives, and nothing twice."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from actors.commands import ImportStaged, Line, Reserve, StageLines
from actors.organization_moves import OrganizationRows
from actors.organization_stays import Shift
from actors.queries import (
    FindOrganization,
    ListReservations,
    ListStock,
    MoveOrganization,
    ReadOrganization,
    WriteOrganization,
)
from actors.unavailable import Unavailable
from stockkeeper.organization_mover import NotMoved, OrganizationMover
from storage.sql import organization_tables
from storage.sql.audit import audit
from storage.sql.database_url import complete_url
from storage.sql.organization_rows import TABLES, shifted
from storage.sql.snapshot import read_snapshot
from supervisor.move_leases import LEASE_S
from tests.cells.changing_shop import (
    DAY_S,
    SHOP,
    WITHIN_S,
    Cells,
    Watched,
    change_everything,
    counted,
    lay_in,
    let_time_pass,
    reserve,
    tidied,
    two_cells,
)
from tests.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.anyio

NAMES = ("north", "south")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organization_tables, "ROWS_A_PAGE", 20)
    monkeypatch.setattr("storage.sql.organization_rows.TRANSACTIONS_A_PAGE", 15)
    monkeypatch.setattr("stockkeeper.organization_mover.FEW_ROWS", 10)
    monkeypatch.setattr("stockkeeper.organization_mover.ROUNDS_MAX", 2)
    monkeypatch.setattr("supervisor.move_leases.LOOK_S", 0.02)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    if request.param == "sqlite":
        return {name: f"sqlite+aiosqlite:///{tmp_path}/{name}.db" for name in NAMES}
    server: PostgresServer = request.getfixturevalue("postgres")
    server.psql("".join(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name};" for name in NAMES))
    return {name: complete_url(server.get_uri(), "", name) for name in NAMES}


async def every_row(cells: Cells, name: str) -> dict[str, list[Any]]:
    """All that a cell has of the shop."""
    found: dict[str, list[Any]] = {}
    for table in TABLES:
        after, rows = None, list[Any]()
        while True:
            page: OrganizationRows = await cells.asked(name, ReadOrganization(SHOP, table, after))
            rows += page.rows
            after = page.next
            if after is None:
                break
        found[table] = sorted(map(tuple, rows), key=repr)
    return found


async def compare(cells: Cells) -> None:
    """Row by row, by no figure and no LSN."""
    was, came = await every_row(cells, "north"), await every_row(cells, "south")
    newest = [max(row[0] for row in rows["journal_entry"]) for rows in (was, came)]
    shift = Shift(-(2**62), 0, newest[1] - newest[0])  # it has moved once
    for table, rows in was.items():
        moved = map(tuple, shifted(table, rows, shift))
        assert sorted(moved, key=repr) == came[table], table


async def test_each_kind_of_change_arrives_that_is_made_while_it_is_copied(urls: Mapping[str, str]) -> None:
    async with two_cells(urls) as cells:
        north = cells.cores["north"]
        await lay_in(north)
        await change_everything(north, "old")
        cells.extra_s += 3 * DAY_S
        await cells.until(lambda: tidied(north) > 0)
        await reserve(north, "due-a", ttl_minutes=1)
        await reserve(north, "due-b", ttl_minutes=24 * 60)
        tidied_before: list[int] = []

        async def happen(tag: str, seconds: float) -> None:
            """A day is over, and housekeeping would tidy: but it rests."""
            tidied_before.append(tidied(north))
            await change_everything(north, tag)
            await let_time_pass(cells, tag, seconds)

        async def at_the_end() -> None:
            assert tidied(north) == tidied_before[0]
            await compare(cells)

        watched = Watched(
            cells, {"mark": partial(happen, "a", 300.0), "freeze": partial(happen, "b", 3 * DAY_S), "leave": at_the_end}
        )
        moved = await OrganizationMover(watched.owners, SHOP, "south").run()
        assert not watched.before
        assert watched.steps.count("clear") < 3  # nothing had to be copied anew while it was frozen
        assert moved.rows > 300
        assert await cells.holders() == ["south"]
        south = cells.cores["south"]
        cells.extra_s += 2 * DAY_S
        await cells.until(lambda: tidied(south) > 0)  # and goes on there
    for name in NAMES:
        found = await read_snapshot(urls[name], audit)
        assert not found.disagreements, (name, found.disagreements)


class Silent(BaseException):
    """As kill -9 of the mover."""


async def test_a_mover_that_dies_leaves_nothing_frozen_and_one_that_was_slow_goes_no_further(tmp_path: Path) -> None:
    async with two_cells({name: f"sqlite+aiosqlite:///{tmp_path}/{name}.db" for name in NAMES}) as cells:
        north = cells.cores["north"]
        await lay_in(north)
        for core in cells.cores.values():
            core._core.held.leases._monotonic_s = cells.lease_s  # type: ignore[union-attr]

        async def die() -> None:
            raise Silent

        for step in ("mark", "freeze", "leave"):
            with pytest.raises(Silent):
                await OrganizationMover(Watched(cells, {step: die}).owners, SHOP, "south").run()
            cells.silent_s += LEASE_S / 2
            found = await cells.asked("north", FindOrganization(SHOP))
            assert found.held.state == ("frozen" if step == "leave" else "serving")
            cells.silent_s += LEASE_S
            await cells.until(lambda: cells.is_served_by("north"))
            await reserve(north, f"after-{step}")

        async def sleep() -> None:
            cells.silent_s += 2 * LEASE_S
            await cells.until(lambda: cells.is_served_by("north") and not cells.is_moving)

        for step in ("mark", "freeze", "leave"):
            with pytest.raises(NotMoved):
                await OrganizationMover(Watched(cells, {step: sleep}).owners, SHOP, "south").run()
            await reserve(north, f"late-{step}")
            assert await cells.holders() == ["north"]
        store: Any = north._store
        look = store.stays_up_to_now

        waited_s = 0.0

        async def look_for_long(organization_id: str) -> Any:
            """As where a large import is folded: the program waits, and gives the other cell signs of life."""
            nonlocal waited_s
            waited_s += 2 * LEASE_S
            return await look(organization_id)

        store.stays_up_to_now = look_for_long
        north._core.held.leases._monotonic_s = lambda: cells.lease_s() + waited_s  # type: ignore[union-attr]
        await OrganizationMover(Watched(cells, {}).owners, SHOP, "south").run()
        assert await cells.holders() == ["south"]


@pytest.mark.parametrize("urls", ["sqlite"], indirect=True)
async def test_history_has_an_end_only_when_the_imports_until_then_are_folded(urls: Mapping[str, str]) -> None:
    async with two_cells(urls) as cells:
        north = cells.cores["north"]
        await lay_in(north)
        store: Any = north._store
        fold, is_folding, gate, happened = store.fold, anyio.Event(), anyio.Event(), list[str]()

        async def fold_late(import_id: str, lines: int) -> bool:
            is_folding.set()
            await gate.wait()
            return bool(await fold(import_id, lines))

        async def mark() -> None:
            assert (await cells.asked("north", MoveOrganization(SHOP, "mark", "m1"))).is_done
            happened.append("marked")

        assert (await cells.asked("north", MoveOrganization(SHOP, "begin", "m1"))).is_done
        store.fold = fold_late
        await north.ask(StageLines("big", 0, (counted("big", 7, 1),)))
        decide = ImportStaged("big", "big", SHOP, "digest", 1, (SHOP,), ((SHOP, "w", ""),))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(north.ask, decide)  # which is answered when all is folded
            await is_folding.wait()
            tasks.start_soon(mark)
            await anyio.sleep(0.2)  # it would be marked long before
            happened.append("folded")
            gate.set()
        assert happened == ["folded", "marked"]


@pytest.mark.parametrize("urls", ["sqlite"], indirect=True)
async def test_what_a_try_writes_late_is_refused_once_the_new_cell_gave_it_up(urls: Mapping[str, str]) -> None:
    async with two_cells(urls) as cells:
        await lay_in(cells.cores["north"])
        south = cells.cores["south"]
        south._core.held.leases._monotonic_s = cells.lease_s  # type: ignore[union-attr]
        begun = await cells.asked("north", MoveOrganization(SHOP, "begin", "m1"))
        receive = MoveOrganization(SHOP, "receive", "m1", "north", "", begun.stays)
        assert (await cells.asked("south", receive)).is_done
        page: OrganizationRows = await cells.asked("north", ReadOrganization(SHOP, "stock"))
        write = WriteOrganization(SHOP, "m1", "stock", page.rows[:1])
        assert (await cells.asked("south", write)).is_done
        cells.silent_s += 2 * LEASE_S
        await cells.until(lambda: not south._core.held.is_moving)  # type: ignore[union-attr]
        assert not (await cells.asked("south", replace(write, rows=page.rows[1:2]))).is_done
        there: OrganizationRows = await cells.asked("south", ReadOrganization(SHOP, "stock"))
        assert len(there.rows) == 1


STEPS = {
    "mark": "old",
    "clear": "new",
    "freeze": "old",
    "leave": "old",
    "serve": "new",
    "drop": "old",
}
"""Which cell is killed before it."""


async def shown(cells: Cells, name: str) -> list[Any]:
    stock = await cells.asked(name, ListStock(SHOP, limit=1_000))
    orders = await cells.asked(name, ListReservations(SHOP, state=None, limit=1_000))
    return [stock.stock, sorted(orders.reservations, key=lambda one: one.reservation_id)]


@pytest.mark.parametrize("urls", ["sqlite", "postgres"], indirect=True)
async def test_owners_that_are_killed_at_any_step_leave_a_move_that_the_next_try_ends(
    urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organization_tables, "ROWS_A_PAGE", 500)
    is_sqlite = "sqlite" in urls["north"]
    async with two_cells(urls) as cells:
        await lay_in(cells.cores["north"])
        before, at = await shown(cells, "north"), "north"
        for step, dies in STEPS.items() if is_sqlite else (("freeze", "old"),):
            old, new = (at, "south" if at == "north" else "north")
            watched = Watched(cells, {step: partial(cells.kill, old if dies == "old" else new)})
            with suppress(NotMoved, Unavailable):
                await OrganizationMover(watched.owners, SHOP, new).run()
            assert not watched.before, step
            assert len(await cells.holders()) <= 1
            await moved_at_last(cells, new)
            at = new
            assert await cells.holders() == [at]
            assert await shown(cells, at) == before, step
        await cells.cores[at].ask(Reserve(SHOP, "later", (Line("v1", "", 1),), 15))
    for name in NAMES:
        found = await read_snapshot(urls[name], audit)
        assert not found.disagreements, (name, found.disagreements)


async def moved_at_last(cells: Cells, to: str) -> None:
    with anyio.fail_after(WITHIN_S):
        while True:
            try:
                await OrganizationMover(Watched(cells, {}).owners, SHOP, to).run()
                await cells.until(lambda: cells.is_served_by(to))
                return
            except Unavailable:
                await anyio.sleep(0.005)

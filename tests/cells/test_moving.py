"""An organization moves between two real cores with all that it has, on files and in memory; movers may be killed."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from actors.cell_records import WrongCell
from actors.changes import Point
from actors.commands import CountedLine, Import, Line, Release, Reserve
from actors.outcomes import Refused, StockReserved
from actors.queries import (
    ClaimOrganization,
    FindOrganization,
    GetStock,
    JoinCell,
    ListMovements,
    ReadChanges,
    WriteOrganization,
)
from actors.unavailable import Unavailable
from stockkeeper.bootstrap import build_sources, build_store
from stockkeeper.organization_mover import MovedOrganization, NotMoved, OrganizationMover
from storage.memory_store import Disk, MemoryStore
from storage.sql import organization_tables
from storage.sql.audit import audit
from storage.sql.snapshot import read_snapshot
from storage.store import Store
from supervisor.clock import ServiceClock
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor

pytestmark = pytest.mark.anyio

NAMES = ("north", "south")
LINES = tuple(CountedLine("shop", f"v{n}", "w", "", 9, 0, 0, 0, 0, n) for n in range(1, 8))
COUNTED = Import(LINES, "counted")
ORDERS = 6
MANY_MOVES = 10
WRITTEN = ("journal_entry", "stock_movement", "stock", "reservation", "request")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organization_tables, "ROWS_A_PAGE", 5)
    monkeypatch.setattr("storage.sql.organization_rows.TRANSACTIONS_A_PAGE", 3)
    monkeypatch.setattr("storage.memory_rows.ROWS_A_PAGE", 5)


@pytest.fixture(params=["sqlite", "memory"], autouse=True)
def disk_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "memory":
        monkeypatch.setitem(globals(), "core_of", core_in_memory)


def core_in_memory(folder: Path, name: str) -> Supervisor:
    disk = Disk()
    disk.database_id = name
    return core_on(MemoryStore(disk), name)


def core_of(folder: Path, name: str) -> Supervisor:
    return core_on(build_store(url_of(folder, name)), name)


def core_on(store: Store, name: str) -> Supervisor:
    """The clock of north is an hour ahead."""
    ahead_ms = 3_600_000 if name == "north" else 0
    clock = ServiceClock(lambda: time.time_ns() // 1_000_000 + ahead_ms, time.monotonic)
    return Supervisor(store, replace(build_sources(), clock=clock), Limits(), report=lambda _: None)


def url_of(folder: Path, name: str) -> str:
    return f"sqlite+aiosqlite:///{folder}/{name}.db"


@asynccontextmanager
async def two_cells(folder: Path) -> AsyncIterator[dict[str, Supervisor]]:
    """North has a shop with orders, and another organization between them; so has south."""
    cores = {name: core_of(folder, name) for name in NAMES}
    async with anyio.create_task_group() as tasks:
        for name, core in cores.items():
            await tasks.start(core.run)
            await core.answer(JoinCell("", name, 1, "d")).wait()
            for one in ("shop", "other") if name == "north" else ("local",):
                await core.answer(ClaimOrganization(one, 1, "d")).wait()
        await cores["north"].ask(COUNTED)
        for number in range(ORDERS):
            await reserve(cores["north"], f"o{number}")
            await cores["north"].ask(Import((CountedLine("other", "a", "w", "", number, 0, 0, 0, 0, 1),), f"i{number}"))
            await cores["south"].ask(Import((CountedLine("local", "a", "w", "", number, 0, 0, 0, 0, 1),), f"i{number}"))
        yield cores
        for core in cores.values():
            core.stop()
    for name in NAMES:
        if (folder / f"{name}.db").exists():
            found = await read_snapshot(url_of(folder, name), audit)
            assert not found.disagreements, (name, found.disagreements)


async def reserve(core: Supervisor, order_id: str) -> StockReserved:
    fact = await core.ask(Reserve("shop", order_id, (Line("v1", "", 1), Line("v2", "", 1)), 15))
    assert isinstance(fact, StockReserved)
    return fact


async def until_serving(core: Supervisor) -> None:
    async with _within():
        while not core.serving:  # noqa: ASYNC110 - it does not tell
            await anyio.sleep(0.01)


@asynccontextmanager
async def _within() -> AsyncIterator[None]:
    with anyio.fail_after(60):
        yield


async def told_after(core: Supervisor, place: Point, database_id: str) -> list[tuple[str, str]]:
    """What a watcher is told behind its place, as `rpc/services/change_stream.py` asks."""
    told = list[tuple[str, str]]()
    while True:
        page = await core.answer(ReadChanges("shop", place, 50, 0, database_id)).wait()
        assert page.is_known
        told += [(one.kind, one.reservation.order_id if one.reservation else "") for one in page.changes]
        if (page.upto, page.database_id) == (place, database_id):
            return told
        place, database_id = page.upto, page.database_id


async def shown(core: Supervisor) -> Any:
    stock = await asked(core, GetStock("shop", "v1", ""))
    movements = await asked(core, ListMovements("shop", limit=1_000))
    return stock, [(one.at_ms, one.kind, one.before, one.after, one.order_id) for one in movements.movements]


async def asked(core: Supervisor, query: Any) -> Any:
    """The answer, once the core has one: it may be between two incarnations."""
    async with _within():
        while True:
            try:
                return await core.answer(query).wait()
            except Unavailable:
                await anyio.sleep(0.01)


async def holders(cores: dict[str, Supervisor]) -> list[str]:
    answers = {name: await asked(core, FindOrganization("shop")) for name, core in cores.items()}
    return [name for name, answer in answers.items() if answer.held is not None and answer.held.state == "serving"]


async def test_it_goes_with_its_history_and_its_answers_and_watchers_go_on_there_and_back(tmp_path: Path) -> None:
    async with two_cells(tmp_path) as cores:
        north, south = cores["north"], cores["south"]
        first, counted = await reserve(north, "o0"), await north.ask(COUNTED)
        before = await shown(north)
        database_id = (await north.answer(ReadChanges("shop")).wait()).database_id
        told = await told_after(north, Point(0), database_id)
        assert len(told) == ORDERS + 1
        tokens = [Point(lsn, position) for lsn in range(2 * ORDERS + 2) for position in (0, 2**31 - 1)]
        expected = [await told_after(north, token, database_id) for token in tokens]
        moved = await OrganizationMover(cores, "shop", "south").run()
        assert (moved.source, moved.is_dropped, moved.rows > 20) == ("north", True, True)
        assert moved.figures[0] == len(LINES)
        await until_serving(south)
        assert await shown(south) == before
        assert await reserve(south, "o0") == first
        assert await south.ask(COUNTED) == counted  # known by its request id
        assert await shown(south) == before
        for asked in (reserve(north, "o9"), north.answer(GetStock("shop", "v1", "")).wait()):
            with pytest.raises(Refused) as refused:
                await asked
            assert refused.value.refusal == WrongCell("shop", "north", 1, "south")
        assert [await told_after(south, token, database_id) for token in tokens] == expected
        there = await south.answer(ReadChanges("shop")).wait()
        await reserve(south, "new")
        await south.ask(Release("shop", first.reservation.reservation_id, "", ""))
        later = [("reserve", "new"), ("release", "o0")]
        assert await told_after(south, Point(2**40), database_id) == later  # north has gone on without it
        assert await told_after(south, there.upto, there.database_id) == later
        times = [at_ms for at_ms, *_ in (await shown(south))[1]]
        assert times == sorted(times)
        await OrganizationMover(cores, "shop", "north").run()
        await until_serving(north)
        assert await told_after(north, there.upto, there.database_id) == later
        assert [await told_after(north, token, database_id) for token in tokens] == [one + later for one in expected]
        await reserve(north, "home")
        end = await north.answer(ReadChanges("shop")).wait()
        assert await told_after(north, end.upto, end.database_id) == []
        assert (await OrganizationMover(cores, "shop", "north").run()).source == ""
        with pytest.raises(NotMoved, match="no cell holds it"):
            await OrganizationMover(cores, "unknown", "north").run()


async def test_it_may_move_again_and_again_without_running_out_of_numbers(tmp_path: Path) -> None:
    async with two_cells(tmp_path) as cores:
        database_id = (await cores["north"].answer(ReadChanges("shop")).wait()).database_id
        token = Point(3)
        expected = await told_after(cores["north"], token, database_id)
        for number in range(MANY_MOVES):
            name = NAMES[1 - number % 2]
            await OrganizationMover(cores, "shop", name).run()
            await until_serving(cores[name])
            assert await told_after(cores[name], token, database_id) == expected
            again = (await reserve(cores[name], f"again-{number}")).reservation
            await cores[name].ask(Release("shop", again.reservation_id, "", ""))
            expected += [("reserve", again.order_id), ("release", again.order_id)]
        movements = (await asked(cores[name], ListMovements("shop", limit=1_000))).movements
        rooms = MANY_MOVES * (MANY_MOVES + 1) // 2  # each block has room that was not needed, and so have those in it
        assert min(one.lsn for one in movements) > -rooms * organization_tables.ROOM - 1_000


class Killed(BaseException):
    """As kill -9 of the mover."""


class Dying:
    """Owners to which the mover speaks until it is killed: before a message is heard, or before its answer is."""

    def __init__(self, cores: dict[str, Supervisor], steps: int, *, is_heard: bool, table: str = "") -> None:
        self.steps = steps
        self.is_heard = is_heard
        self.table = table  # killed when rows of it are written
        self.owners: Any = {name: _DyingOwner(self, core) for name, core in cores.items()}


class _DyingOwner:
    def __init__(self, dying: Dying, core: Supervisor) -> None:
        self._dying = dying
        self._core = core

    def answer(self, query: Any) -> "_Last":
        self._dying.steps -= 1
        is_last = self._dying.steps == 0
        if isinstance(query, WriteOrganization) and query.rows and query.table == self._dying.table:
            is_last = True
        if is_last and not self._dying.is_heard:
            raise Killed
        return _Last(self._core.answer(query), is_last=is_last)


class _Last:
    def __init__(self, reply: Any, *, is_last: bool) -> None:
        self._reply = reply
        self._is_last = is_last

    async def wait(self) -> Any:
        try:
            return await self._reply.wait()
        finally:
            if self._is_last:
                raise Killed


async def test_killed_at_any_step_it_is_finished_or_undone_by_the_next_try(tmp_path: Path) -> None:
    async with two_cells(tmp_path) as cores:
        before = await shown(cores["north"])
        rehearsal = Dying(cores, 0, is_heard=True)
        await OrganizationMover(rehearsal.owners, "shop", "south").run()
        steps, at = -rehearsal.steps, "south"
        for number, step in enumerate((3, 5, steps // 2, steps - 20, steps - 14, *range(steps - 11, steps, 2))):
            to = "north" if at == "south" else "south"
            dying = Dying(cores, step, is_heard=number % 2 == 0)
            with suppress(Killed):
                await OrganizationMover(dying.owners, "shop", to).run()
            for core in cores.values():
                await until_serving(core)
            assert len(await holders(cores)) <= 1
            at = at if number % 3 == 0 else to  # it may be finished, or moved back
            await moved_at_last(cores, at)
            assert await holders(cores) == [at]
            assert await shown(cores[at]) == before, step


async def test_killed_after_any_table_it_leaves_nothing_that_the_next_try_does_not_clear(tmp_path: Path) -> None:
    async with two_cells(tmp_path) as cores:
        before, at = await shown(cores["north"]), "north"
        for table in WRITTEN:
            at = "north" if at == "south" else "south"
            dying = Dying(cores, 0, is_heard=True, table=table)
            with suppress(Killed):  # memory has no ledger beside its journal
                await OrganizationMover(dying.owners, "shop", at).run()
            await moved_at_last(cores, at)
            assert await shown(cores[at]) == before, table
            assert not await disagreements(tmp_path), table


async def disagreements(folder: Path) -> list[Any]:
    files = [name for name in NAMES if (folder / f"{name}.db").exists()]
    return [one for name in files for one in (await read_snapshot(url_of(folder, name), audit)).disagreements]


async def moved_at_last(cores: dict[str, Supervisor], to: str) -> MovedOrganization:
    async with _within():
        while True:
            try:
                moved = await OrganizationMover(cores, "shop", to).run()
                await until_serving(cores[to])
                return moved
            except Unavailable:
                await anyio.sleep(0.02)

"""A cell serves what it holds and nothing else, whatever is under way, fails, or starts again."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from actors.cell_records import CellAnswer, CellRecord, HeldOrganization, WrongCell
from actors.commands import CountedLine, Import, ImportStaged, Line, Reserve
from actors.outcomes import Refused, StockReserved
from actors.queries import ClaimOrganization, FindOrganization, GetActivity, GetStock, JoinCell, ReadFeed
from actors.unavailable import Unavailable
from storage.memory_store import MemoryStore
from storage.store import StorageError
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve

pytestmark = pytest.mark.anyio

NORTH = CellRecord("north", 1, "d1")


async def join(core: Supervisor, cell: CellRecord = NORTH) -> CellAnswer:
    return await core.answer(JoinCell("", cell.name, cell.version, cell.digest)).wait()


async def claim(core: Supervisor, organization_id: str, version: int = 1, digest: str = "d1") -> CellAnswer:
    return await core.answer(ClaimOrganization(organization_id, version, digest)).wait()


async def find(core: Supervisor, organization_id: str) -> CellAnswer:
    return await core.answer(FindOrganization(organization_id)).wait()


async def refusal(asked: Awaitable[Any]) -> object:
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value.refusal


def an_import(*organizations: str) -> Import:
    lines = (CountedLine(one, "a", "w", "", 9, 0, 0, 0, 0, n) for n, one in enumerate(organizations, 1))
    return Import(tuple(lines), "-".join(organizations))


def an_order(organization_id: str = ORGANIZATION) -> Reserve:
    return Reserve(organization_id, "order", (Line("a", "", 1),), 15)


async def test_a_server_that_was_never_told_of_cells_serves_everybody(world: World) -> None:
    async with world.core() as core:
        await core.ask(an_import("x", "y"))
        assert await find(core, "x") == await claim(core, "x") == CellAnswer(None)
        assert world.disk.cell is None
        assert world.disk.held == {}


async def test_a_database_becomes_a_cell_with_the_organizations_that_it_has(world: World) -> None:
    async with world.core() as core:
        await core.ask(an_import("x", "y"))
        assert await join(core) == CellAnswer(NORTH)
        assert [await find(core, one) for one in ("x", "z")] == [
            CellAnswer(NORTH, HeldOrganization("x", "serving", 1)),
            CellAnswer(NORTH),
        ]
        await core.ask(an_order("x"))
    async with world.core() as core:  # and it needs not be told again
        await core.ask(an_order("y"))
        assert await refusal(core.ask(an_order("z"))) == WrongCell("z", "north", 1)


async def test_what_is_not_held_is_refused_and_leaves_nothing(world: World) -> None:
    async with world.core() as core:
        await join(core)
        wrong = WrongCell(ORGANIZATION, "north", 1)
        assert await refusal(core.ask(an_import(ORGANIZATION))) == wrong
        assert await refusal(core.ask(an_order())) == wrong
        assert await refusal(core.answer(GetStock(ORGANIZATION, "a")).wait()) == wrong
        staged = ImportStaged("i", "r", "s", "d", 1, ("x", ORGANIZATION), ())
        assert await refusal(core.ask(staged)) == WrongCell("x", "north", 1)
        await claim(core, "x")
        assert await refusal(core.ask(an_import("x", ORGANIZATION))) == wrong
        assert await refusal(core.ask(replace(staged, organizations=("x", ORGANIZATION)))) == wrong
        assert world.disk.transactions == []
        await core.answer(GetActivity("")).wait()  # what is of no organization is of this server
        await core.answer(ReadFeed("")).wait()
        assert core.statistics() is not None


async def test_a_claim_is_good_under_the_map_that_the_cell_has_joined_and_no_other(world: World) -> None:
    async with world.core() as core:
        await join(core, replace(NORTH, version=2, digest="d2"))
        for version, digest in ((1, "d1"), (2, "other"), (3, "d2")):
            assert (await claim(core, ORGANIZATION, version, digest)).held is None
            assert await refusal(core.ask(an_order())) == WrongCell(ORGANIZATION, "north", 2)
        held = HeldOrganization(ORGANIZATION, "serving", 2)
        assert (await claim(core, ORGANIZATION, 2, "d2")).held == held
        assert world.disk.held == {ORGANIZATION: held}
        await bring(core, {("a", "w"): 5})
        await join(core, CellRecord("north", 3, "d3"))
        assert (await claim(core, ORGANIZATION, 3, "d3")).held == held  # as it is
        await reserve(core, "order", ("a", "w", 1))


@pytest.mark.parametrize(
    "other", [CellRecord("south", 2, "d2"), CellRecord("north", 0, "d0"), CellRecord("north", 1, "other")]
)
async def test_a_cell_becomes_no_other_one_and_takes_no_older_map(world: World, other: CellRecord) -> None:
    async with world.core() as core:
        await join(core)
        assert await join(core, other) == CellAnswer(NORTH)
        assert world.disk.cell == NORTH
        newer = CellRecord("north", 2, "d2")
        assert await join(core, newer) == await join(core, NORTH) == CellAnswer(newer)
        assert world.disk.cell == newer


class HeldStore(MemoryStore):
    """One that writes of cells only when it may, and fails if it is to."""

    def __init__(self, world: World) -> None:
        super().__init__(world.disk)
        self.may = anyio.Event()
        self.began = anyio.Event()
        self.operations: tuple[str, ...] = ("join_cell", "hold_organization")
        self.lands = True
        self.fails = False

    async def _before(self, operation: str) -> None:
        if operation in self.operations:
            self.began.set()
            await self.may.wait()
            if self.fails and not self.lands:
                raise StorageError("no")
        await super()._before(operation)

    async def _after(self, operation: str) -> None:
        if operation in self.operations and self.fails:
            self.fails = False
            raise StorageError("no answer")


@asynccontextmanager
async def held_core(world: World) -> AsyncIterator[tuple[Supervisor, HeldStore]]:
    store = HeldStore(world)
    async with world.core(store, Limits(heartbeat_s=0.005)) as core:
        yield core, store


async def test_nothing_is_done_for_an_organization_before_it_is_held_durably(world: World) -> None:
    async with held_core(world) as (core, store):
        store.operations = ("hold_organization",)
        await join(core)
        claiming = core.answer(ClaimOrganization(ORGANIZATION, 1, "d1"))
        await store.began.wait()
        assert await refusal(core.ask(an_import(ORGANIZATION))) == WrongCell(ORGANIZATION, "north", 1)
        assert await find(core, ORGANIZATION) == CellAnswer(NORTH)
        joining = core.answer(JoinCell("", "north", 2, "d2"))
        for _ in range(20):
            await checkpoint()
        assert await find(core, "x") == CellAnswer(NORTH)  # or one who asks would take the claim for refused
        store.may.set()
        assert (await claiming.wait()).held == HeldOrganization(ORGANIZATION, "serving", 1)
        assert (await joining.wait()).cell == CellRecord("north", 2, "d2")
        await core.ask(an_import(ORGANIZATION))


async def test_what_is_under_way_when_a_database_becomes_a_cell_is_held_by_it(world: World) -> None:
    async with held_core(world) as (core, store):
        store.operations = ("load_variants", "join_cell")  # it is let in, and has decided nothing
        importing = core.submit(an_import("x"))
        await store.began.wait()
        joining = core.answer(JoinCell("", "north", 1, "d1"))
        for _ in range(20):
            await checkpoint()
        with pytest.raises(Unavailable):
            core.submit(an_import("y"))
        store.may.set()
        await importing.wait()
        assert await joining.wait() == CellAnswer(NORTH)
        assert list(world.disk.held) == ["x"]
        assert await refusal(core.ask(an_import("y"))) == WrongCell("y", "north", 1)


@pytest.mark.parametrize("lands", [False, True])
async def test_a_claim_that_fails_is_found_as_the_database_has_it(world: World, lands: bool) -> None:
    async with held_core(world) as (core, store):
        store.may.set()
        await join(core)
        store.fails, store.lands = True, lands
        with pytest.raises(Unavailable):
            await claim(core, ORGANIZATION)
        store.fails = False
        while core.incarnations < 2 or not core.serving:  # noqa: ASYNC110 - a core does not tell
            await anyio.sleep(0.005)
        assert ((await find(core, ORGANIZATION)).held is not None) is lands
        assert (ORGANIZATION in world.disk.held) is lands
    world.reports.clear()


async def test_what_is_frozen_is_looked_at_and_not_changed_and_what_is_gone_is_neither(world: World) -> None:
    async with world.core() as core:
        await join(core)
        await claim(core, ORGANIZATION)
        await bring(core, {("a", "w"): 5})
        await reserve(core, "order", ("a", "w", 1), ttl_minutes=1)
    frozen = world.disk.held[ORGANIZATION] = HeldOrganization(ORGANIZATION, "frozen", 1)
    world.wall_ms += 120_000
    async with world.core() as core:
        assert await available(core) == {("a", "w"): 4}
        with pytest.raises(Unavailable) as moving:
            await core.ask(an_order())
        assert moving.value.reason == "ORGANIZATION_MOVING"
        while not core._core or not core._core.expiry._failed:  # noqa: ASYNC110 - it is asked, and refused
            await anyio.sleep(0.005)
        assert [one.kind for one in world.disk.transactions] == ["import", "reserve"]
        core._core.expiry._failed.clear()
    world.disk.held[ORGANIZATION] = replace(frozen, state="gone", moved_to="south")
    async with world.core() as core:
        gone = WrongCell(ORGANIZATION, "north", 1, "south")
        assert await refusal(core.ask(an_order())) == gone
        assert await refusal(core.answer(GetStock(ORGANIZATION, "a")).wait()) == gone
        assert (await claim(core, ORGANIZATION)).held == world.disk.held[ORGANIZATION]
    world.disk.held[ORGANIZATION] = replace(frozen, state="serving")
    async with world.core() as core:
        while len(world.disk.transactions) < 3:  # noqa: ASYNC110 - it expires now
            await anyio.sleep(0.005)
        assert isinstance(await core.ask(an_order()), StockReserved)

"""A router before real cores: every organization is in one cell, whatever maps are read and whichever owner is away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.cell_records import HeldOrganization, WrongCell
from actors.commands import CountedLine, Import, Line, Release, Reserve
from actors.outcomes import Refused, StockImported, StockReserved
from actors.queries import GetActivity, GetStock, JoinCell
from actors.unavailable import Unavailable
from cells.cell_map import CellMap, parse_map
from cells.routed_inventory import RoutedInventory
from cells.whereabouts import Whereabouts
from supervisor.supervisor import Supervisor
from tests.core.conftest import World

pytestmark = pytest.mark.anyio

NAMES = ("a", "b", "c")


def a_map(version: int, *names: str, organizations: str = "") -> CellMap:
    tables = "".join(f'[cells.{name}]\naddress = "unix:/{name}"\n' for name in names)
    return parse_map(f"version = {version}\n{tables}[organizations]\n{organizations}")


class Fleet:
    """Cells by name, of which some may be away, and routers before them."""

    def __init__(self, tasks: Any, stack: AsyncExitStack, there: CellMap) -> None:
        self.tasks = tasks
        self.stack = stack
        self.map = there
        self.worlds = {name: World() for name in NAMES}
        self.cores: dict[str, Supervisor] = {}
        self.away: set[str] = set()
        self.asked: list[str] = []

    def owner_of(self, name: str) -> Supervisor:
        self.asked.append(name)
        if name in self.away or name not in self.cores:
            raise Unavailable("CELL_AWAY", "away", 100)
        return self.cores[name]

    async def start(self, *names: str) -> None:
        for name in names:
            self.cores[name] = await self.stack.enter_async_context(self.worlds[name].core())
            await self.join(name)

    async def join(self, *names: str) -> None:
        for name in names:
            await self.cores[name].answer(JoinCell("", name, self.map.version, self.map.digest)).wait()

    def router(self, first: CellMap | None = None, look: Callable[[], CellMap] | None = None) -> RoutedInventory:
        where = Whereabouts(first or self.map, look or (lambda: self.map), self.owner_of)
        every = lambda: list(self.cores.values())  # noqa: E731
        return RoutedInventory(where, self.owner_of, every, self.tasks.start_soon, wait_s=5.0, waiting_max=50)

    def holders(self, organization_id: str) -> list[str]:
        held = {name: world.disk.held.get(organization_id) for name, world in self.worlds.items()}
        return [name for name, one in held.items() if one is not None and one.state != "gone"]


@asynccontextmanager
async def a_fleet(there: CellMap, *names: str) -> AsyncIterator[Fleet]:
    async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        fleet = Fleet(tasks, stack, there)
        await fleet.start(*names)
        yield fleet


def lines(*organizations: str, count: int = 1) -> tuple[CountedLine, ...]:
    named = [one for one in organizations for _ in range(count)]
    return tuple(CountedLine(one, f"v{n}", "w", "", 9, 0, 0, 0, 0, n) for n, one in enumerate(named, 1))


async def import_(router: RoutedInventory, *organizations: str) -> StockImported:
    fact = await router.ask(Import(lines(*organizations), "-".join(organizations)))
    assert isinstance(fact, StockImported)
    return fact


async def reserve(router: RoutedInventory, organization_id: str, order_id: str = "o1") -> StockReserved:
    fact = await router.ask(Reserve(organization_id, order_id, (Line("v1", "", 1),), 15))
    assert isinstance(fact, StockReserved)
    return fact


async def refusal(asked: Awaitable[Any]) -> Any:
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value.refusal


async def test_organizations_are_spread_over_the_cells_each_in_the_one_that_the_map_names() -> None:
    async with a_fleet(a_map(1, *NAMES), *NAMES) as fleet:
        router, other = fleet.router(), fleet.router()
        organizations = [f"org_{number}" for number in range(12)]
        async with anyio.create_task_group() as tasks:
            for one in organizations:
                for door in (router, other):  # both look for it at the same moment
                    tasks.start_soon(import_, door, one)
        for one in organizations:
            first = await reserve(router, one)
            assert await reserve(other, one) == first
            assert fleet.holders(one) == [fleet.map.cell_of(one).name]
            assert (await other.answer(GetStock(one, "v1")).wait()).stock[0].record.reserved == 1
        assert len({name for one in organizations for name in fleet.holders(one)}) == 3
        fleet.asked.clear()
        await reserve(router, "org_1", "o2")
        assert fleet.asked == [fleet.map.cell_of("org_1").name]  # no look is needed any more
        asked = router.statistics()
        assert (asked.waiting, asked.uploads) == (0, 0)


async def test_an_organization_stays_where_it_is_when_a_cell_is_added() -> None:
    async with a_fleet(a_map(1, "a", "b"), "a", "b") as fleet:
        old = fleet.router(look=lambda: a_map(1, "a", "b"))
        organizations = [f"org_{number}" for number in range(12)]
        for one in organizations:
            await import_(old, one)
        homes = {one: fleet.holders(one) for one in organizations}
        fleet.map = a_map(2, *NAMES)
        moved = [one for one in organizations if fleet.map.cell_of(one).name == "c"]
        assert moved
        new = fleet.router()
        # `c` has joined, and the others have not: what is new is taken by no cell before they have.
        await fleet.start("c")
        fresh = next(name for name in (f"new_{n}" for n in range(99)) if fleet.map.cell_of(name).name == "c")
        waiting = new.submit(Reserve(fresh, "o1", (Line("v1", "", 1),), 15))
        while not new.statistics().asked_again:
            await checkpoint()
        for one in moved:  # what there is, is served meanwhile
            assert (await reserve(new, one)).reservation.order_id == "o1"
        assert new.statistics().wrong_cell >= len(moved)
        assert not waiting.is_done
        assert fleet.holders(fresh) == []
        await fleet.join("a", "b")
        await refusal(waiting.wait())  # it has no such stock
        assert fleet.holders(fresh) == ["c"]
        old._whereabouts._look = lambda: fleet.map
        await import_(old, fresh)  # it looked in another cell first
        assert {one: fleet.holders(one) for one in organizations} == homes


async def test_a_router_with_an_old_map_cannot_have_an_organization_taken_twice() -> None:
    async with a_fleet(a_map(2, *NAMES), *NAMES) as fleet:
        old = fleet.router(a_map(1, "a", "b"), look=lambda: a_map(1, "a", "b"))
        taken = [name for name in (f"org_{n}" for n in range(20)) if fleet.map.cell_of(name).name == "c"]
        assert taken
        for one in taken:
            asked = old.submit(Reserve(one, "o1", (Line("v1", "", 1),), 15))
            while not old.statistics().asked_again:
                await checkpoint()
            assert fleet.holders(one) == []  # the cells have another map: it waits
            await import_(fleet.router(), one)
            old._whereabouts._look = lambda: fleet.map
            await asked.wait()
            assert fleet.holders(one) == ["c"]
            old._whereabouts._look = lambda: a_map(1, "a", "b")
            old._asked_again = 0


async def test_an_owner_that_is_away_costs_a_retry_and_no_error() -> None:
    there = a_map(1, "a", "b", organizations='x = "a"\ny = "b"')
    async with a_fleet(there, "a", "b") as fleet:
        router = fleet.router()
        for one in "xy":
            await import_(router, one)
        fleet.away = {"a"}
        waiting = [router.submit(Reserve("x", f"o{n}", (Line("v1", "", 1),), 15)) for n in range(5)]
        for n in range(45):
            router.submit(Release("x", f"r{n}", ""))
        with pytest.raises(Unavailable) as full:  # what waits is bounded
            await router.submit(Release("x", "one more", "")).wait()
        assert full.value.reason == "OVERLOADED"
        await reserve(router, "y")  # others are served
        assert router.serving
        fleet.away = set()
        facts = [await reply.wait() for reply in waiting]
        assert all(isinstance(fact, StockReserved) for fact in facts)
        assert len(fleet.worlds["a"].disk.reservations) == 5
        while router.statistics().waiting:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.01)


async def test_what_never_comes_back_is_unavailable_after_a_while() -> None:
    there = a_map(1, "a", "b", organizations='x = "a"\ny = "b"')
    async with a_fleet(there, "a", "b") as fleet:
        router = fleet.router()
        router._wait_s = 0.1
        fleet.away = {"b"}
        for one in "xy":  # also what the map places in `a`: `b` may hold it
            with pytest.raises(Unavailable) as away:
                await reserve(router, one)
            assert away.value.reason in ("CELL_AWAY", "ORGANIZATION_MOVING")
            assert fleet.holders(one) == []


async def test_an_organization_that_has_moved_is_found_and_one_that_is_under_way_is_waited_for() -> None:
    there = a_map(1, "a", "b", organizations='x = "a"')
    async with a_fleet(there, "a", "b") as fleet:
        router = fleet.router()
        await import_(router, "x")
        a, b = fleet.cores["a"]._core, fleet.cores["b"]._core
        assert a is not None
        assert b is not None
        a.held._held["x"] = HeldOrganization("x", "gone", 1, "b")
        asked = router.submit(Reserve("x", "o1", (Line("v1", "", 1),), 15))
        while not router.statistics().asked_again:
            await checkpoint()
        assert not asked.is_done
        b.held._held["x"] = HeldOrganization("x", "serving", 1)
        await refusal(asked.wait())  # the stock is not there in this test, and `b` was asked
        fleet.asked.clear()
        await refusal(reserve(router, "x"))
        assert fleet.asked == ["b"]


async def test_what_has_left_one_cell_is_not_taken_by_another_before_it_arrives() -> None:
    there = a_map(1, "a", "b", organizations='x = "b"')  # the map is ahead of the move
    async with a_fleet(there, "a", "b") as fleet:
        router = fleet.router()
        router._wait_s = 0.1
        core = fleet.cores["a"]._core
        assert core is not None
        core.held._held["x"] = HeldOrganization("x", "gone", 1, "b")
        with pytest.raises(Unavailable) as under_way:
            await reserve(router, "x")
        assert under_way.value.reason == "ORGANIZATION_MOVING"
        assert fleet.holders("x") == []


async def test_what_is_of_no_organization_is_asked_of_a_cell_itself() -> None:
    async with a_fleet(a_map(1, "a", "b"), "a", "b") as fleet:
        assert await refusal(fleet.router().answer(GetActivity("")).wait()) == WrongCell("", "", 0)
    async with a_fleet(a_map(1, "a"), "a") as fleet:
        await fleet.router().answer(GetActivity("")).wait()

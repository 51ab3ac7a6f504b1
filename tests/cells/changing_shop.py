"""Two cells on real databases and a shop of which everything changes: for tests of what a move brings over."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio

from actors.commands import (
    Adjust,
    Adjustment,
    Amend,
    Announce,
    Command,
    Confirm,
    CountedLine,
    Deduct,
    Delete,
    DeliveryLine,
    Extend,
    Fulfill,
    Import,
    ImportStaged,
    Line,
    Reacquire,
    Receive,
    Release,
    Reserve,
    StageLines,
)
from actors.outcomes import StockReserved
from actors.queries import ClaimOrganization, FindOrganization, JoinCell, MoveOrganization
from actors.transfer_commands import ArrivedLine, CancelTransfer, ReceiveTransfer, ShippedLine, ShipTransfer
from actors.unavailable import Unavailable
from actors.warehouse_commands import LevelsLine, SetLevels, SetSourcing, UpsertWarehouse
from storage.sql.sql_store import SqlStore
from supervisor.clock import ServiceClock
from supervisor.limits import Limits
from supervisor.sources import Sources
from supervisor.supervisor import Supervisor

SHOP = "shop"
TAGS = ("old", "a", "b")
KEEP_DAYS = 2
DAY_S = 24 * 60 * 60.0
WITHIN_S = 60.0


class Cells:
    """North, which holds the shop, and south. Each may be killed and started again.

    Args:
        urls: of their databases.
        tasks: in which they run.
    """

    def __init__(self, urls: Mapping[str, str], tasks: Any) -> None:
        self._urls = urls
        self._tasks = tasks
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._over: dict[str, anyio.Event] = {}
        self._ids = count(1)
        self.extra_s = 0.0  # of the service clock
        self.silent_s = 0.0  # of the clock that leases go by
        self.cores: dict[str, Supervisor] = {}

    def now_s(self) -> float:
        return anyio.current_time() + self.extra_s

    def lease_s(self) -> float:
        return anyio.current_time() + self.silent_s

    async def start(self, name: str) -> Supervisor:
        sources = Sources(
            clock=ServiceClock(lambda: 1_790_000_000_000, self.now_s),
            new_id=lambda: f"{name}-{next(self._ids):06}",
            report_crash=lambda actor, error: None,
        )
        limits = Limits(heartbeat_s=0.02, keep_days=KEEP_DAYS, gather_s=0.0)
        core = Supervisor(SqlStore(self._urls[name], owner=name), sources, limits)
        self._scopes[name], self._over[name] = anyio.CancelScope(), anyio.Event()

        async def run(*, task_status: Any) -> None:
            with self._scopes[name]:
                await core.run(task_status=task_status)
            self._over[name].set()

        await self._tasks.start(run)
        self.cores[name] = core
        return core

    async def kill(self, name: str) -> None:
        """As kill -9, for all that is in memory; and start it again."""
        self._scopes[name].cancel()
        await self._over[name].wait()
        await self.start(name)

    async def until(self, is_so: Callable[[], bool]) -> None:
        with anyio.fail_after(WITHIN_S):
            while not is_so():  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.005)

    async def asked(self, name: str, query: Any) -> Any:
        """The answer, once there is one: the cell may be between two incarnations."""
        with anyio.fail_after(WITHIN_S):
            while True:
                try:
                    return await self.cores[name].answer(query).wait()
                except Unavailable:
                    await anyio.sleep(0.005)

    def is_served_by(self, name: str) -> bool:
        core = self.cores[name]._core
        held = core.held.of(SHOP) if core is not None else None
        return held is not None and held.state == "serving"

    @property
    def is_moving(self) -> bool:
        return any(core._core is None or core._core.held.is_moving for core in self.cores.values())

    async def holders(self) -> list[str]:
        found = {name: await self.asked(name, FindOrganization(SHOP)) for name in self.cores}
        return [name for name, one in found.items() if one.held is not None and one.held.state == "serving"]


@asynccontextmanager
async def two_cells(urls: Mapping[str, str]) -> AsyncIterator[Cells]:
    async with anyio.create_task_group() as tasks:
        cells = Cells(urls, tasks)
        for name in urls:
            core = await cells.start(name)
            await core.answer(JoinCell("", name, 1, "d")).wait()
        await cells.cores["north"].answer(ClaimOrganization(SHOP, 1, "d")).wait()
        yield cells
        for core in cells.cores.values():
            core.stop()


class Watched:
    """Owners that have something done before a step of a move is asked for the first time.

    Args:
        cells: those that are asked.
        before: what is done, by step.
    """

    def __init__(self, cells: Cells, before: dict[str, Any]) -> None:
        self.cells = cells
        self.before = before
        self.owners: Any = {name: _Owner(self, name) for name in cells.cores}
        self.steps: list[str] = []


class _Owner:
    def __init__(self, watched: Watched, name: str) -> None:
        self._watched = watched
        self._name = name

    def answer(self, query: Any) -> Any:
        return _Answer(self._watched, self._name, query)


class _Answer:
    def __init__(self, watched: Watched, name: str, query: Any) -> None:
        self._watched = watched
        self._name = name
        self._query = query

    async def wait(self) -> Any:
        watched = self._watched
        if isinstance(self._query, MoveOrganization):
            watched.steps.append(self._query.step)
            if (act := watched.before.pop(self._query.step, None)) is not None:
                await act()
        return await watched.cells.cores[self._name].answer(self._query).wait()


# ---- the shop -----------------------------------------------------------------------------------------------------


def counted(variant_id: str, total: int, number: int, warehouse_id: str = "w") -> CountedLine:
    return CountedLine(SHOP, variant_id, warehouse_id, "", total, 0, 0, 2, 0, number)


async def lay_in(core: Supervisor) -> None:
    """Goods, and orders to which something is done later on, in `change_everything("a")` and `("b")`."""
    lines = [counted(f"v{n}", 50, n) for n in range(1, 8)]
    others = [
        counted(f"{name}-{tag}", total, n + 10 * total)
        for n, tag in enumerate(TAGS, 10)
        for name, total in (("empty", 0), ("lost", 5))
    ]
    await core.ask(Import((*lines, *others, counted("v1", 9, 20, "x")), "counted"))
    for tag in TAGS:
        await core.ask(Reserve(SHOP, f"lost-{tag}", (Line(f"lost-{tag}", "w", 4),), 44_640))
        for order in ("confirm", "release", "fulfill", "extend", "amend"):
            await reserve(core, f"{order}-{tag}")
        await core.ask(ShipTransfer(SHOP, f"t-{tag}", "w", "x", (ShippedLine("v3", 2),), f"ship-{tag}"))
        await core.ask(ShipTransfer(SHOP, f"back-{tag}", "w", "x", (ShippedLine("v3", 1),), f"ship-back-{tag}"))


async def reserve(core: Supervisor, order_id: str, ttl_minutes: int = 44_640) -> str:
    key = f"key-{order_id}" if "confirm" in order_id else ""
    fact = await core.ask(Reserve(SHOP, order_id, (Line("v1", "", 1), Line("v2", "w", 1)), ttl_minutes, key))
    assert isinstance(fact, StockReserved)
    return fact.reservation.reservation_id


async def change_everything(core: Supervisor, tag: str) -> None:
    """Each kind of change once."""
    orders = ("confirm", "release", "fulfill", "extend", "amend")
    ids = {order: await reserve(core, f"{order}-{tag}") for order in orders}
    await core.ask(Confirm(SHOP, ids["fulfill"], f"fulfill-{tag}"))
    commands: list[Command] = [
        Confirm(SHOP, ids["confirm"], f"confirm-{tag}"),
        Release(SHOP, ids["release"], "gone", f"r-{tag}"),
        Fulfill(SHOP, ids["fulfill"], f"f-{tag}", "parcel", lines=(Line("v2", "w", 1),)),
        Extend(SHOP, ids["extend"], 99, f"e-{tag}"),
        Amend(SHOP, ids["amend"], (Line("v4", "w", 3),), f"a-{tag}"),
        Receive(SHOP, (DeliveryLine("v5", "w", 7, 1),), f"in-{tag}"),
        Announce(SHOP, (Line("v5", "w", 5),), f"an-{tag}"),
        Deduct(SHOP, (Line("v6", "w", 1),), f"d-{tag}"),
        Adjust(SHOP, (Adjustment("v7", "w", "mark_damaged", 2),), f"adj-{tag}"),
        Delete(SHOP, f"empty-{tag}", "w", f"del-{tag}"),
        SetLevels(SHOP, (LevelsLine("v6", "w", 5, 60, 7),), f"lev-{tag}"),
        UpsertWarehouse(SHOP, f"w-{tag}", f"new {tag}", None, 3, True, f"wh-{tag}"),
        UpsertWarehouse(SHOP, "x", f"named {tag}", tag, None, None, f"whx-{tag}"),
        SetSourcing(SHOP, "priority" if tag == "a" else "most_stock", f"pol-{tag}"),
        ReceiveTransfer(SHOP, f"t-{tag}", (ArrivedLine("v3", 1),), True, f"rt-{tag}"),
        CancelTransfer(SHOP, f"back-{tag}", f"ct-{tag}"),
        ShipTransfer(SHOP, f"new-{tag}", "w", "x", (ShippedLine("v4", 1),), f"st-{tag}"),
        Import((counted(f"new-{tag}", 4, 1), counted("v4", 44, 2)), f"im-{tag}"),
        StageLines(f"big-{tag}", 0, tuple(counted(f"big{n}-{tag}", n, n) for n in range(1, 9))),
        ImportStaged(f"big-{tag}", f"big-{tag}", SHOP, "digest", 8, (SHOP,), ((SHOP, "w", ""),)),
    ]
    for command in commands:
        await core.ask(command)
    lost = Adjustment(f"lost-{tag}", "w", "count", 3)
    await core.ask(Adjust(SHOP, (lost,), f"lost-{tag}", release_uncovered=True))


async def let_time_pass(cells: Cells, tag: str, seconds: float) -> None:
    """What is due expires; one of them is taken again."""
    core, before = cells.cores["north"], _expired(cells.cores["north"])
    again = await reserve(core, f"again-{tag}", ttl_minutes=1)
    cells.extra_s += seconds
    await cells.until(lambda: _expired(core) > before + 1)
    await core.ask(Reacquire(SHOP, again, 44_640, f"again-{tag}"))


def _expired(core: Supervisor) -> int:
    statistics = core.statistics()
    assert statistics is not None
    return statistics.expiry.expired


def tidied(core: Supervisor) -> int:
    """Rows that housekeeping has moved."""
    statistics = core.statistics()
    return 0 if statistics is None else statistics.housekeeping.rows_moved

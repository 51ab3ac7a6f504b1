"""A whole core on a simulated disk, on both backends of anyio."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import TypeVar

import anyio
import pytest

from actors.commands import CountedLine, Import, Line, Reserve
from actors.outcomes import StockReserved
from actors.queries import CheckBasket, GetStock, ListStock
from actors.records import ReservationRecord
from actors.turn import Turn, run
from actors.views import BasketCheck, StockView
from simulation.world.leftovers import leftovers
from storage.memory_store import Disk, MemoryStore
from storage.store import Store
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor

T = TypeVar("T")

ORGANIZATION = "org_1"


class FakeTime:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """What a test needs to run cores one after another on one disk."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.time = FakeTime()
        self.crashes: list[tuple[object, Exception]] = []
        self.reports: list[BaseException] = []
        self.wall_ms = 1_700_000_000_000
        self.monotonic_s: Callable[[], float] = anyio.current_time
        self._ids = count(1)

    def sources(self) -> Sources:
        return Sources(
            clock=ServiceClock(lambda: self.wall_ms, self.time),
            new_id=lambda: f"id-{next(self._ids):06}",
            monotonic_s=self.monotonic_s,
            report_crash=lambda actor, error: self.crashes.append((actor, error)),
        )

    @asynccontextmanager
    async def core(self, store: Store | None = None, limits: Limits | None = None) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(
            store or MemoryStore(self.disk),
            self.sources(),
            limits or Limits(heartbeat_s=0.005),
            report=self.reports.append,
        )
        async with anyio.create_task_group() as tasks:
            await tasks.start(supervisor.run)
            yield supervisor
            core = supervisor._core
            if core is not None and not core._is_over:
                with anyio.move_on_after(1.0):  # what runs in the background may be in the middle of something
                    while list(leftovers(core)):  # noqa: ASYNC110 - the core does not tell
                        await anyio.sleep(0.001)
            supervisor.stop()
        if core is not None:
            assert list(leftovers(core)) == []


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    assert world.crashes == []


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Stock = dict[tuple[str, str], int]


async def bring(core: Supervisor, stock: Stock, request_id: str = "initial") -> None:
    """Import these totals, by variant and warehouse."""
    lines = tuple(
        CountedLine(ORGANIZATION, variant, warehouse, "", total, 0, 0, 0, 0, number)
        for number, ((variant, warehouse), total) in enumerate(stock.items(), 1)
    )
    await core.ask(Import(lines, request_id))


async def reserve(
    core: Supervisor, order_id: str, *lines: tuple[str, str, int], ttl_minutes: int = 15, request_id: str = ""
) -> ReservationRecord:
    fact = await core.ask(
        Reserve(ORGANIZATION, order_id, tuple(Line(*line) for line in lines), ttl_minutes, request_id)
    )
    assert isinstance(fact, StockReserved)
    return fact.reservation


async def available(core: Supervisor) -> Stock:
    """Available pieces by variant and warehouse, as readers see them."""
    page = await core.answer(ListStock(ORGANIZATION, limit=1000)).wait()
    return {(v.record.variant_id, v.record.warehouse_id): v.record.available for v in page.stock}


async def rows_of(core: Supervisor, variant_id: str, warehouse_id: str = "") -> Sequence[StockView]:
    return (await core.answer(GetStock(ORGANIZATION, variant_id, warehouse_id)).wait()).stock


async def check(core: Supervisor, *lines: Line) -> BasketCheck:
    return await core.answer(CheckBasket(ORGANIZATION, lines)).wait()


Reporter = Callable[[BaseException], None]


def finish_now(turn: Turn[T]) -> T:
    """Run a turn that has nothing to wait for."""
    with pytest.raises(StopIteration) as end:
        run(turn).send(None)
    outcome: T = end.value.value
    return outcome

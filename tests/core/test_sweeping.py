"""What a crowd has left in memory goes when it has gone, and what a steady shop comes back to stays."""

import pytest

from actors.commands import Confirm, Line, Reserve
from actors.outcomes import StockReserved
from actors.records import ReservationRecord
from storage.memory_store import MemoryStore
from supervisor.background import sweeping
from supervisor.background.sweeping import Sweeping
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring

pytestmark = pytest.mark.anyio

WIDE = tuple(Line(f"v{number:02}", "w1", 1) for number in range(20))
NARROW = WIDE[:1]


class CountingStore(MemoryStore):
    """Counts what a database is asked for."""

    asked: int = 0
    loads: int = 0

    async def let_go(self) -> bool:
        self.asked += 1
        return True

    async def _before(self, operation: str) -> None:
        await super()._before(operation)
        self.loads += operation == "load_orders"


@pytest.fixture(autouse=True)
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ORDERS_KEPT": 4, "LINES_KEPT": 60, "TRANSACTIONS_OF_A_LULL": 5, "LOOKS_KEPT": 2}.items():
        monkeypatch.setattr(sweeping, name, value)


async def reserve(core: Supervisor, names: range, lines: tuple[Line, ...] = NARROW) -> list[ReservationRecord]:
    facts = [await core.ask(Reserve(ORGANIZATION, f"o{number}", lines, 15, "")) for number in names]
    return [fact.reservation for fact in facts if isinstance(fact, StockReserved)]


def sweeping_of(core: Supervisor) -> Sweeping:
    assert core._core is not None
    return core._core._sweeping


def orders_of(core: Supervisor) -> list[str]:
    assert core._core is not None
    return sorted(order.key.order_id for order in core._core.orders._directory.activations())


async def test_what_a_crowd_left_goes_and_the_last_ones_stay(world: World) -> None:
    store = CountingStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {(line.variant_id, "w1"): 1_000 for line in WIDE})
        look = sweeping_of(core).look
        await look()
        made = await reserve(core, range(30))
        await look()
        assert len(orders_of(core)) == 30  # as many come as at this pace in five minutes
        assert store.asked == 1  # for the import, before the crowd
        await look()
        assert orders_of(core) == ["o26", "o27", "o28", "o29"]
        assert store.asked == 2
        assert sweeping_of(core).statistics().times == 2
        store.loads = 0
        await core.ask(Confirm(ORGANIZATION, made[29].reservation_id, "o29"))
        assert store.loads == 0
        await core.ask(Confirm(ORGANIZATION, made[0].reservation_id, "o0"))
        assert store.loads == 1
        assert core._core is not None
        assert len(core._core.orders._order_of_reservation) == 5


async def test_a_steady_pace_keeps_what_came_in_its_time(world: World) -> None:
    store = CountingStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {(line.variant_id, "w1"): 1_000 for line in WIDE})
        for begin in range(0, 60, 10):
            await reserve(core, range(begin, begin + 10))
            await sweeping_of(core).look()
        assert orders_of(core) == sorted(f"o{number}" for number in range(40, 60))
        assert store.asked == 0  # it is in use


async def test_a_steady_pace_of_large_orders_keeps_them_as_long(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(line.variant_id, "w1"): 1_000 for line in WIDE})
        for begin in range(0, 20, 4):
            await reserve(core, range(begin, begin + 4), WIDE)
            await sweeping_of(core).look()
        assert orders_of(core) == sorted(f"o{number}" for number in range(12, 20))


async def test_large_orders_are_counted_by_their_lines(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(line.variant_id, "w1"): 1_000 for line in WIDE})
        await reserve(core, range(4), WIDE)
        look = sweeping_of(core).look
        await look()
        assert len(orders_of(core)) == 4
        await look()
        assert len(orders_of(core)) == 3
        await look()
        assert len(orders_of(core)) == 3
        assert sweeping_of(core).statistics().times == 1


async def test_nothing_is_asked_of_a_database_to_which_nothing_was_written(world: World) -> None:
    store = CountingStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {("v00", "w1"): 10})
        for _ in range(3):
            await sweeping_of(core).look()
        assert store.asked == 1

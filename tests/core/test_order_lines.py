"""Orders in memory are bounded by the lines of their reservations too."""

import pytest

from actors.commands import Line, Release, Reserve
from actors.outcomes import StockReserved
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring

pytestmark = pytest.mark.anyio

VARIANTS = [f"v{number:02}" for number in range(20)]
BASKET = tuple(Line(variant, "w1", 1) for variant in VARIANTS)
LIMITS = Limits(heartbeat_s=0.005, order_lines_max=100)


def lines_held(core: Supervisor) -> int:
    assert core._core is not None
    orders = core._core.orders
    held = [r for order in orders._directory.activations() for r in order.reservations.values()]
    assert orders._lines == sum(len(reservation.items) for reservation in held)
    return orders._lines


async def test_large_orders_that_are_not_in_use_go_and_come_back(world: World) -> None:
    async with world.core(limits=LIMITS) as core:
        await bring(core, {(variant, "w1"): 1_000 for variant in VARIANTS})
        most = 0
        facts = []
        for number in range(40):
            fact = await core.ask(Reserve(ORGANIZATION, f"o{number}", BASKET, 15, ""))
            assert isinstance(fact, StockReserved)
            facts.append(fact)
            most = max(most, lines_held(core))
        assert 100 < most <= 200
        for fact in facts:  # each is loaded again
            await core.ask(Release(ORGANIZATION, fact.reservation.reservation_id, ""))
            assert lines_held(core) <= 200


async def test_small_orders_stay(world: World) -> None:
    async with world.core(limits=LIMITS) as core:
        await bring(core, {("a", "w1"): 1_000})
        for number in range(50):
            await core.ask(Reserve(ORGANIZATION, f"o{number}", (Line("a", "w1", 1),), 15, ""))
        assert lines_held(core) == 50

"""More at once than one step of the core takes."""

import anyio
import pytest

from actors.row_changes import Count
from actors.two_phase import Prepared
from supervisor.background.expiry import BATCH_ORDERS_MAX
from tests.core.conftest import World, available, bring, finish_now, reserve

pytestmark = pytest.mark.anyio


async def test_hundreds_of_expiries_that_wait_for_a_row_keep_no_other_waiting(world: World) -> None:
    many = BATCH_ORDERS_MAX + 50
    async with world.core() as core:
        await bring(core, {("a", "w1"): many, ("b", "w1"): 1})
        for number in range(many):
            await reserve(core, f"waits-{number}", ("a", "w1", 1), ttl_minutes=1)
        await reserve(core, "good", ("b", "w1", 1), ttl_minutes=1)
        assert core._core is not None
        variants = core._core.stock.ready("org_1", ["a"])
        assert variants is not None
        rival = finish_now(core._core._coordinator.prepare([(variants["a"].rows["w1"], Count(many + 10, 0, 0, 0, 0))]))
        world.time.now_s += 61
        with anyio.fail_after(20):
            while (await available(core))["b", "w1"] != 1:  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.02)
        assert (await available(core))["a", "w1"] == 0
        assert len(core._core.expiry._under_way) == many
        assert isinstance(rival, Prepared)
        rival.abort()
        with anyio.fail_after(20):
            while (await available(core))["a", "w1"] != many:  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.02)
        statistics = core.statistics()
        assert statistics is not None
        assert statistics.expiry.expired == many + 1


async def test_a_bulk_of_expiries_after_a_start_is_read_together_and_leaves_room_in_the_journal(world: World) -> None:
    many = 6 * BATCH_ORDERS_MAX
    async with world.core() as core:
        await bring(core, {("a", "w1"): many})
        for number in range(many):
            await reserve(core, f"order-{number}", ("a", "w1", 1), ttl_minutes=1)
    async with world.core() as core:
        world.time.now_s += 61
        with anyio.fail_after(20):
            while (await available(core))["a", "w1"] != many:  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.01)
        statistics = core.statistics()
        assert statistics is not None
        assert statistics.expiry.expired == many
        assert statistics.order_loads.keys_read == many
        assert statistics.order_loads.reads <= 8
        assert statistics.journal.batch_entries_max <= 2 * BATCH_ORDERS_MAX

"""What the core tells the log: the end of an outage, and how many reservations expired."""

import logging

import anyio
import pytest

from storage.store import StorageError
from supervisor.limits import Limits
from tests.core.conftest import World, available, bring, reserve
from tests.core.test_housekeeping import LIMITS
from tests.core.test_lifecycle import GatedStore

pytestmark = pytest.mark.anyio


async def told(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """All records of this event, once there is one."""
    with anyio.fail_after(10):
        # A log does not tell either.
        while not (found := [record for record in caplog.records if record.message == event]):  # noqa: ASYNC110
            await anyio.sleep(0.005)
    return found


async def test_the_end_of_an_outage_is_told_with_its_length(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    store = GatedStore(world.disk)
    async with world.core(store, Limits(heartbeat_s=0.005, stall_s=0.05)) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reserve, core, "o1", ("a", "w1", 3))
            with anyio.fail_after(5):
                while core.serving:  # noqa: ASYNC110 - health is told, a test may look
                    await anyio.sleep(0.005)
            assert caplog.records == []
            store.gate.set()
        [record] = await told(caplog, "storage_is_back")
        assert record.__dict__["after_s"] >= 0


async def test_a_new_incarnation_is_the_end_of_an_outage_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    store = GatedStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 10})
        assert caplog.records == []
        store.gate, store.error, store.lands_first = anyio.Event(), StorageError("the disk is gone"), False
        store.gate.set()
        with pytest.raises(Exception, match="database"):
            await reserve(core, "o1", ("a", "w1", 3))
        assert len(await told(caplog, "storage_is_back")) == 1
        assert core.incarnations == 2


async def test_what_expires_is_counted_once_a_minute(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    async with world.core(limits=LIMITS) as core:
        await bring(core, {("v", "w"): 10})
        for number in range(3):
            await reserve(core, f"o{number}", ("v", "w", 1), ttl_minutes=1)
        world.time.now_s += 61
        counts = [record.__dict__["count"] for record in await told(caplog, "reservations_expired")]
        assert await available(core) == {("v", "w"): 10}
        assert sum(counts) == 3

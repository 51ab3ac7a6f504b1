"""What the core tells the log: the end of an outage, and how many reservations expired."""

import logging

import anyio
import pytest

from simulation.runner import run_virtually
from simulation.schedule.trio_schedule import Schedule
from storage.store import StorageError
from supervisor.limits import Limits
from supervisor.supervisor import REOPEN_PAUSE_MIN_S
from tests.core.conftest import World, available, bring, reserve
from tests.core.test_housekeeping import LIMITS
from tests.core.test_lifecycle import GatedStore

pytestmark = pytest.mark.anyio


async def told(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """All records of this event, once there is one."""
    with anyio.fail_after(30):
        # A log does not tell either.
        while not (found := [record for record in caplog.records if record.message == event]):  # noqa: ASYNC110
            await anyio.sleep(0.005)
    return found


def test_the_end_of_an_outage_is_told_with_its_length(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    world = World()
    store = GatedStore(world.disk)

    async def main() -> None:
        async with world.core(store, Limits(heartbeat_s=1.0, stall_s=4.0)) as core:
            await bring(core, {("a", "w1"): 10})
            store.gate = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reserve, core, "o1", ("a", "w1", 3))
                while core.serving:  # noqa: ASYNC110 - health is told, a test may look
                    await anyio.sleep(0.125)
                down_s = anyio.current_time()
                assert caplog.records == []
                await anyio.sleep(30)
                store.gate.set()
            [record] = await told(caplog, "storage_is_back")
            assert record.__dict__["after_s"] == pytest.approx(anyio.current_time() - down_s, abs=0.15)
            assert 30 <= record.__dict__["after_s"] <= 31  # the watch looks once a second

    run_virtually(main, Schedule("an outage"))


def test_a_new_incarnation_is_the_end_of_an_outage_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    world = World()
    store = GatedStore(world.disk)

    async def main() -> None:
        async with world.core(store) as core:
            await bring(core, {("a", "w1"): 10})
            assert caplog.records == []
            store.gate, store.error, store.lands_first = anyio.Event(), StorageError("the disk is gone"), False
            store.gate.set()
            with pytest.raises(Exception, match="database"):
                await reserve(core, "o1", ("a", "w1", 3))
            [record] = await told(caplog, "storage_is_back")
            assert record.__dict__["after_s"] == REOPEN_PAUSE_MIN_S
            assert core.incarnations == 2

    run_virtually(main, Schedule("a failure"))


async def test_what_expires_is_counted_once_a_minute(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supervisor")
    async with world.core(limits=LIMITS) as core:
        await bring(core, {("v", "w"): 10})
        for number in range(3):
            await reserve(core, f"o{number}", ("v", "w", 1), ttl_minutes=1)
        world.time.now_s += 61
        await told(caplog, "reservations_expired")
        assert await available(core) == {("v", "w"): 10}
        for number in range(2):
            await reserve(core, f"late {number}", ("v", "w", 1), ttl_minutes=1)
        world.time.now_s += 60
        with anyio.fail_after(30):
            while len(counts := counted(caplog)) < 2:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.005)
        assert counts == [3, 2]


def counted(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.__dict__["count"] for record in caplog.records if record.message == "reservations_expired"]

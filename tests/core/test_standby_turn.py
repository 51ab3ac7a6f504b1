"""A server opens its store when it is its turn: it waits through failures of its database, and stops when told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from actors.unavailable import Unavailable
from storage.memory_store import MemoryStore
from storage.store import OwnershipLost, StorageError
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import World, available, bring, reserve

pytestmark = pytest.mark.anyio


class Queue:
    """What stands between a server and its store: it waits until a test lets it pass, or fail."""

    def __init__(self, *, is_free: bool = False) -> None:
        self.is_free = is_free
        self.waits = anyio.Event()
        self._gate = anyio.Event()
        self._error: Exception | None = None

    async def stand_by(self, on_waiting: Callable[[str], None]) -> None:
        if self.is_free:
            return
        on_waiting("the owner")
        self.waits.set()
        await self._gate.wait()
        if self._error is not None:
            raise self._error

    def go_on(self, error: Exception | None = None) -> None:
        """Once: who comes afterwards waits again."""
        self._error = error
        self._gate.set()
        self._gate, self.waits = anyio.Event(), anyio.Event()


def standby(world: World, queue: Queue, store: MemoryStore | None = None) -> Supervisor:
    store = store or MemoryStore(world.disk)
    return Supervisor(
        store, world.sources(), Limits(heartbeat_s=0.005), report=world.reports.append, stand_by=queue.stand_by
    )


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[None]:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(supervisor.run)
            yield
            supervisor.stop()


async def until_it_serves(supervisor: Supervisor) -> None:
    while not supervisor.serving:  # noqa: ASYNC110 - a test of its own has what it tells
        await anyio.sleep(0.001)


async def test_calls_hear_that_it_stands_by_until_it_is_its_turn(world: World) -> None:
    queue = Queue()
    supervisor = standby(world, queue)
    async with running(supervisor):
        assert (supervisor.serving, supervisor.waits_for) == (False, "the owner")
        with pytest.raises(Unavailable) as refused:
            await available(supervisor)
        assert refused.value.reason == "STANDING_BY"
        assert world.disk.epoch == 0  # nothing is touched before
        queue.go_on()
        await until_it_serves(supervisor)
        assert supervisor.waits_for == ""
        await bring(supervisor, {("a", "w1"): 1})


async def test_a_stop_ends_the_wait_and_the_store_is_not_opened(world: World) -> None:
    async with running(standby(world, Queue())):
        pass
    assert world.disk.epoch == 0


async def test_a_database_that_goes_away_meanwhile_is_waited_for_again(world: World) -> None:
    queue = Queue()
    supervisor = standby(world, queue)
    async with running(supervisor):
        queue.go_on(StorageError("it went away"))
        await queue.waits.wait()
        assert [str(error) for error in world.reports] == ["it went away"]
        assert supervisor.waits_for
        queue.go_on()
        await until_it_serves(supervisor)


async def test_a_database_that_is_not_there_at_the_start_ends_it(world: World) -> None:
    async def fail(on_waiting: Callable[[str], None]) -> None:
        raise StorageError("there is none")

    queue = Queue()
    queue.stand_by = fail  # type: ignore[method-assign]
    with pytest.RaisesGroup(StorageError):
        async with running(standby(world, queue)):
            pass


async def test_an_owner_that_loses_the_database_stands_by_and_serves_again_with_what_is_true_then(
    world: World,
) -> None:
    queue = Queue(is_free=True)
    supervisor = standby(world, queue)
    async with running(supervisor):
        await bring(supervisor, {("a", "w1"): 5})
        queue.is_free = False
        rival = Supervisor(MemoryStore(world.disk, takes_over=True), world.sources(), Limits())
        async with anyio.create_task_group() as tasks:
            await tasks.start(rival.run)
            await queue.waits.wait()
            with pytest.raises(Unavailable) as refused:
                await available(supervisor)
            assert refused.value.reason == "STANDING_BY"
            await reserve(rival, "o1", ("a", "w1", 2))
            rival.stop()
        queue.go_on()
        await until_it_serves(supervisor)
        assert await available(supervisor) == {("a", "w1"): 3}
        assert supervisor.incarnations == 2
    assert any(isinstance(error, BaseExceptionGroup | OwnershipLost) for error in world.reports)

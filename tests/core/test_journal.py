"""Which callers the journal's writer waits for."""

from collections.abc import Sequence

import anyio
import pytest

import supervisor.transactions.journal
from actors.records import Transaction
from storage.memory_store import MemoryStore
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from supervisor.transactions.journal import CROWD_MIN
from tests.core.conftest import World, available, bring, reserve

pytestmark = pytest.mark.anyio

FOR_EVER = 3600.0
CALLS = 4


class Recorder(MemoryStore):
    """Remembers how large the batches were."""

    def __init__(self, world: World) -> None:
        super().__init__(world.disk)
        self.sizes: list[int] = []

    async def write(self, transactions: Sequence[Transaction]) -> None:
        self.sizes.append(len(transactions))
        await super().write(transactions)


async def test_few_callers_are_answered_without_a_wait_for_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor.transactions.journal, "LULL_S", FOR_EVER)
    store = Recorder(world)
    async with world.core(store, Limits(gather_s=FOR_EVER)) as core:
        await bring(core, {("a", "w1"): 1_000})
        async with anyio.create_task_group() as tasks:
            for caller in range(3):
                tasks.start_soon(_call, core, f"few-{caller}", CALLS + caller)  # so that in the end one is alone
    assert sum(store.sizes) == 1 + 3 * CALLS + 1 + 2


async def test_a_crowd_is_written_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor.transactions.journal, "LULL_S", FOR_EVER)
    store = Recorder(world)
    async with world.core(store, Limits(gather_s=FOR_EVER)) as core:
        await bring(core, {("a", "w1"): 1_000})
        async with anyio.create_task_group() as tasks:
            for caller in range(CROWD_MIN):
                tasks.start_soon(_call, core, f"crowd-{caller}")
    assert store.sizes == [1, *[CROWD_MIN] * CALLS]


class RecorderAside(Recorder):
    """Another process makes its batches."""

    @property
    def writes_aside(self) -> bool:
        return True


async def test_where_batches_are_made_elsewhere_half_a_crowd_is_written_while_the_other_is_served(world: World) -> None:
    store = RecorderAside(world)
    async with world.core(store, Limits(gather_s=FOR_EVER)) as core:
        await bring(core, {("a", "w1"): 1_000})
        async with anyio.create_task_group() as tasks:
            for caller in range(2 * CROWD_MIN):
                tasks.start_soon(_call, core, f"crowd-{caller}")
    assert sum(store.sizes) == 1 + 2 * CROWD_MIN * CALLS
    assert max(store.sizes[2:]) <= CROWD_MIN  # the first has all, since it does not know yet that they are a crowd


async def test_the_last_callers_of_a_crowd_are_not_kept_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Recorder(world)
    async with world.core(store, Limits(gather_s=FOR_EVER)) as core:
        await bring(core, {("a", "w1"): 1_000})
        async with anyio.create_task_group() as tasks:
            for caller in range(CROWD_MIN):
                tasks.start_soon(_call, core, f"crowd-{caller}")
        for _ in range(2):  # it takes a lull to notice, and a second one until the crowd is small enough
            await reserve(core, f"late-{len(store.sizes)}", ("a", "w1", 1))
        monkeypatch.setattr(supervisor.transactions.journal, "LULL_S", FOR_EVER)
        await reserve(core, "last", ("a", "w1", 1))


async def _call(core: Supervisor, name: str, calls: int = CALLS) -> None:
    for number in range(calls):
        await reserve(core, f"{name}-{number}", ("a", "w1", 1))


async def test_what_expires_is_no_crowd_that_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Recorder(world)
    async with world.core(store, Limits(gather_s=FOR_EVER, heartbeat_s=0.005)) as core:
        await bring(core, {("a", "w1"): 1_000})
        for number in range(4 * CROWD_MIN):
            await reserve(core, f"due-{number}", ("a", "w1", 1), ttl_minutes=1)
        monkeypatch.setattr(supervisor.transactions.journal, "LULL_S", FOR_EVER)
        world.time.now_s += 61
        with anyio.fail_after(30):
            while (await available(core))["a", "w1"] != 1_000:  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.001)
            await reserve(core, "alone", ("a", "w1", 1))
    assert max(store.sizes) > CROWD_MIN

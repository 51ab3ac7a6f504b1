"""Which callers the journal's writer waits for, and who may come late."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from msgspec.structs import astuple, replace

import supervisor.transactions.journal
from actors.records import RowChange, StockRecord, Transaction
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from supervisor.transactions import chunks
from supervisor.transactions.journal import CROWD_MIN, Journal
from tests.core.conftest import World, available, bring, reserve

pytestmark = pytest.mark.anyio

FOR_EVER = 3600.0
CALLS = 4


class Recorder(MemoryStore):
    """Remembers how large the batches were."""

    def __init__(self, world: World) -> None:
        super().__init__(world.disk)
        self.sizes: list[int] = []

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        written = await super().write(transactions, latecomers)
        self.sizes.append(len(written))
        return written


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


class Gated(Recorder):
    """Waits at a gate with each batch, before it asks who came late. Remembers the LSNs of each."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.gate = anyio.Event()
        self.gate.set()
        self.begun: list[list[int]] = []
        self.written: list[list[int]] = []

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        self.begun.append([one.lsn for one in transactions])
        await self.gate.wait()
        written = await super().write(transactions, latecomers)
        self.written.append([one.lsn for one in written])
        return written


@asynccontextmanager
async def gated(world: World) -> AsyncIterator[tuple[Gated, Journal]]:
    """A journal whose first batch, of one entry, is at the gate."""
    store = Gated(world)
    journal = Journal(store, await store.open(), publish=lambda transactions: None)
    store.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        append(journal)
        with anyio.fail_after(10):
            while not store.begun:
                await anyio.lowlevel.checkpoint()
        yield store, journal
        tasks.cancel_scope.cancel()
    await store.close()


def append(journal: Journal, rows: int = 0, *, joins_next: bool = False) -> None:
    changes = tuple(
        RowChange(before := StockRecord("o", f"{journal.last_lsn}-{row}", "w", "id"), replace(before, version=1))
        for row in range(rows)
    )
    journal.append(Transaction(journal.last_lsn + 1, 0, "receive", changes), joins_next=joins_next)


async def through(store: Gated, journal: Journal) -> list[list[int]]:
    store.gate.set()
    with anyio.fail_after(10):
        await journal.wait_durable()
    return store.written


async def test_what_comes_while_a_batch_is_written_becomes_durable_with_it(world: World) -> None:
    async with gated(world) as (store, journal):
        append(journal)
        append(journal)
        late = journal.answered("late")
        store.gate.set()
        with anyio.fail_after(10):
            assert await late.wait() == "late"
        assert store.written == [[1, 2, 3]]
        assert astuple(journal.statistics()) == (3, 3, 1, 3, 3, 0)
        append(journal)
        assert await through(store, journal) == [[1, 2, 3], [4]]


async def test_a_batch_waits_for_little_that_comes_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LITTLE_ROWS", 10)
    async with gated(world) as (store, journal):
        for rows in (4, 3, 1, 0):  # each counts as one more
            append(journal, rows)
        assert await through(store, journal) == [[1, 2, 3], [4, 5]]


async def test_what_belongs_together_comes_late_as_a_whole_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "LITTLE_ROWS", 4)
    async with gated(world) as (_, journal):
        append(journal)
        append(journal, joins_next=True)
        append(journal, joins_next=True)
        assert [one.lsn for one in journal._take_late(99)] == [2]  # the last of three is not there yet
        append(journal)
        assert [one.lsn for one in journal._take_late(2)] == []
        assert [one.lsn for one in journal._take_late(99)] == [3, 4, 5]
        append(journal)
        for _ in range(4):
            append(journal, joins_next=True)
        append(journal)
        assert [one.lsn for one in journal._take_late(99)] == [6]  # all five are too much


async def test_what_is_little_is_written_before_a_large_basket_that_came_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "LITTLE_ROWS", 10)
    async with gated(world) as (store, journal):
        append(journal, 11)
        append(journal, 12)
        append(journal, 1)
        append(journal, 11)
        assert await through(store, journal) == [[1], [2, 3, 4, 5]]
        for rows in (3, 3, 11, 3):
            append(journal, rows)
        assert (await through(store, journal))[2:] == [[6, 7], [8, 9]]


async def test_a_large_basket_is_written_with_what_it_belongs_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LITTLE_ROWS", 10)
    async with gated(world) as (store, journal):
        await through(store, journal)
        append(journal, 1, joins_next=True)
        append(journal, 11)
        assert await through(store, journal) == [[1], [2, 3]]


async def test_entries_may_come_while_a_thread_takes_some() -> None:
    store = MemoryStore(Disk())
    journal = Journal(store, await store.open(), publish=lambda transactions: None)
    taken: list[Transaction] = []

    def take() -> None:
        while len(taken) < 20_000:
            late = journal._take_late(99)
            assert not late or late[-1].lsn % 3  # never between the second and the third of three
            taken.extend(late)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, take)
        for number in range(20_001):
            append(journal, joins_next=(number + 1) % 3 == 0)
            if number % 50 == 0:
                await anyio.lowlevel.checkpoint()
    assert [one.lsn for one in taken] == list(range(1, len(taken) + 1))


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

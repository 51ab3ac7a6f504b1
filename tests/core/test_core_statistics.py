"""What the parts of a core count, by what was done to them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from actors.actor import Actor, ActorStatistics, Envelope, InlineDispatcher
from actors.commands import Line, Release, Reserve
from actors.outcomes import Refused
from actors.records import Delta, ReservationItem, ReservationRecord, StockRecord, Transaction, VariantKey
from actors.reply import Reply, ReplyStatistics
from actors.stock_actor import StockActor
from actors.stock_state import StockState, StockStateStatistics
from actors.turn import Doing, Turn
from actors.two_phase import TurnedDown
from actors.variant_stock import LoadListener, Pinned, VariantStock, VariantStockStatistics
from storage.memory_store import Disk, DiskStatistics, MemoryStore, MemoryStoreStatistics
from storage.store import MovedOut, Ownership, StorageError
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.activations.loader import KEYS_A_READ_MAX, Loader, LoaderStatistics
from supervisor.background.expiry import ExpiryStatistics
from supervisor.background.expiry_hints import ExpiryHints, ExpiryHintsStatistics
from supervisor.background.housekeeping import Housekeeping, HousekeepingStatistics
from supervisor.background.learning import KEYS_A_PAGE, Learning, LearningStatistics
from supervisor.clock import ServiceClock
from supervisor.ownership.heartbeat import Heartbeat, HeartbeatStatistics
from supervisor.ownership.lease import Lease, LeaseStatistics
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal
from tests.core.conftest import ORGANIZATION, FakeTime, World, bring, reserve

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(run: Callable[[], Coroutine[object, object, None]]) -> AsyncIterator[None]:
    """What runs until it is cancelled."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield
        tasks.cancel_scope.cancel()


def a_reservation(number: int, *variant_ids: str) -> ReservationRecord:
    items = tuple(ReservationItem(variant_id, "w", "w", "id", 1, 10, 9) for variant_id in variant_ids)
    return ReservationRecord(f"r{number}", ORGANIZATION, f"o{number}", "active", 0, 1_000 + number, items)


async def test_a_loader_counts_keys_and_reads() -> None:
    delivered: list[int] = []
    read = anyio.Event()

    def deliver(key: int, value: str | None) -> None:
        delivered.append(key)
        if len(delivered) == KEYS_A_READ_MAX + 2:
            read.set()

    async def values(keys: Sequence[int]) -> dict[int, str]:
        return dict.fromkeys(keys, "value")

    loader = Loader(values, anyio.lowlevel.checkpoint, deliver)
    for key in range(KEYS_A_READ_MAX + 2):
        loader.want(key)
    loader.want(0)
    assert loader.statistics() == LoaderStatistics(wanted=KEYS_A_READ_MAX + 2, reads=0, keys_read=0)
    async with running(loader.run):
        await read.wait()
    assert loader.statistics() == LoaderStatistics(wanted=0, reads=2, keys_read=KEYS_A_READ_MAX + 2)


async def test_a_lease_counts_answers_that_wait_and_looks_that_found_the_database_ours() -> None:
    answered = anyio.Event()
    async with anyio.create_task_group() as tasks:
        lease = Lease(answered.wait, FakeTime(), tasks.start_soon, lambda: False)
        for _ in range(3):
            lease.next_proof()
        await anyio.wait_all_tasks_blocked()
        assert lease.statistics() == LeaseStatistics(waiting=3, looks=0)
        later = lease.next_proof()  # the look under way does not count for it
        answered.set()
        await later.wait()
    assert lease.statistics() == LeaseStatistics(waiting=0, looks=2)


async def test_a_heartbeat_counts_beats_and_each_time_that_the_database_hung() -> None:
    time = FakeTime()
    beaten, told = anyio.Event(), anyio.Event()
    began_s: list[float | None] = [None]

    async def check_ownership() -> None:
        if heartbeat.statistics().beats == 2:
            beaten.set()
            await anyio.sleep_forever()

    heartbeat = Heartbeat(check_ownership, lambda: began_s[0], time, 0.0, 0.0, lambda is_stalled: told.set())
    async with running(heartbeat.beat):
        await beaten.wait()
    assert heartbeat.statistics() == HeartbeatStatistics(beats=2, stalls=0)
    heartbeat = Heartbeat(check_ownership, lambda: began_s[0], time, 0.0, 1.0, lambda is_stalled: told.set())
    for stalls in (1, 2):
        began_s[0] = time.now_s
        time.now_s += 1
        async with running(heartbeat.watch):
            await told.wait()
            assert heartbeat.statistics() == HeartbeatStatistics(beats=0, stalls=stalls)
            began_s[0], told = None, anyio.Event()
            await told.wait()
            told = anyio.Event()
    assert heartbeat.statistics() == HeartbeatStatistics(beats=0, stalls=2)


async def test_a_server_that_was_stopped_does_not_take_its_own_sleep_for_a_database_that_hangs() -> None:
    time = FakeTime()
    looks, told = 0, anyio.Event()

    def batch_began_s() -> float:
        nonlocal looks
        looks += 1
        if looks == 2:
            time.now_s += 20  # it was stopped, with a batch under way
        return 0.0 if looks <= 2 else time.now_s  # which is done soon after

    async def check_ownership() -> None:
        pass

    heartbeat = Heartbeat(check_ownership, batch_began_s, time, 0.0, 0.01, lambda is_stalled: told.set())
    async with running(heartbeat.watch):
        while looks < 10:  # noqa: ASYNC110 - nothing is told
            await anyio.sleep(0.001)
    assert not told.is_set()
    assert heartbeat.statistics().stalls == 0


async def test_housekeeping_counts_steps_rows_and_failures() -> None:
    idle = anyio.Event()
    steps: list[MovedOut | StorageError] = [MovedOut(1, 2, 3, 4), MovedOut(0, 1, 1, 0), MovedOut(0, 0, 0, 0)]

    async def move_out(before_ms: int, rows_max: int) -> MovedOut:
        step = steps.pop(0)
        if isinstance(step, StorageError):
            raise step
        if not step.rows:
            idle.set()
        return step

    clock = ServiceClock(lambda: 0, FakeTime())
    housekeeping = Housekeeping(clock, move_out, lambda actor, error: idle.set(), 1, 600.0)
    async with running(housekeeping.run):
        await idle.wait()
    assert housekeeping.statistics() == HousekeepingStatistics(steps=2, rows_moved=12, failures=0)
    idle = anyio.Event()
    steps = [StorageError("busy")]
    async with running(housekeeping.run):
        await idle.wait()
    assert housekeeping.statistics() == HousekeepingStatistics(steps=2, rows_moved=12, failures=1)


async def test_learning_counts_the_keys_that_it_has_read(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 10})
        for number in range(3):
            await reserve(core, f"o{number}", ("a", "w", 1), request_id=f"key {number}")
    store = MemoryStore(world.disk)
    await store.open()
    learning = Learning(store, BloomFilter(), BloomFilter(), ExpiryHints())
    assert learning.statistics() == LearningStatistics(0, 0)
    await learning.run()
    assert learning.statistics() == LearningStatistics(orders=3, requests=4)
    assert KEYS_A_PAGE > 4


async def test_a_filter_says_how_full_it_is() -> None:
    keys = BloomFilter(bits=64, hash_key=lambda key: 0)
    keys.add(("shop", "order"))
    assert (keys.statistics().bits, keys.statistics().bits_set) == (64, 4)


async def test_hints_count_claims_and_their_rows() -> None:
    hints = ExpiryHints()
    first, second = a_reservation(1, "a", "b"), a_reservation(2, "a")
    hints.add(first)
    hints.add(second)
    assert hints.statistics() == ExpiryHintsStatistics(claims=3, rows=2, changed=2, aside=0)
    hints.learn([first, a_reservation(3, "c")])
    hints.discard(first)
    assert hints.statistics() == ExpiryHintsStatistics(claims=2, rows=2, changed=0, aside=0)


class Listener(Actor[Callable[[], Awaitable[None]], str]):
    """Waits for what a message says, and answers."""

    def handle(self, envelope: Envelope[Callable[[], Awaitable[None]], str]) -> Turn[None]:
        yield Doing(envelope.message)
        envelope.reply.set("done")


async def test_an_actor_counts_messages_that_wait() -> None:
    go_on = anyio.Event()
    async with anyio.create_task_group() as tasks:
        actor = Listener(InlineDispatcher(tasks.start_soon), lambda actor, error: None, 10)
        replies = [actor.ask(go_on.wait) for _ in range(3)]
        assert actor.statistics() == ActorStatistics(messages_waiting=2)
        go_on.set()
        await replies[-1].wait()
    assert actor.statistics() == ActorStatistics(messages_waiting=0)


async def test_a_reply_counts_the_tasks_that_wait_for_it() -> None:
    reply: Reply[str] = Reply()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(reply.wait)
        await anyio.wait_all_tasks_blocked()
        assert reply.statistics() == ReplyStatistics(tasks_waiting=3)
        reply.set("answer")
    assert reply.statistics() == ReplyStatistics(tasks_waiting=0)


async def test_a_row_counts_holds_and_what_is_not_durable() -> None:
    state = StockState(StockRecord(ORGANIZATION, "a", "w", "id", available=10, version=1))
    state.prepare(1, Delta(available=-3, reserved=3))
    state.prepare(2, Delta(available=-2, reserved=2))
    assert state.statistics() == StockStateStatistics(holds=2, held=5, undurable_versions=0)
    change = state.commit(1)
    assert state.statistics() == StockStateStatistics(holds=1, held=2, undurable_versions=1)
    state.publish(change.after)
    state.abort(2)
    assert state.statistics() == StockStateStatistics(holds=0, held=0, undurable_versions=0)


async def test_a_variant_counts_rows_pins_and_listeners() -> None:
    variant = VariantStock(VariantKey(ORGANIZATION, "a"))
    variant.waits.append(LoadListener(1, lambda: None))
    with Pinned({"a": variant}):
        assert variant.statistics() == VariantStockStatistics(rows=0, pins=1, listeners=1)
    assert variant.statistics().pins == 0


async def test_a_disk_and_its_store_count_what_reached_it(world: World) -> None:
    store = MemoryStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {("a", "w"): 10, ("b", "w"): 10})
        reservation = await reserve(core, "o1", ("a", "w", 1))
        await reserve(core, "o2", ("b", "w", 1))
        await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))
    assert store.statistics() == MemoryStoreStatistics(batches=4, transactions=4)
    assert world.disk.statistics() == DiskStatistics(transactions=4, rows=2, reservations=2, active=1, requests=1)


async def test_a_core_passes_on_what_its_parts_count(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 10, ("b", "w"): 10})
        await reserve(core, "o1", ("a", "w", 1), ("b", "w", 1), ttl_minutes=1)
        await reserve(core, "o2", ("a", "w", 1), ttl_minutes=60)
        with pytest.raises(Refused):
            await core.ask(Reserve(ORGANIZATION, "o3", (Line("a", "w", 99),), 15))
        said = core.statistics()
        assert said is not None
        assert said.variant_loads == LoaderStatistics(wanted=0, reads=1, keys_read=2)
        assert said.order_loads.wanted == 0
        assert (said.expiry_hints.claims, said.expiry_hints.rows) == (3, 2)
        assert said.expiry == ExpiryStatistics(expired=0, under_way=0, failed=0)
        world.time.now_s += 61
        with anyio.fail_after(30):
            while said.expiry.expired == 0 or said.expiry.under_way or said.heartbeat.beats < 2:
                await anyio.sleep(0.005)
                said = core.statistics()
                assert said is not None
        assert said.expiry == ExpiryStatistics(expired=1, under_way=0, failed=0)
        assert (said.expiry_hints.claims, said.housekeeping, said.learning) == (
            1,
            HousekeepingStatistics(0, 0, 0),
            LearningStatistics(0, 0),
        )
        assert (said.lease.waiting, said.heartbeat.stalls) == (0, 0)


async def test_a_coordinator_counts_holds_refusals_and_how_long_a_rival_made_it_wait() -> None:
    time = FakeTime()
    journal = Journal(MemoryStore(Disk()), Ownership(epoch=1, last_lsn=0, last_at_ms=0), lambda transactions: None)
    coordinator = Coordinator(journal, lambda transaction: None, lambda error: None, time)
    record = StockRecord(ORGANIZATION, "v", "w", "id", available=5, version=1)
    starts_none: Any = None
    row = StockActor(StockState(record), InlineDispatcher(starts_none), lambda actor, error: None, 10)

    def prepare(pieces: int) -> Turn[Any]:
        return coordinator.prepare([(row, Delta(-pieces, pieces))])

    with pytest.raises(StopIteration) as first:
        next(prepare(4))
    rival = prepare(3)
    verdict = next(rival)  # it depends on what becomes of the first
    assert (coordinator.statistics().waiting, coordinator.statistics().holds) == (1, 1)
    time.now_s += 0.3
    first.value.value.abort()
    with pytest.raises(StopIteration):
        rival.send(verdict.result())
    with pytest.raises(StopIteration) as third:
        next(prepare(9))
    assert isinstance(third.value.value, TurnedDown)
    counts = coordinator.statistics()
    assert (counts.waiting, counts.holds, counts.turned_down) == (0, 2, 1)
    assert (counts.waits_s.values, counts.waits_s.total) == (1, 0.3)


async def test_a_journal_counts_its_batches_by_size_and_by_how_long_they_took() -> None:
    store = MemoryStore(Disk())
    journal = Journal(store, await store.open(), lambda transactions: None)
    async with running(journal.run):
        for size in (1, 3):
            for _ in range(size):
                journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
            await journal.wait_durable()
    sizes = journal.sizes()
    assert sizes.batch_transactions.bounds[:4] == (1, 2, 5, 10)
    assert sizes.batch_transactions.counts[:4] == (1, 0, 1, 0)
    assert (sizes.batch_transactions.total, sizes.commit_s.values) == (4, 2)
    assert sizes.commit_s.total > 0


def test_a_turn_that_waits_for_a_rival_can_be_closed_when_there_is_no_clock_any_more() -> None:
    journal = Journal(MemoryStore(Disk()), Ownership(epoch=1, last_lsn=0, last_at_ms=0), lambda transactions: None)
    clock = iter((0.0,))
    coordinator = Coordinator(journal, lambda transaction: None, lambda error: None, lambda: next(clock))
    record = StockRecord(ORGANIZATION, "v", "w", "id", available=5, version=1)
    starts_none: Any = None
    row = StockActor(StockState(record), InlineDispatcher(starts_none), lambda actor, error: None, 10)
    with pytest.raises(StopIteration):
        next(coordinator.prepare([(row, Delta(-4, 4))]))
    rival = coordinator.prepare([(row, Delta(-3, 3))])
    next(rival)
    rival.close()
    assert (coordinator.statistics().waiting, coordinator.statistics().waits_s.values) == (0, 0)

"""Activation and passivation, crashes of one actor and of storage, overload, shutdown."""

from collections.abc import Sequence

import anyio
import pytest

from actors.commands import Confirm, CountedLine, DeliveryLine, Import, Line, Receive, Release
from actors.outcomes import ActorCrashed, ImportRejected, Refused, RefusedLine, RequestIdReused, StockImported
from actors.records import OrderKey, ReservationRecord, Transaction
from actors.stock_state import StockState
from actors.unavailable import Unavailable
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from storage.store import OwnershipLost, StorageError
from supervisor.limits import Limits
from tests.core.conftest import ORGANIZATION, World, available, bring, check, reserve, rows_of

pytestmark = pytest.mark.anyio


class GatedStore(MemoryStore):
    """A store whose writes wait at a gate and may fail there."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.gate = anyio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.lands_first = False
        self.waiting = anyio.Event()

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        self.waiting.set()
        await self.gate.wait()
        if self.error is not None:
            error, self.error = self.error, None
            if self.lands_first:
                self.land(transactions)
            raise error
        return await super().write(transactions, latecomers)


async def test_an_answer_waits_for_the_disk_and_readers_see_only_what_is_durable(world: World) -> None:
    store = GatedStore(world.disk)
    answered: list[ReservationRecord | None] = []
    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()

        async def one() -> None:
            answered.append(await reserve(core, "o1", ("a", "w1", 3)))

        async def refused() -> None:
            with pytest.raises(Refused):
                await reserve(core, "o2", ("a", "w1", 8))
            answered.append(None)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(refused)
            await anyio.wait_all_tasks_blocked()
            assert answered == []
            [view] = await rows_of(core, "a")
            assert view.record.available == 10
            [line] = (await check(core, Line("a", "", 8))).lines
            assert (line.fits, line.available) == (True, 10)
            store.gate.set()
        assert len(answered) == 2
        assert await available(core) == {("a", "w1"): 7}


async def test_calls_are_turned_away_while_the_disk_hangs_and_taken_when_it_answers_again(world: World) -> None:
    store = GatedStore(world.disk)
    async with world.core(store, Limits(heartbeat_s=0.005, stall_s=1.0)) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reserve, core, "o1", ("a", "w1", 3))
            with anyio.fail_after(30):
                while core.serving:  # noqa: ASYNC110 - health is told, a test may look
                    await anyio.sleep(0.005)
            assert [str(report) for report in world.reports] == ["the database has not answered for 1 s"]
            with pytest.raises(Unavailable) as refused:
                await rows_of(core, "a")
            assert refused.value.reason == "STORAGE_DOWN"
            with pytest.raises(Unavailable):
                await reserve(core, "o2", ("a", "w1", 3))
            store.gate.set()
        with anyio.fail_after(30):
            while not core.serving:  # noqa: ASYNC110
                await anyio.sleep(0.005)
        assert await available(core) == {("a", "w1"): 7}
        assert core.incarnations == 1


@pytest.mark.parametrize("lands", [False, True])
async def test_a_failed_batch_takes_all_later_ones_and_a_retry_finds_or_makes_its_reservation(
    world: World, lands: bool
) -> None:
    store = GatedStore(world.disk)
    failures = []
    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate, store.error, store.lands_first = anyio.Event(), StorageError("the disk is gone"), lands
        store.waiting = anyio.Event()

        async def one(order_id: str) -> None:
            try:
                await reserve(core, order_id, ("a", "w1", 3))
            except Unavailable as error:
                failures.append(error.reason)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "o1")
            await store.waiting.wait()
            tasks.start_soon(one, "o2")  # not in the failing batch, but judged against it
            await anyio.wait_all_tasks_blocked()
            store.gate.set()
        assert failures == ["STORAGE_DOWN", "STORAGE_DOWN"]
        with anyio.fail_after(30):
            while not core.serving:  # noqa: ASYNC110 - health is told, a test may look
                await anyio.sleep(0.01)
        await reserve(core, "o1", ("a", "w1", 3))
        assert await available(core) == {("a", "w1"): 7}
        assert core.incarnations == 2


async def test_a_server_that_lost_ownership_writes_nothing_more_and_ends(world: World) -> None:
    with pytest.RaisesGroup(OwnershipLost):
        async with world.core() as core:
            await bring(core, {("a", "w1"): 10})
            await MemoryStore(world.disk, takes_over=True).open()
            with pytest.raises(Unavailable):
                await reserve(core, "o1", ("a", "w1", 3))
            await anyio.sleep_forever()
    assert len(world.disk.transactions) == 1


async def test_a_server_that_lost_ownership_notices_without_a_call(world: World) -> None:
    with pytest.RaisesGroup(OwnershipLost):
        async with world.core() as core:
            await bring(core, {("a", "w1"): 10})
            await MemoryStore(world.disk, takes_over=True).open()
            await anyio.sleep_forever()


async def test_a_second_server_on_the_same_disk_is_refused(world: World) -> None:
    async with world.core() as core:
        with pytest.RaisesGroup(OwnershipLost):
            async with world.core():
                pass
        await bring(core, {("a", "w1"): 10})


async def test_a_crash_in_one_actor_leaves_the_others_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        healthy = StockState.prepare

        def prepare(state: StockState, *arguments: object) -> object:
            if state.record.variant_id == "a":
                raise ZeroDivisionError
            return healthy(state, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(StockState, "prepare", prepare)
        with pytest.raises(ActorCrashed):
            await reserve(core, "o1", ("a", "w1", 1), ("b", "w1", 2))
        assert await reserve(core, "o2", ("b", "w1", 10))
        monkeypatch.undo()
        await reserve(core, "o1", ("a", "w1", 10))
        assert core.incarnations == 1
        assert [type(error) for _, error in world.crashes] == [ZeroDivisionError]
        world.crashes.clear()


async def test_idle_activations_are_passivated_and_come_back(world: World) -> None:
    limits = Limits(idle_timeout_s=0.01, variants_max=4, orders_max=4)
    async with world.core(limits=limits) as core:
        await bring(core, {(f"v{n}", "w1"): 10 for n in range(20)})
        reservations = [await reserve(core, f"o{n}", (f"v{n}", "w1", 3)) for n in range(20)]
        with anyio.fail_after(30):
            while True:
                statistics = core.statistics()
                assert statistics is not None
                parts = (statistics.variants, statistics.orders, statistics.requests)
                if not any(part.activations for part in parts):
                    break
                await anyio.sleep(0.01)
        for number, reservation in enumerate(reservations):
            await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, f"o{number}"))
            await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))
        assert set((await available(core)).values()) == {10}


async def test_a_full_house_says_so(world: World) -> None:
    store = GatedStore(world.disk)
    async with world.core(store, Limits(calls_max=2)) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for number in range(2):
                tasks.start_soon(reserve, core, f"o{number}", ("a", "w1", 1))
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Unavailable) as unavailable:
                await reserve(core, "o3", ("a", "w1", 1))
            assert unavailable.value.reason == "OVERLOADED"
            assert unavailable.value.retry_after_ms > 0
            store.gate.set()


async def test_a_stop_finishes_what_runs_and_refuses_what_comes(world: World) -> None:
    store = GatedStore(world.disk)
    async with anyio.create_task_group() as tests, world.core(store) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        tests.start_soon(reserve, core, "o1", ("a", "w1", 1))
        await anyio.wait_all_tasks_blocked()
        core.stop()
        with pytest.raises(Unavailable) as unavailable:
            await reserve(core, "o2", ("a", "w1", 1))
        assert unavailable.value.reason == "SHUTTING_DOWN"
        store.gate.set()
    assert len(world.disk.transactions) == 2
    assert world.disk.owner is None


async def test_a_caller_that_gives_up_at_any_instant_leaves_no_hold(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        for checkpoints in range(12):
            order = f"o{checkpoints}"
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(reserve, core, order, ("a", "w1", 10), ("b", "w1", 10))
                    for _ in range(checkpoints):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            reservation = await reserve(core, order, ("a", "w1", 10), ("b", "w1", 10))
            await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))
            assert await available(core) == {("a", "w1"): 10, ("b", "w1"): 10}


async def test_importing_the_same_counts_again_changes_nothing_also_while_goods_are_reserved(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 5}, "first")
        await reserve(core, "o1", ("a", "w1", 4))
        entries = len(world.disk.transactions)
        counted = tuple(CountedLine(ORGANIZATION, v, "w1", "", n, 0, 0, 0, 0, 1) for v, n in (("a", 10), ("b", 5)))
        assert await core.ask(Import(counted, "second")) == StockImported(2, 0, 0, 2)
        assert world.disk.transactions[entries].changes == ()
        assert await available(core) == {("a", "w1"): 6, ("b", "w1"): 5}
        too_few = (
            CountedLine(ORGANIZATION, "b", "w1", "", 9, 0, 0, 0, 0, 1),
            CountedLine(ORGANIZATION, "a", "w1", "", 3, 0, 0, 0, 0, 2),
        )
        with pytest.raises(Refused) as refused:
            await core.ask(Import(too_few, "third"))
        reason = "total_quantity 3 less 0 damaged and 0 in transit does not cover the 4 that are reserved"
        assert refused.value.refusal == ImportRejected((RefusedLine(2, reason),), 1)
        assert await available(core) == {("a", "w1"): 6, ("b", "w1"): 5}


async def test_an_idempotency_key_belongs_to_one_request(world: World) -> None:
    async with world.core() as core:
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 5),), "r1"))
        with pytest.raises(Refused) as refused:
            await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 6),), "r1"))
        assert refused.value.refusal == RequestIdReused("r1")
        await core.ask(Receive("org_2", (DeliveryLine("a", "w1", 6),), "r1"))
        assert await available(core) == {("a", "w1"): 5}


async def test_opposed_orders_leave_every_row_as_it_began(world: World) -> None:
    """Orders over the same rows in opposite order: neither deadlock nor lost stock (G1, G2, G5)."""
    rows = {(v, w): 6 for v in "abc" for w in ("w1", "w2")}
    async with world.core() as core:
        await bring(core, rows)

        async def one(number: int) -> None:
            lines = [(v, w, 1 + number % 3) for v, w in rows]
            rotated = lines[number % 6 :] + lines[: number % 6]
            try:
                reservation = await reserve(core, f"o{number}", *rotated[:: 1 if number % 2 else -1][:4])
            except Refused:
                return
            assert min((await available(core)).values()) >= 0
            await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))

        async with anyio.create_task_group() as tasks:
            for number in range(120):
                tasks.start_soon(one, number)
        assert await available(core) == rows


async def test_activation_is_lazy(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(f"v{n}", "w1"): 10 for n in range(5_000)})
    async with world.core() as core:
        statistics = core.statistics()
        assert statistics is not None
        assert statistics.variants.activations == 0
        await reserve(core, "o1", ("v1", "w1", 1), ("v2", "", 1))
        await check(core, Line("v3", "", 1))
        statistics = core.statistics()
        assert statistics is not None
        assert statistics.variants.activations == 3


async def test_rows_are_loaded_while_a_batch_is_being_written(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
    store = GatedStore(world.disk)
    async with anyio.create_task_group() as tests, world.core(store) as core:
        store.gate = anyio.Event()
        tests.start_soon(reserve, core, "o1", ("a", "w1", 1))
        await store.waiting.wait()
        with anyio.fail_after(30):
            views = await rows_of(core, "b", "w1")
        assert [view.record.available for view in views] == [10]
        store.gate.set()


async def test_rows_that_were_dropped_by_a_crash_are_loaded_only_after_their_changes_were_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = GatedStore(world.disk)
    seen: list[int] = []
    async with world.core(store) as core, anyio.create_task_group() as tests:
        await bring(core, {("a", "w1"): 10})
        store.gate, store.waiting = anyio.Event(), anyio.Event()
        tests.start_soon(reserve, core, "o1", ("a", "w1", 3))
        await store.waiting.wait()
        with monkeypatch.context() as patched:
            patched.setattr(StockState, "prepare", lambda *_: 1 // 0)
            with pytest.raises(ActorCrashed):
                await reserve(core, "o2", ("a", "w1", 1))

        async def look() -> None:
            seen.extend(view.record.available for view in await rows_of(core, "a", "w1"))

        tests.start_soon(look)
        await anyio.wait_all_tasks_blocked()
        assert seen == []
        store.gate.set()
    assert seen == [7]
    world.crashes.clear()


async def test_an_unknown_order_costs_no_read(world: World) -> None:
    reads = []

    class CountingStore(MemoryStore):
        async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
            reads.append(keys)
            return await super().load_orders(keys)

    async with world.core(CountingStore(world.disk)) as core:
        await bring(core, {("a", "w1"): 100})
        await anyio.wait_all_tasks_blocked()
        for number in range(50):
            await reserve(core, f"o{number}", ("a", "w1", 1))
        assert reads == []


async def test_the_request_id_of_an_import_belongs_to_the_organizations_of_its_lines(world: World) -> None:
    def counted(*organizations: str) -> tuple[CountedLine, ...]:
        return tuple(CountedLine(name, "a", "w1", "", 5, 0, 0, 0, 0, 1) for name in organizations)

    async with world.core() as core:
        for organizations in (("org_1",), ("org_2",), ("org_1", "org_2")):
            lines = counted(*organizations)
            assert (await core.ask(Import(lines, "r1"))) == await core.ask(Import(lines, "r1"))
        with pytest.raises(Refused) as refused:
            await core.ask(Import((*counted("org_2"), *counted("org_1")), "r1"))
        assert refused.value.refusal == RequestIdReused("r1")
    assert len(world.disk.transactions) == 3

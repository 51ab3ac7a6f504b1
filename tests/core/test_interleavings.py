"""Interleavings that once went wrong: crashes while something is loaded, written or given up."""

from collections.abc import Sequence

import anyio
import pytest

from actors.commands import Confirm, CountedLine, DeliveryLine, Fulfill, Import, Line, Receive, Release
from actors.outcomes import ActorCrashed, InsufficientStock, Refused, ReservationConfirmed, Shortage
from actors.records import Delta, ReservationRecord, StockRecord, Transaction, VariantKey
from actors.row_changes import Count
from actors.stock_state import StockState
from actors.two_phase import Prepared
from actors.unavailable import Unavailable
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.limits import Limits
from tests.core.conftest import ORGANIZATION, World, available, bring, check, finish_now, reserve, rows_of
from tests.core.test_lifecycle import GatedStore

pytestmark = pytest.mark.anyio


class SteppedStore(MemoryStore):
    """Once `step` was called, each write waits for a step of its own, until `free`."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.steps_left: int | None = None
        self.moved = anyio.Event()

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        while self.steps_left == 0:
            await self.moved.wait()
        if self.steps_left is not None:
            self.steps_left -= 1
        return await super().write(transactions, latecomers)

    def hold(self) -> None:
        self.steps_left = 0

    def step(self, *, free: bool = False) -> None:
        self.steps_left = None if free else 1
        self.moved.set()
        self.moved = anyio.Event()


def crash_once(monkeypatch: pytest.MonkeyPatch, variant_id: str) -> None:
    """The next prepare of this variant meets a bug."""
    healthy, armed = StockState.prepare, [True]

    def prepare(state: StockState, *arguments: object) -> object:
        if state.record.variant_id == variant_id and armed[0]:
            armed[0] = False
            raise ZeroDivisionError
        return healthy(state, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StockState, "prepare", prepare)


async def test_a_variant_that_crashes_while_the_loader_waits_is_loaded_with_all_that_was_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SteppedStore(world.disk)
    results: dict[str, ReservationRecord | Exception] = {}

    async with world.core(store) as core:

        async def one(order_id: str, *lines: tuple[str, str, int]) -> None:
            try:
                results[order_id] = await reserve(core, order_id, *lines)
            except (Refused, Unavailable, ActorCrashed) as error:
                results[order_id] = error

        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        await anyio.wait_all_tasks_blocked()
        store.hold()
        async with anyio.create_task_group() as tasks:
            for start in (
                lambda: tasks.start_soon(one, "o1", ("b", "w1", 1)),  # is being written
                lambda: tasks.start_soon(check, core, Line("x", "", 1)),  # the loader waits for it
                lambda: tasks.start_soon(one, "o2", ("a", "w1", 8)),  # behind it
                lambda: crash_once(monkeypatch, "a"),
                lambda: tasks.start_soon(one, "o3", ("a", "w1", 1)),  # takes the activation of "a" away
                lambda: tasks.start_soon(one, "o4", ("a", "w1", 8)),  # only 2 are left
                store.step,
            ):
                start()
                await anyio.wait_all_tasks_blocked()
            store.step(free=True)
        world.crashes.clear()
        assert isinstance(results["o2"], ReservationRecord)
        assert isinstance(results["o3"], ActorCrashed)
        assert isinstance(results["o4"], Refused)
        assert (world.reports, core.incarnations) == ([], 1)


async def test_an_order_that_crashes_while_the_loader_waits_is_loaded_with_all_that_was_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SteppedStore(world.disk)
    results: dict[str, ReservationRecord | Exception] = {}
    healthy, bugs = ExpiryHints.add, [ZeroDivisionError()]

    def add(hints: ExpiryHints, reservation: ReservationRecord) -> None:
        if reservation.order_id == "o2" and bugs:
            raise bugs.pop()  # after the decision
        healthy(hints, reservation)

    monkeypatch.setattr(ExpiryHints, "add", add)
    async with world.core(store, Limits(orders_max=2)) as core:

        async def one(order_id: str, name: str) -> None:
            try:
                results[name] = await reserve(core, order_id, ("a", "w1", 1))
            except (Refused, Unavailable, ActorCrashed) as error:
                results[name] = error

        await bring(core, {("a", "w1"): 10})
        for order_id in ("o0", "p1", "p2"):  # the last two push the first out of memory
            await reserve(core, order_id, ("a", "w1", 1))
        await anyio.wait_all_tasks_blocked()
        store.hold()
        async with anyio.create_task_group() as tasks:
            for start in (
                lambda: tasks.start_soon(one, "o1", "being written"),
                lambda: tasks.start_soon(one, "o0", "the loader waits for that"),
                lambda: tasks.start_soon(one, "o2", "behind it"),
                lambda: tasks.start_soon(one, "o2", "retry"),
                store.step,
            ):
                start()
                await anyio.wait_all_tasks_blocked()
            store.step(free=True)
        world.crashes.clear()
        assert isinstance(results["behind it"], ActorCrashed)
        assert isinstance(results["retry"], ReservationRecord)
        assert [t.reservation.order_id for t in world.disk.transactions if t.reservation].count("o2") == 1


async def test_an_import_makes_no_row_on_an_activation_that_a_crash_took_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GatedLoads(MemoryStore):
        gate: anyio.Event | None = None

        async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
            if self.gate is not None and any(key.organization_id == "org_2" for key in keys):
                await self.gate.wait()
            return await super().load_variants(keys)

    store = GatedLoads(world.disk)
    rows = ((ORGANIZATION, "a", "w2"), ("org_2", "b", "w1"))
    lines = tuple(CountedLine(*row, "", 5, 0, 0, 0, 0, number) for number, row in enumerate(rows, 1))
    async with world.core(store) as core:

        async def import_all() -> None:
            try:
                await core.ask(Import(lines, "more"))
            except Unavailable:
                await core.ask(Import(lines, "more"))

        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(import_all)
            await anyio.wait_all_tasks_blocked()
            crash_once(monkeypatch, "a")
            with pytest.raises(ActorCrashed):
                await reserve(core, "o1", ("a", "w1", 1))
            world.crashes.clear()
            tasks.start_soon(reserve, core, "o1", ("a", "w1", 1))
            await anyio.wait_all_tasks_blocked()
            store.gate.set()
        assert [v.record.warehouse_id for v in await rows_of(core, "a")] == ["w1", "w2"]
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w2", 1),), "r1"))
        assert world.reports == []


async def test_an_order_that_waited_does_not_judge_by_what_a_crash_took_away_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[Exception] = []
    async with world.core() as core:

        async def basket() -> None:
            with pytest.raises((Refused, Unavailable)) as refused:
                await reserve(core, "o1", ("a", "w1", 5), ("b", "w1", 5))
            refusals.append(refused.value)

        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        assert core._core is not None
        coordinator = core._core._coordinator
        variants = core._core.stock.ready(ORGANIZATION, ["a"])
        assert variants is not None
        rival = finish_now(coordinator.prepare([(variants["a"].rows["w1"], Delta(-10))]))
        assert isinstance(rival, Prepared)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(basket)
            await anyio.wait_all_tasks_blocked()
            crash_once(monkeypatch, "b")
            with pytest.raises(ActorCrashed):
                await reserve(core, "o2", ("b", "w1", 1))
            world.crashes.clear()
            await reserve(core, "o2", ("b", "w1", 10))
            coordinator.decide(rival, "import", world.wall_ms)
        await basket()
    first, again = refusals
    assert isinstance(first, Unavailable)
    assert isinstance(again, Refused)
    assert again.refusal == InsufficientStock((Shortage("a", "w1", 5, 0), Shortage("b", "w1", 5, 0)))


async def test_rows_of_a_refused_import_do_not_stay_in_memory(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        await reserve(core, "o1", ("a", "w1", 5))
        rows = ["w1", *(f"x{n}" for n in range(100))]
        lines = tuple(CountedLine(ORGANIZATION, "a", row, "", 1, 0, 0, 0, 0, 1) for row in rows)
        with pytest.raises(Refused):
            await core.ask(Import(lines, "bad"))
        assert core._core is not None
        variants = core._core.stock.ready(ORGANIZATION, ["a"])
        assert variants is not None
        assert list(variants["a"].rows) == ["w1"]


@pytest.mark.parametrize("request_id", ["", "key-1"])
async def test_a_crash_after_the_decision_leaves_the_reservation_to_be_found_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch, request_id: str
) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        with monkeypatch.context() as patch:
            patch.setattr(ExpiryHints, "add", lambda self, reservation: 1 // 0)
            with pytest.raises(ActorCrashed):
                await reserve(core, "o1", ("a", "w1", 1), request_id=request_id)
        world.crashes.clear()
        await reserve(core, "o1", ("a", "w1", 1), request_id=request_id)
        assert await available(core) == {("a", "w1"): 9}
        assert core.incarnations == 1


async def test_orders_that_crash_do_not_keep_others_from_expiring(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 2_000, ("b", "w1"): 1})
        for number in range(500):
            await reserve(core, f"p{number}", ("a", "w1", 1), ttl_minutes=1)
        await reserve(core, "good", ("b", "w1", 1), ttl_minutes=1)
        healthy = StockState.prepare

        def prepare(state: StockState, *arguments: object) -> object:
            if state.record.variant_id == "a":
                raise ZeroDivisionError
            return healthy(state, *arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(StockState, "prepare", prepare)
            world.time.now_s += 61
            with anyio.fail_after(60):
                while (await available(core))["b", "w1"] != 1:  # noqa: ASYNC110 - the core does not tell
                    await anyio.sleep(0.02)
        world.crashes.clear()


async def test_an_order_that_asks_for_other_goods_behind_a_release_that_waits(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        first = await reserve(core, "o1", ("a", "w1", 10))
        with pytest.raises(Refused):
            await reserve(core, "o1", ("b", "w1", 1))
        assert core._core is not None
        variants = core._core.stock.ready(ORGANIZATION, ["a"])
        assert variants is not None
        rival = finish_now(core._core._coordinator.prepare([(variants["a"].rows["w1"], Count(20, 0, 0, 0, 0))]))
        assert isinstance(rival, Prepared)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(core.ask, Release(ORGANIZATION, first.reservation_id, ""))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(reserve, core, "o1", ("a", "w1", 9))
            await anyio.wait_all_tasks_blocked()
            rival.abort()
        assert await available(core) == {("a", "w1"): 1, ("b", "w1"): 10}


async def test_an_expiry_that_waits_for_a_row_keeps_no_other_waiting(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        await reserve(core, "o1", ("a", "w1", 5), ttl_minutes=1)
        await reserve(core, "o2", ("b", "w1", 5), ttl_minutes=2)
        assert core._core is not None
        variants = core._core.stock.ready(ORGANIZATION, ["a"])
        assert variants is not None
        rival = finish_now(core._core._coordinator.prepare([(variants["a"].rows["w1"], Count(20, 0, 0, 0, 0))]))
        assert isinstance(rival, Prepared)
        for now_s, stock in ((61, 5), (121, 10)):
            world.time.now_s = now_s
            with anyio.fail_after(30):
                while (await available(core))["b", "w1"] != stock:  # noqa: ASYNC110 - the core does not tell
                    await anyio.sleep(0.02)
            await anyio.sleep(0.2)  # the expiry of the first has begun by now, and waits
        assert (await available(core))["a", "w1"] == 5
        rival.abort()
        with anyio.fail_after(30):
            while (await available(core))["a", "w1"] != 10:  # noqa: ASYNC110 - likewise
                await anyio.sleep(0.02)
        statistics = core.statistics()
        assert statistics is not None
        assert statistics.expiry.expired == 2


async def test_calls_that_were_given_up_count_until_they_are_answered(world: World) -> None:
    store = GatedStore(world.disk)
    async with world.core(store, Limits(calls_max=10)) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        overloaded = 0
        for _ in range(50):
            try:
                with anyio.move_on_after(0.001):
                    await reserve(core, "o1", ("a", "w1", 1))
            except Unavailable:
                overloaded += 1
        statistics = core.statistics()
        assert statistics is not None
        assert (statistics.journal.answers_waiting, overloaded) == (10, 40)
        store.gate.set()


async def test_hints_do_not_learn_what_has_changed_meanwhile(world: World) -> None:
    class SlowToList(MemoryStore):
        gate = anyio.Event()

        async def active_reservations(self, limit: int) -> Sequence[ReservationRecord]:
            found = await super().active_reservations(limit)
            await self.gate.wait()
            return found

    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        first = await reserve(core, "o1", ("a", "w1", 10), ttl_minutes=1)
    store = SlowToList(world.disk)
    store.gate = anyio.Event()
    async with world.core(store) as core:
        await core.ask(Release(ORGANIZATION, first.reservation_id, "test"))
        store.gate.set()
        await anyio.wait_all_tasks_blocked()
        kept = await reserve(core, "o2", ("a", "w1", 10))
        await core.ask(Confirm(ORGANIZATION, kept.reservation_id, "o2"))
        with pytest.raises(Refused) as refused:
            await reserve(core, "o3", ("a", "w1", 1))
        assert refused.value.refusal == InsufficientStock((Shortage("a", "w1", 1, 0),), 0)


async def test_a_shortage_names_all_that_was_asked_of_the_row(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5})
        with pytest.raises(Refused) as refused:
            await reserve(core, "o1", ("a", "w1", 3), ("a", "", 3))
        assert refused.value.refusal == InsufficientStock((Shortage("a", "w1", 6, 5),))


async def test_a_confirmation_repeated_after_the_shipment_gets_its_answer_again(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 5))
        confirm = Confirm(ORGANIZATION, reservation.reservation_id, "o1")
        first = await core.ask(confirm)
        world.time.now_s += 5
        await core.ask(Fulfill(ORGANIZATION, reservation.reservation_id, "s1", ""))
        again = await core.ask(confirm)
        assert isinstance(first, ReservationConfirmed)
        assert isinstance(again, ReservationConfirmed)
        assert again.reservation.confirmed_at_ms == first.reservation.confirmed_at_ms

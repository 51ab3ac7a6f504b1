"""A server that another one has followed answers no call, whatever it still has in memory."""

from collections.abc import Awaitable, Callable, Sequence

import anyio
import pytest

from actors.commands import Confirm, Line, Reserve
from actors.queries import ListReservations
from actors.records import Transaction
from actors.unavailable import Unavailable
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from storage.store import LEASE_S, OwnershipLost
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, FakeTime, World, available, bring, check, reserve, rows_of

pytestmark = pytest.mark.anyio

QUIET = Limits(heartbeat_s=600)  # nothing but the lease can notice


class WatchedStore(MemoryStore):
    """Counts how often it is asked whose the disk is."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.looks = 0

    async def check_ownership(self) -> None:
        self.looks += 1
        await super().check_ownership()


CALLS: dict[str, Callable[[Supervisor, str], Awaitable[object]]] = {
    "stock_info": lambda core, reservation_id: rows_of(core, "a"),
    "check": lambda core, reservation_id: check(core, Line("a", "", 1)),
    "list_stock": lambda core, reservation_id: available(core),
    "list_reservations": lambda core, reservation_id: core.answer(ListReservations(ORGANIZATION)).wait(),
    "reserve": lambda core, reservation_id: reserve(core, "o2", ("a", "w1", 1)),
    "reserve again": lambda core, reservation_id: reserve(core, "o1", ("a", "w1", 3)),
    "reserve again by key": lambda core, reservation_id: reserve(core, "o3", ("a", "w1", 1), request_id="key"),
    "confirm again": lambda core, reservation_id: core.ask(Confirm(ORGANIZATION, reservation_id, "o1")),
    "refusal": lambda core, reservation_id: reserve(core, "o4", ("a", "w1", 99)),
    "not found": lambda core, reservation_id: core.ask(Confirm(ORGANIZATION, "none", "o1")),
}


@pytest.mark.parametrize("call", CALLS)
async def test_g9_no_call_is_answered_from_memory_after_a_takeover(world: World, call: str) -> None:
    with pytest.RaisesGroup(OwnershipLost):
        async with world.core(limits=QUIET) as core:
            await bring(core, {("a", "w1"): 10})
            reservation = await reserve(core, "o1", ("a", "w1", 3))
            await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, "o1"))
            await reserve(core, "o3", ("a", "w1", 1), request_id="key")
            await MemoryStore(world.disk, takes_over=True).open()
            with pytest.raises(Unavailable):
                await CALLS[call](core, reservation.reservation_id)
            await anyio.sleep_forever()


async def test_many_answers_share_one_proof_and_a_batch_is_one(world: World) -> None:
    store = WatchedStore(world.disk)
    async with world.core(store, QUIET) as core:
        await bring(core, {("a", "w1"): 10})
        looks = store.looks
        await anyio.sleep(LEASE_S)
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(rows_of, core, "a")
        assert store.looks == looks + 1
        await anyio.sleep(LEASE_S)
        await reserve(core, "o1", ("a", "w1", 1))
        await rows_of(core, "a")
        assert store.looks == looks + 1


class SlowDisk(WatchedStore):
    """Answers late: the clock goes on between what is asked and its answer."""

    def __init__(self, disk: Disk, clock: FakeTime) -> None:
        super().__init__(disk)
        self.clock = clock
        self.answers_after_s = 0.0

    async def check_ownership(self) -> None:
        await super().check_ownership()
        self.clock.now_s += self.answers_after_s

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        written = await super().write(transactions, latecomers)
        self.clock.now_s += self.answers_after_s
        return written


@pytest.mark.parametrize("proof", ["look", "batch"])
async def test_a_proof_counts_from_the_moment_it_was_asked_for(world: World, proof: str) -> None:
    clock = world.monotonic_s = FakeTime()
    store = SlowDisk(world.disk, clock)
    async with world.core(store, QUIET) as core:
        await bring(core, {("a", "w1"): 10})
        clock.now_s += LEASE_S
        store.answers_after_s = 0.75 * LEASE_S
        if proof == "look":
            await rows_of(core, "a")
        else:
            await core.submit(Reserve(ORGANIZATION, "o1", (Line("a", "w1", 1),), 15)).wait()
        store.answers_after_s = 0.0
        looks = store.looks
        clock.now_s += 0.2 * LEASE_S
        await rows_of(core, "a")
        assert store.looks == looks, "the lease holds for a twentieth of its time more"
        clock.now_s += 0.1 * LEASE_S
        await rows_of(core, "a")
        assert store.looks == looks + 1, "the lease was over"


async def test_a_proof_that_comes_after_the_lease_is_over_still_answers_those_that_asked_before_it(
    world: World,
) -> None:
    clock = world.monotonic_s = FakeTime()
    store = SlowDisk(world.disk, clock)
    async with world.core(store, QUIET) as core:
        await bring(core, {("a", "w1"): 10})
        clock.now_s += LEASE_S
        store.answers_after_s = 2 * LEASE_S
        assert len(await rows_of(core, "a")) == 1
        looks = store.looks
        store.answers_after_s = 0.0
        await rows_of(core, "a")
        assert store.looks == looks + 1


async def test_a_caller_that_gives_up_takes_the_proof_from_no_other(world: World) -> None:
    async with world.core(limits=QUIET) as core:
        await bring(core, {("a", "w1"): 10})
        await anyio.sleep(LEASE_S)
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()

            async def impatient() -> None:
                with scope:
                    await rows_of(core, "a")

            tasks.start_soon(impatient)
            tasks.start_soon(rows_of, core, "a")
            await anyio.lowlevel.checkpoint()
            scope.cancel()

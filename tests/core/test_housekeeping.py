"""What is long over leaves the working tables, and a caller that remembers it is answered as before."""

from contextlib import suppress

import anyio
import pytest

from actors.changes import Point
from actors.commands import Confirm, DeliveryLine, Fulfill, Receive, Release
from actors.outcomes import Refused, ReservationNotFound, ReservationReleased
from actors.queries import MoveCursor, TakeCursor
from storage.memory_store import Disk, MemoryStore
from storage.store import DatabaseGone, MovedOut, OwnershipLost, StorageError
from supervisor.background.housekeeping import DAY_MS, ROWS_A_STEP
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve

pytestmark = pytest.mark.anyio

DAY_S = DAY_MS // 1_000
LIMITS = Limits(heartbeat_s=0.005, keep_days=30)


async def until_moved_out(disk: Disk, reservations_left: int) -> None:
    with anyio.fail_after(30):
        while len(disk.reservations) > reservations_left:  # noqa: ASYNC110 - a disk does not tell
            await anyio.sleep(0.005)


async def test_what_ended_goes_when_its_days_are_over_and_what_holds_stock_stays(world: World) -> None:
    async with world.core(limits=LIMITS) as core:
        await bring(core, {("v", "w"): 10})
        released = await reserve(core, "released", ("v", "w", 1))
        await core.ask(Release(ORGANIZATION, released.reservation_id, "test"))
        confirmed = await reserve(core, "confirmed", ("v", "w", 2))
        await core.ask(Confirm(ORGANIZATION, confirmed.reservation_id, "confirmed"))
        await reserve(core, "expired", ("v", "w", 3), ttl_minutes=60)
        await reserve(core, "active", ("v", "w", 4), ttl_minutes=44_640)
        world.time.now_s += 29 * DAY_S  # the hour is over, the days are not
        with anyio.fail_after(30):
            while await available(core) != {("v", "w"): 4}:  # noqa: ASYNC110 - a caller can only look
                await anyio.sleep(0.005)
        assert len(world.disk.reservations) == 4
        world.time.now_s += DAY_S + 1
        await until_moved_out(world.disk, 3)
        assert sorted(r.order_id for r in world.disk.reservations.values()) == ["active", "confirmed", "expired"]
        assert world.disk.requests == {}
        await core.ask(Fulfill(ORGANIZATION, confirmed.reservation_id, "ship", ""))
        world.time.now_s += 31 * DAY_S
        await until_moved_out(world.disk, 1)  # the last one is over only now
        assert [r.order_id for r in world.disk.reservations.values()] == ["active"]


async def test_an_order_in_memory_goes_on_as_it_was_and_then_as_if_it_were_new(world: World) -> None:
    async with world.core(limits=LIMITS) as core:
        await bring(core, {("v", "w"): 10})
        first = await reserve(core, "order", ("v", "w", 1))
        release = Release(ORGANIZATION, first.reservation_id, "test")
        fact = await core.ask(release)
        world.time.now_s += 31 * DAY_S
        await until_moved_out(world.disk, 0)
        assert await core.ask(release) == fact
        with pytest.raises(Refused):
            await core.ask(Confirm(ORGANIZATION, first.reservation_id, "order"))
        second = await reserve(core, "order", ("v", "w", 1))
        assert second.reservation_id != first.reservation_id
        assert isinstance(await core.ask(Release(ORGANIZATION, second.reservation_id, "test")), ReservationReleased)
        world.time.now_s += 31 * DAY_S
        await until_moved_out(world.disk, 0)
    async with world.core(limits=LIMITS) as core:
        with pytest.raises(Refused) as refused:
            await core.ask(release)
        assert refused.value.refusal == ReservationNotFound(first.reservation_id)
        await reserve(core, "order", ("v", "w", 1))
        assert await available(core) == {("v", "w"): 9}


async def test_a_retry_is_recognized_until_its_key_is_gone(world: World) -> None:
    delivery = Receive(ORGANIZATION, (DeliveryLine("v", "w", 5),), "purchase", "PO-7", "delivery-7")
    async with world.core(limits=LIMITS) as core:
        fact = await core.ask(delivery)
        world.time.now_s += 29 * DAY_S
        assert await core.ask(delivery) == fact
        world.time.now_s += 2 * DAY_S
        with anyio.fail_after(30):
            while world.disk.requests:  # noqa: ASYNC110 - a disk does not tell
                await anyio.sleep(0.005)
        assert await core.ask(delivery) == fact  # its activation is in memory
    async with world.core(limits=LIMITS) as core:
        await core.ask(delivery)
        assert await available(core) == {("v", "w"): 10}


async def test_thousands_go_step_by_step_and_others_get_their_turn(world: World) -> None:
    class Counting(MemoryStore):
        steps: list[MovedOut]

        async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
            assert rows_max == ROWS_A_STEP
            moved = await super().move_out(before_ms, rows_max)
            self.steps.append(moved)
            return moved

    store = Counting(world.disk)
    store.steps = []
    async with world.core() as core:
        await bring(core, {("v", "w"): 2_000})
        async with anyio.create_task_group() as tasks:
            for number in range(1_200):
                tasks.start_soon(reserve, core, f"o{number}", ("v", "w", 1))
        for reservation in list(world.disk.reservations.values()):
            await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))
    world.wall_ms += 31 * DAY_MS
    async with world.core(store, LIMITS) as core:
        answered = 0
        while len(world.disk.reservations) > answered:
            await reserve(core, f"new-{answered}", ("v", "w", 1))
            answered += 1
        assert answered > 3
    assert max(moved.rows for moved in store.steps) <= ROWS_A_STEP
    assert sum(moved.reservations for moved in store.steps) == 1_200


async def test_nothing_is_lost_where_orders_come_again_while_days_go_by(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.background.housekeeping.REST_MAX_S", 0.01)  # time jumps during steps, too
    limits = Limits(heartbeat_s=0.001, keep_days=1, idle_timeout_s=0.01, orders_max=4)

    async def shop(core: Supervisor, shopper: int) -> None:
        for number in range(60):
            order_id = f"o{shopper}-{number % 3}"
            with suppress(Refused):
                reservation_id = (await reserve(core, order_id, ("v", "w", 1 + number % 2))).reservation_id
                if number % 4:
                    await core.ask(Release(ORGANIZATION, reservation_id, "test"))
                else:
                    await core.ask(Confirm(ORGANIZATION, reservation_id, order_id))
                    await core.ask(Fulfill(ORGANIZATION, reservation_id, f"ship {reservation_id}", ""))
                await core.ask(Release(ORGANIZATION, reservation_id, "late"))
            await anyio.sleep(0.001)

    async with world.core(limits=limits) as core:
        await bring(core, {("v", "w"): 5_000})
        async with anyio.create_task_group() as shoppers:
            for shopper in range(10):
                shoppers.start_soon(shop, core, shopper)
            for _ in range(100):
                world.time.now_s += 0.4 * DAY_S
                await anyio.sleep(0.001)
        assert core.incarnations == 1
        world.time.now_s += DAY_S  # what was confirmed too late has expired
        with anyio.fail_after(30):
            while any(record.reserved for record in world.disk.stock.values()):  # noqa: ASYNC110 - it does not tell
                await anyio.sleep(0.005)
        world.time.now_s += 2 * DAY_S
        await until_moved_out(world.disk, 0)
    shipped = sum(
        one.reservation.quantity for one in world.disk.transactions if one.kind == "fulfill" and one.reservation
    )
    assert shipped > 0
    assert [record.available for record in world.disk.stock.values()] == [5_000 - shipped]
    assert (world.disk.orders, world.disk.ended, world.disk.answered) == ([], [], [])
    assert world.reports == []


async def test_all_is_kept_by_default(world: World) -> None:
    class Untidied(MemoryStore):
        async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
            raise AssertionError("it was not asked for")

    async with world.core(Untidied(world.disk)) as core:
        await bring(core, {("v", "w"): 10})
        world.time.now_s += 10_000 * DAY_S
        await anyio.wait_all_tasks_blocked()
        assert await available(core) == {("v", "w"): 10}


async def test_a_step_that_fails_is_told_and_tried_again_and_stops_no_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.background.housekeeping.RETRY_S", 0.005)

    class Locked(MemoryStore):
        failures_left = 3

        async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
            if self.failures_left:
                self.failures_left -= 1
                raise StorageError("the archive is locked")
            return await super().move_out(before_ms, rows_max)

    async with world.core(Locked(world.disk), LIMITS) as core:
        await bring(core, {("v", "w"): 10})
        reservation = await reserve(core, "o", ("v", "w", 1))
        await core.ask(Release(ORGANIZATION, reservation.reservation_id, "test"))
        world.time.now_s += 31 * DAY_S
        await until_moved_out(world.disk, 0)
        assert core.incarnations == 1
    assert [str(error) for _, error in world.crashes] == ["the archive is locked"] * 3
    assert "keep_days=30" in repr(world.crashes[0][0])
    world.crashes.clear()


async def test_a_step_that_finds_the_database_gone_ends_the_process_and_is_no_failure_of_the_step(world: World) -> None:
    class Removed(MemoryStore):
        async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
            raise DatabaseGone("x.db was removed or replaced")

    async def lose_the_database() -> None:
        async with world.core(Removed(world.disk), LIMITS):
            await anyio.sleep(10)

    with pytest.raises(ExceptionGroup) as ended:
        await lose_the_database()
    assert ended.group_contains(DatabaseGone)
    assert not world.crashes


async def test_a_step_that_finds_another_owner_ends_the_process(world: World) -> None:
    class Blind(MemoryStore):
        async def check_ownership(self) -> None:
            pass

    async def be_usurped() -> None:
        async with world.core(Blind(world.disk), LIMITS):
            await MemoryStore(world.disk, takes_over=True).open()
            await anyio.sleep(10)

    with pytest.raises(ExceptionGroup) as ended:
        await be_usurped()
    assert ended.group_contains(OwnershipLost)


async def test_a_cursor_that_keeps_history_is_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.core(limits=LIMITS) as core:
        await core.answer(TakeCursor("", "forgotten")).wait()
        await bring(core, {("v", "w"): 10})

        async def until_it_waits_for(name: str) -> None:
            with anyio.fail_after(30):
                while (now := core.statistics()) is None or now.housekeeping.waits_for != name:  # noqa: ASYNC110
                    await anyio.sleep(0.005)

        world.time.now_s += 31 * DAY_S
        await until_it_waits_for("forgotten")
        assert [one.message for one in caplog.records].count("history_kept_for_a_cursor") == 1
        await core.answer(MoveCursor("", "forgotten", 1, Point(1))).wait()
        await until_it_waits_for("")

"""Taking an expired reservation's goods again, as the core sees it: the same rows or others, once, or not at all."""

import anyio
import pytest

from actors.commands import Confirm, Expire, Line, Reacquire, Release, Reserve
from actors.outcomes import (
    InsufficientStock,
    Refused,
    RequestIdReused,
    ReservationConfirmed,
    ReservationExists,
    ReservationExpired,
    ReservationNotFound,
    ReservationReacquired,
    ReservationWasReleased,
    Shortage,
    StockReserved,
)
from actors.records import ReservationRecord
from actors.warehouse_commands import UpsertWarehouse
from storage.memory_store import MemoryStore
from supervisor.background.housekeeping import surely_kept_ms
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_goods import refusal_of

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000


def again(reservation: ReservationRecord | str, minutes: int = 10, request_id: str = "r1") -> Reacquire:
    reservation_id = reservation if isinstance(reservation, str) else reservation.reservation_id
    return Reacquire(ORGANIZATION, reservation_id, minutes, request_id, "paid late", "bank 7")


async def taken(core: Supervisor, command: Reacquire) -> ReservationRecord:
    fact = await core.ask(command)
    assert isinstance(fact, ReservationReacquired)
    assert not fact.was_held
    return fact.reservation


async def expired(world: World, core: Supervisor, *lines: tuple[str, str, int], order: str = "o1") -> ReservationRecord:
    reservation = await reserve(core, order, *lines, ttl_minutes=1)
    world.time.now_s += 60
    await core.ask(Expire(ORGANIZATION, order))
    return reservation


async def test_it_is_active_again_from_the_rows_that_it_had(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("a", "w2"): 3})
        first = await expired(world, core, ("a", "", 2), ("a", "w2", 1))
        assert [item.warehouse_id for item in first.items] == ["w1", "w2"]
        await reserve(core, "o2", ("a", "w1", 3))  # another warehouse has more now
        second = await taken(core, again(first))
        assert (second.reservation_id, second.state, second.ended_at_ms) == (first.reservation_id, "active", 0)
        assert second.expires_at_ms == world.disk.last_at_ms + 10 * MINUTE_MS
        assert [(i.warehouse_id, i.stock_before, i.stock_after) for i in second.items] == [("w1", 2, 0), ("w2", 3, 2)]
        assert await available(core) == {("a", "w1"): 0, ("a", "w2"): 2}
    entry = world.disk.transactions[-1]
    assert (entry.kind, entry.reason, entry.reference) == ("reacquire", "paid late", "bank 7")
    async with world.core() as core:  # it is the same after a restart, and expires at its new time
        assert await taken(core, again(first)) == second
        assert await refusal_of(core, again(first, 11)) == RequestIdReused("r1")
        held = await core.ask(again(first, 30, "r2"))
        assert held == ReservationReacquired(second, True)
        confirmed = await core.ask(Confirm(ORGANIZATION, first.reservation_id, "o1"))
        assert isinstance(confirmed, ReservationConfirmed)
        assert await available(core) == {("a", "w1"): 0, ("a", "w2"): 2}


async def test_it_expires_again(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5})
        first = await expired(world, core, ("a", "w1", 2))
        await taken(core, again(first, 1))
        world.time.now_s += 60
        with anyio.fail_after(30):
            while await available(core) != {("a", "w1"): 5}:  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.01)
        once_more = await taken(core, again(first, 1, "r2"))
        assert once_more.state == "active"


async def test_the_service_chooses_where_its_rows_have_too_little(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 2, ("a", "w2"): 2})
        first = await expired(world, core, ("a", "", 2))
        await reserve(core, "o2", ("a", "w1", 1))
        second = await taken(core, again(first))
        assert [item.warehouse_id for item in second.items] == ["w2"]
        assert await available(core) == {("a", "w1"): 1, ("a", "w2"): 0}


async def test_it_takes_nothing_from_a_closed_warehouse(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("a", "w2"): 2})
        first = await expired(world, core, ("a", "", 2))
        await core.ask(UpsertWarehouse(ORGANIZATION, "w1", None, None, None, False, "close"))
        assert [item.warehouse_id for item in (await taken(core, again(first))).items] == ["w2"]


async def test_what_is_short_is_named_and_nothing_is_taken(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("b", "w1"): 3})
        first = await expired(world, core, ("a", "w1", 2), ("b", "w1", 1))
        await reserve(core, "o2", ("a", "w1", 2), ttl_minutes=5)
        assert await refusal_of(core, again(first)) == InsufficientStock((Shortage("a", "w1", 2, 1),), 5 * MINUTE_MS)
        assert await available(core) == {("a", "w1"): 1, ("b", "w1"): 3}
        late = Confirm(ORGANIZATION, first.reservation_id, "o1")
        assert await refusal_of(core, late) == ReservationExpired(first.reservation_id)


async def test_an_overdue_one_that_has_not_been_expired_yet_is_taken_again(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3})
        reservation = await reserve(core, "o1", ("a", "w1", 2), ttl_minutes=1)
        world.time.now_s += 60
        fact = await core.ask(again(reservation))
        assert isinstance(fact, ReservationReacquired)
        assert fact.reservation.expires_at_ms == world.disk.last_at_ms + 10 * MINUTE_MS
        assert await available(core) == {("a", "w1"): 1}


async def test_an_order_has_one_reservation_that_holds_goods(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9})
        first = await expired(world, core, ("a", "w1", 2))
        other = await reserve(core, "o1", ("a", "w1", 3))
        assert await refusal_of(core, again(first)) == ReservationExists(other.reservation_id)
        await core.ask(Release(ORGANIZATION, other.reservation_id, "left"))
        second = await taken(core, again(first, 10, "r2"))
        repeated = Reserve(ORGANIZATION, "o1", (Line("a", "w1", 2),), 5)
        assert await core.ask(repeated) == StockReserved(second)
    async with world.core() as core:  # it is the order's latest after a restart too
        assert await core.ask(repeated) == StockReserved(second)
        world.time.now_s += 600
        assert await core.ask(Expire(ORGANIZATION, "o1"))
        assert await available(core) == {("a", "w1"): 9}


async def test_only_what_expired_is_taken_again(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9})
        reservation = await reserve(core, "o1", ("a", "w1", 2))
        await core.ask(Release(ORGANIZATION, reservation.reservation_id, "left"))
        assert await refusal_of(core, again(reservation)) == ReservationWasReleased(reservation.reservation_id)
        assert await refusal_of(core, again("unknown", 10, "r2")) == ReservationNotFound("unknown")
        other = Reacquire("org_2", reservation.reservation_id, 10, "r1")
        assert await refusal_of(core, other) == ReservationNotFound(reservation.reservation_id)


async def test_two_at_once_take_it_once(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9})
        first = await expired(world, core, ("a", "w1", 2))
        facts = []

        async def one(number: int) -> None:
            facts.append(await core.ask(again(first, 10, f"r{number}")))

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(one, number)
        assert sorted(fact.was_held for fact in facts) == [False, True, True, True, True]  # type: ignore[union-attr]
        assert await available(core) == {("a", "w1"): 7}


async def test_what_may_be_on_its_way_to_the_archive_is_not_taken_again(world: World) -> None:
    day_s, hour_s = 24 * 3_600, 3_600
    assert surely_kept_ms(1) == (day_s - hour_s) * 1_000
    assert surely_kept_ms(0) is None
    limits = Limits(heartbeat_s=0.005, keep_days=1)
    async with world.core(MemoryStore(world.disk), limits) as core:
        await bring(core, {("a", "w1"): 9})
        first = await expired(world, core, ("a", "w1", 2))
        second = await expired(world, core, ("a", "w1", 2), order="o2")
        world.time.now_s += day_s - hour_s - 61
        await taken(core, again(second))
        world.time.now_s += 1
        with pytest.raises(Refused) as refused:
            await core.ask(again(first, 10, "r2"))
        assert refused.value.refusal == ReservationExpired(first.reservation_id)

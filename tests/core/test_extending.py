"""Extensions, as the core sees them: more time, never less, and everything that goes by the time follows."""

import anyio
import pytest

from actors.commands import Confirm, Extend, Release
from actors.outcomes import (
    InsufficientStock,
    Refused,
    RequestIdReused,
    ReservationExpired,
    ReservationExtended,
    ReservationNotFound,
    ReservationWasConfirmed,
    ReservationWasReleased,
)
from actors.queries import GetReservation
from actors.records import ReservationRecord
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_goods import refusal_of

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000


def extend(reservation: ReservationRecord | str, minutes: int, request_id: str = "e1", reason: str = "") -> Extend:
    reservation_id = reservation if isinstance(reservation, str) else reservation.reservation_id
    return Extend(ORGANIZATION, reservation_id, minutes, request_id, reason)


async def extended(core: Supervisor, command: Extend) -> ReservationRecord:
    fact = await core.ask(command)
    assert isinstance(fact, ReservationExtended)
    return fact.reservation


async def until_expired(core: Supervisor, reservation_id: str) -> None:
    with anyio.fail_after(30):
        while (await found(core, reservation_id)).state == "active":  # noqa: ASYNC110 - the core does not tell
            await anyio.sleep(0.01)


async def found(core: Supervisor, reservation_id: str) -> ReservationRecord:
    return (await core.answer(GetReservation(ORGANIZATION, reservation_id)).wait()).reservation


async def test_it_is_held_from_now_on_and_never_for_less(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ttl_minutes=10)
        world.time.now_s += 60
        longer = await extended(core, extend(reservation, 15, reason="slow bank"))
        assert longer.expires_at_ms == reservation.expires_at_ms + 6 * MINUTE_MS
        assert await found(core, reservation.reservation_id) == longer
        assert await extended(core, extend(reservation, 2, "e2")) == longer
        assert await extended(core, extend(reservation, 15, "e3")) == longer
        assert await available(core) == {("a", "w1"): 7}
    kinds = [(entry.kind, entry.reason, len(entry.changes)) for entry in world.disk.transactions]
    assert kinds[2:] == [("extend", "slow bank", 0), ("remember", "", 0), ("remember", "", 0)]
    async with world.core() as core:
        assert await extended(core, extend(reservation, 15, reason="slow bank")) == longer
        assert await refusal_of(core, extend(reservation, 16)) == RequestIdReused("e1")
        assert await found(core, reservation.reservation_id) == longer


async def test_it_expires_at_its_new_time_and_not_before(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ttl_minutes=1)
        await extended(core, extend(reservation, 3))
        world.time.now_s += 120
        other = await reserve(core, "o2", ("a", "w1", 1), ttl_minutes=1)  # wakes what expires
        assert (await found(core, reservation.reservation_id)).state == "active"
        world.time.now_s += 60
        await until_expired(core, other.reservation_id)
        await until_expired(core, reservation.reservation_id)
        assert await available(core) == {("a", "w1"): 10}
        command = extend(reservation, 3, "late")
        assert await refusal_of(core, command) == ReservationExpired(reservation.reservation_id)


async def test_its_new_time_is_kept_over_a_restart(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ttl_minutes=1)
        longer = await extended(core, extend(reservation, 3))
    async with world.core() as core:
        world.time.now_s += 120
        fact = await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, "o1"))
        assert fact.reservation.expires_at_ms == longer.expires_at_ms  # type: ignore[union-attr]


async def test_a_refused_order_is_told_the_new_time(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ttl_minutes=1)
        await extended(core, extend(reservation, 30))
        with pytest.raises(Refused) as refused:
            await reserve(core, "o2", ("a", "w1", 1))
        assert isinstance(refused.value.refusal, InsufficientStock)
        assert refused.value.refusal.retry_after_ms == 30 * MINUTE_MS


async def test_only_an_active_reservation_is_extended(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        one, two, three = [await reserve(core, order, ("a", "w1", 1), ttl_minutes=1) for order in ("o1", "o2", "o3")]
        await core.ask(Confirm(ORGANIZATION, one.reservation_id, "o1"))
        await core.ask(Release(ORGANIZATION, two.reservation_id, "left"))
        assert await refusal_of(core, extend(one, 5, "1")) == ReservationWasConfirmed(one.reservation_id)
        assert await refusal_of(core, extend(two, 5, "2")) == ReservationWasReleased(two.reservation_id)
        world.time.now_s += 60
        assert await refusal_of(core, extend(three, 5, "3")) == ReservationExpired(three.reservation_id)
        assert await refusal_of(core, extend("unknown", 5, "4")) == ReservationNotFound("unknown")
        assert await refusal_of(core, extend("unknown", 5, "4")) == ReservationNotFound("unknown")


async def test_another_organization_has_no_such_reservation(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 1))
        name = reservation.reservation_id
        assert await refusal_of(core, Extend("org_2", name, 5, "e1")) == ReservationNotFound(name)
        with pytest.raises(Refused) as refused:
            await core.answer(GetReservation("org_2", name)).wait()
        assert refused.value.refusal == ReservationNotFound(name)

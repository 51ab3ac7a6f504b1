"""Reserving, as the core sees it: all or nothing, once, and durable."""

import anyio
import pytest

from actors.commands import Confirm, DeliveryLine, Expire, Fulfill, Receive, Release
from actors.outcomes import (
    InsufficientStock,
    Refused,
    ReservationConfirmed,
    ReservationExists,
    ReservationExpired,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReleased,
    Shortage,
    StockNotFound,
    StockReceived,
)
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve, rows_of

pytestmark = pytest.mark.anyio


async def test_a_reservation_takes_its_lines_and_survives_a_restart(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 5})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ("b", "", 2))
        assert [(i.stock_before, i.stock_after) for i in reservation.items] == [(10, 7), (5, 3)]
        assert await available(core) == {("a", "w1"): 7, ("b", "w1"): 3}
    async with world.core() as core:
        assert await reserve(core, "o1", ("b", "", 2), ("a", "w1", 3)) == reservation
        assert await available(core) == {("a", "w1"): 7, ("b", "w1"): 3}


async def test_a_basket_that_does_not_fit_takes_nothing(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 1})
        with pytest.raises(Refused) as refused:
            await reserve(core, "o1", ("a", "w1", 3), ("b", "w1", 2))
        assert refused.value.refusal == InsufficientStock((Shortage("b", "w1", 2, 1),))
        assert await available(core) == {("a", "w1"): 10, ("b", "w1"): 1}
        with pytest.raises(Refused) as refused:
            await reserve(core, "o1", ("c", "", 3))
        assert refused.value.refusal == StockNotFound("c", "")


async def test_lines_on_one_row_are_summed(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5})
        with pytest.raises(Refused) as refused:
            await reserve(core, "o1", ("a", "w1", 3), ("a", "w1", 3))
        assert refused.value.refusal == InsufficientStock((Shortage("a", "w1", 6, 5),))
        reservation = await reserve(core, "o1", ("a", "w1", 3), ("a", "", 2))
        assert [(i.stock_before, i.stock_after) for i in reservation.items] == [(5, 2), (2, 0)]


async def test_fifty_concurrent_tries_make_one_reservation(world: World) -> None:
    ids = set()

    async def one() -> None:
        ids.add((await reserve(core, "o1", ("a", "w1", 3))).reservation_id)

    async with world.core() as core:
        await bring(core, {("a", "w1"): 100})
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(one)
        assert len(ids) == 1
        assert await available(core) == {("a", "w1"): 97}


async def test_other_lines_are_refused_while_a_reservation_stands(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        first = await reserve(core, "o1", ("a", "w1", 3))
        with pytest.raises(Refused) as refused:
            await reserve(core, "o1", ("a", "w1", 4))
        assert refused.value.refusal == ReservationExists(first.reservation_id)
        await core.ask(Release(ORGANIZATION, first.reservation_id, "cancelled"))
        second = await reserve(core, "o1", ("a", "w1", 4))
        assert second.reservation_id != first.reservation_id


async def test_the_life_of_a_reservation(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3))
        confirm = Confirm(ORGANIZATION, reservation.reservation_id, "o1")
        world.time.now_s += 60
        confirmed = await core.ask(confirm)
        assert isinstance(confirmed, ReservationConfirmed)
        world.time.now_s += 3_600
        assert await core.ask(confirm) == confirmed
        fulfilled = await core.ask(Fulfill(ORGANIZATION, reservation.reservation_id, "ship-1", ""))
        assert isinstance(fulfilled, ReservationFulfilled)
        assert await core.ask(Fulfill(ORGANIZATION, reservation.reservation_id, "ship-1", "")) == fulfilled
        [view] = await rows_of(core, "a")
        assert (view.record.total, view.record.available, view.record.reserved) == (7, 7, 0)
        with pytest.raises(Refused) as refused:
            await core.ask(Confirm("org_2", reservation.reservation_id, "o1"))
        assert refused.value.refusal == ReservationNotFound(reservation.reservation_id)


async def test_an_overdue_reservation_cannot_be_confirmed_and_gives_its_stock_back_once(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3), ttl_minutes=1)
        world.time.now_s += 60
        with pytest.raises(Refused) as refused:
            await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, "o1"))
        assert refused.value.refusal == ReservationExpired(reservation.reservation_id)
        await core.ask(Expire(ORGANIZATION, "o1"))
        assert await available(core) == {("a", "w1"): 10}
        released = await core.ask(Release(ORGANIZATION, reservation.reservation_id, "late"))
        assert isinstance(released, ReservationReleased)
        assert released.reservation.state == "expired"
        assert await available(core) == {("a", "w1"): 10}


async def test_the_expiry_finds_what_is_due(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 2_000})
        for number in range(1_200):
            await reserve(core, f"o{number}", ("a", "w1", 1), ttl_minutes=1)
        world.time.now_s += 60
        with anyio.fail_after(30):
            while await available(core) != {("a", "w1"): 2_000}:  # noqa: ASYNC110 - the core does not tell of expiries
                await anyio.sleep(0.005)


async def test_a_refusal_under_a_key_is_remembered_and_one_without_is_tried_afresh(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 1})
        for request_id in ("", "key-1"):
            with pytest.raises(Refused):
                await reserve(core, "o1", ("a", "w1", 2), request_id=request_id)
        received = await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1),), "delivery-1"))
        assert isinstance(received, StockReceived)
        assert received.rows[0].record.available == 2
    async with world.core() as core:
        assert await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1),), "delivery-1")) == received
        with pytest.raises(Refused):
            await reserve(core, "o1", ("a", "w1", 2), request_id="key-1")
        await reserve(core, "o1", ("a", "w1", 2))

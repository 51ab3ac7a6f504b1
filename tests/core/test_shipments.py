"""Shipments in part, as the core sees them: what is shipped is gone, once, and only the rest is still held."""

import pytest

from actors.commands import Confirm, Fulfill, Line, Release
from actors.idempotency import fingerprint
from actors.outcomes import (
    Fact,
    MoreThanReserved,
    RefusedShipment,
    RequestIdReused,
    ReservationFulfilled,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationReleased,
    ReservationWasFulfilled,
    ReservationWasReleased,
)
from actors.records import ReservationRecord
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_goods import figures, refusal_of

pytestmark = pytest.mark.anyio

BASKET = (("a", "w1", 3), ("b", "", 2), ("a", "w1", 1))


async def confirmed(core: Supervisor, *lines: tuple[str, str, int], order_id: str = "o1") -> str:
    await bring(core, {("a", "w1"): 10, ("b", "w1"): 5}, f"bring {order_id}")
    reservation = await reserve(core, order_id, *lines)
    await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, order_id))
    return reservation.reservation_id


def ship(
    reservation_id: str, request_id: str, *lines: tuple[str, str, int], close: bool = False, reason: str = ""
) -> Fulfill:
    names = ORGANIZATION, reservation_id, request_id, "SHIP-1"
    return Fulfill(*names, reason, tuple(Line(*line) for line in lines), close)


async def shipped(core: Supervisor, command: Fulfill) -> ReservationFulfilled:
    fact: Fact = await core.ask(command)
    assert isinstance(fact, ReservationFulfilled)
    return fact


def quantities(reservation: ReservationRecord) -> list[tuple[int, int]]:
    return [(item.quantity, item.fulfilled) for item in reservation.items]


async def test_a_part_is_shipped_and_the_rest_stays_confirmed(world: World) -> None:
    async with world.core() as core:
        reservation_id = await confirmed(core, *BASKET)
        world.time.now_s += 60
        first = await shipped(core, ship(reservation_id, "s1", ("a", "w1", 2), ("b", "", 1), reason="first parcel"))
        assert (first.items, first.pieces, first.reservation.state) == (2, 3, "confirmed")
        assert quantities(first.reservation) == [(3, 2), (2, 1), (1, 0)]
        assert (first.reservation.ended_at_ms, first.at_ms) == (0, world.disk.last_at_ms)
        assert await figures(core, "a") == [(6, 2, 0, 0)]
        assert await figures(core, "b") == [(3, 1, 0, 0)]
        last = await shipped(core, ship(reservation_id, "s2"))
        assert (last.items, last.pieces, last.reservation.state) == (3, 3, "fulfilled")
        assert await figures(core, "a") == [(6, 0, 0, 0)]
        again = await shipped(core, ship(reservation_id, "s3"))
        assert (again.items, again.pieces, again.at_ms) == (3, 6, last.reservation.ended_at_ms)
    entry = world.disk.transactions[-3]
    assert (entry.kind, entry.reference, entry.reason) == ("fulfill", "SHIP-1", "first parcel")
    async with world.core() as core:  # the same answers after a restart
        assert await shipped(core, ship(reservation_id, "s2")) == last
        command = ship(reservation_id, "s1", ("a", "w1", 2), ("b", "", 1), reason="first parcel")
        assert await shipped(core, command) == first
        assert await refusal_of(core, ship(reservation_id, "s1")) == RequestIdReused("s1")


async def test_the_rest_is_given_back_where_the_caller_closes(world: World) -> None:
    async with world.core() as core:
        reservation_id = await confirmed(core, *BASKET)
        fact = await shipped(core, ship(reservation_id, "s1", ("a", "w1", 1), close=True))
        assert (fact.pieces, fact.reservation.state) == (1, "fulfilled")
        assert quantities(fact.reservation) == [(3, 1), (2, 0), (1, 0)]
        assert await figures(core, "a") == [(9, 0, 0, 0)]
        assert await figures(core, "b") == [(5, 0, 0, 0)]
        refusal = await refusal_of(core, ship(reservation_id, "s2", ("a", "w1", 1)))
        assert refusal == ReservationWasFulfilled(reservation_id)


async def test_a_release_after_a_shipment_gives_back_the_rest_alone(world: World) -> None:
    async with world.core() as core:
        reservation_id = await confirmed(core, *BASKET)
        await shipped(core, ship(reservation_id, "s1", ("a", "w1", 3), ("b", "w1", 2)))
        fact = await core.ask(Release(ORGANIZATION, reservation_id, "customer left"))
        assert isinstance(fact, ReservationReleased)
        assert [item.unshipped for item in fact.reservation.items] == [0, 0, 1]
        assert await figures(core, "a") == [(7, 0, 0, 0)]
        assert await figures(core, "b") == [(3, 0, 0, 0)]
        refusal = await refusal_of(core, ship(reservation_id, "s2"))
        assert refusal == ReservationWasReleased(reservation_id)


async def test_a_shipment_survives_a_restart_between_its_parts(world: World) -> None:
    async with world.core() as core:
        reservation_id = await confirmed(core, *BASKET)
        await shipped(core, ship(reservation_id, "s1", ("a", "", 4)))
    async with world.core() as core:
        fact = await shipped(core, ship(reservation_id, "s2"))
        assert (fact.items, fact.pieces, fact.reservation.state) == (1, 2, "fulfilled")
        assert await figures(core, "a") == [(6, 0, 0, 0)]


async def test_more_than_is_left_is_refused_with_every_row_that_lacks(world: World) -> None:
    async with world.core() as core:
        reservation_id = await confirmed(core, *BASKET)
        lines = (("b", "", 2), ("a", "w1", 5), ("c", "w1", 1), ("b", "w1", 1), ("a", "w2", 1))
        wrong = (
            RefusedShipment("a", "w1", 5, 4),
            RefusedShipment("c", "w1", 1, 0),
            RefusedShipment("a", "w2", 1, 0),
            RefusedShipment("b", "", 2, 1),
        )
        command = ship(reservation_id, "s1", *lines)
        assert await refusal_of(core, command) == MoreThanReserved(reservation_id, wrong)
        await shipped(core, ship(reservation_id, "s2", ("b", "", 2)))
        assert await refusal_of(core, command) == MoreThanReserved(reservation_id, wrong)  # as it was answered
        refusal = await refusal_of(core, ship(reservation_id, "s3", ("b", "", 1)))
        assert refusal == MoreThanReserved(reservation_id, (RefusedShipment("b", "", 1, 0),))
        assert await figures(core, "a") == [(6, 4, 0, 0)]


async def test_only_a_confirmed_reservation_is_shipped_in_part(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3))
        command = ship(reservation.reservation_id, "s1", ("a", "", 1))
        assert await refusal_of(core, command) == ReservationNotConfirmed(reservation.reservation_id)
        assert await refusal_of(core, ship("unknown", "s2", ("a", "", 1))) == ReservationNotFound("unknown")


def test_a_whole_shipment_has_the_fingerprint_that_it_had_before_there_were_parts() -> None:
    assert fingerprint(Fulfill("shop", "r1", "ship-1", "SHIP-1")) == "21a983c606c97e510d0db8a6bed609c7"
    assert fingerprint(Fulfill("shop", "r1", "ship-1", "")) != fingerprint(Fulfill("shop", "r1", "ship-1", "x"))

"""Another basket for a reservation, as the core sees it: all of it or nothing, and what is kept never leaves it."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from actors.commands import Amend, Confirm, DeliveryLine, Fulfill, Line, Receive, Release, Reserve
from actors.outcomes import (
    InsufficientStock,
    Refused,
    RequestIdReused,
    ReservationAmended,
    ReservationExists,
    ReservationExpired,
    ReservationNotFound,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
    Shortage,
    StockNotFound,
    UnaskedShipment,
)
from actors.records import ReservationRecord
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_goods import figures, refusal_of
from tests.core.test_warehouses import close

pytestmark = pytest.mark.anyio

Basket = Sequence[tuple[str, str, int]]


def amend(reservation: ReservationRecord | str, *lines: tuple[str, str, int], request_id: str = "a1") -> Amend:
    reservation_id = reservation if isinstance(reservation, str) else reservation.reservation_id
    return Amend(ORGANIZATION, reservation_id, tuple(Line(*line) for line in lines), request_id, "customer called")


async def amended(core: Supervisor, command: Amend) -> ReservationRecord:
    fact = await core.ask(command)
    assert isinstance(fact, ReservationAmended)
    return fact.reservation


def items(reservation: ReservationRecord) -> list[tuple[str, str, int]]:
    return [(item.variant_id, item.warehouse_id, item.quantity) for item in reservation.items]


async def test_the_new_basket_is_held_and_the_rest_is_given_back_in_one_entry(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 5, ("c", "w1"): 5})
        reservation = await reserve(core, "o1", ("a", "w1", 4), ("b", "w1", 2))
        command = amend(reservation, ("a", "w1", 6), ("c", "", 1))
        changed = await amended(core, command)
        assert items(changed) == [("a", "w1", 6), ("c", "w1", 1)]
        assert [(item.stock_before, item.stock_after) for item in changed.items] == [(10, 4), (5, 4)]
        assert (changed.reservation_id, changed.expires_at_ms) == (
            reservation.reservation_id,
            reservation.expires_at_ms,
        )
        assert await available(core) == {("a", "w1"): 4, ("b", "w1"): 5, ("c", "w1"): 4}
        assert await amended(core, amend(reservation, ("c", "", 1), ("a", "w1", 6), request_id="a2")) == changed
    entry = world.disk.transactions[-2]
    assert (entry.kind, entry.reason, len(entry.changes)) == ("amend", "customer called", 3)
    async with world.core() as core:
        assert await amended(core, command) == changed
        assert await refusal_of(core, amend(reservation, ("a", "w1", 1))) == RequestIdReused("a1")
        await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, "o1"))
        less = await amended(core, amend(reservation, ("a", "w1", 1), request_id="a3"))
        assert less.state == "confirmed"
        assert await available(core) == {("a", "w1"): 9, ("b", "w1"): 5, ("c", "w1"): 5}


async def test_a_refused_amendment_leaves_it_as_it_was_and_names_what_is_short(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("b", "w1"): 5})
        reservation = await reserve(core, "o1", ("a", "w1", 4), ttl_minutes=10)
        await reserve(core, "o2", ("b", "w1", 3), ttl_minutes=5)
        before = len(world.disk.transactions)
        refusal = await refusal_of(core, amend(reservation, ("a", "w1", 6), ("b", "w1", 3)))
        # Its own four count as free, and its own end would not help it.
        assert refusal == InsufficientStock((Shortage("a", "w1", 6, 5), Shortage("b", "w1", 3, 2)))
        refusal = await refusal_of(core, amend(reservation, ("b", "w1", 3), request_id="a2"))
        assert refusal == InsufficientStock((Shortage("b", "w1", 3, 2),), 5 * 60_000)
        missing = await refusal_of(core, amend(reservation, ("x", "", 1), request_id="a3"))
        assert isinstance(missing, StockNotFound)
        assert [entry.kind for entry in world.disk.transactions[before:]] == ["remember"] * 3
        assert await available(core) == {("a", "w1"): 1, ("b", "w1"): 2}
        await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, "o1"))


async def test_a_line_stays_where_it_is_while_it_can_and_moves_where_it_cannot(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("a", "w2"): 2, ("b", "w2"): 5})
        reservation = await reserve(core, "o1", ("a", "", 2))
        assert items(reservation) == [("a", "w1", 2)]
        together = await amended(core, amend(reservation, ("a", "", 2), ("b", "", 1)))
        assert items(together) == [("a", "w1", 2), ("b", "w2", 1)]  # one parcel from w2 would not keep the first line
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w2", 4),), "d1"))
        moved = await amended(core, amend(reservation, ("a", "", 5), request_id="a2"))
        assert items(moved) == [("a", "w2", 5)]
        assert await available(core) == {("a", "w1"): 3, ("a", "w2"): 1, ("b", "w2"): 5}


async def test_what_is_kept_is_never_free_for_another(world: World) -> None:
    """Many try to take the pieces while the basket changes and is refused, again and again."""
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 2})
        reservation = await reserve(core, "o1", ("a", "w1", 3))
        taken: list[str] = []

        async def rival(number: int) -> None:
            try:
                await reserve(core, f"rival-{number}", ("a", "w1", 2))
            except Refused:
                return
            taken.append(f"rival-{number}")

        async def change(number: int) -> None:
            lines: Basket = (("a", "w1", 3), ("b", "w1", 1 + number % 4))
            try:
                await core.ask(amend(reservation, *lines, request_id=f"a{number}"))
            except Refused:
                return

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(rival, number)
                tasks.start_soon(change, number)
        assert taken == []


async def test_what_was_shipped_belongs_to_the_basket(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 10, ("b", "w1"): 5})
        reservation = await reserve(core, "o1", ("a", "w1", 4), ("b", "", 2))
        name = reservation.reservation_id
        await core.ask(Confirm(ORGANIZATION, name, "o1"))
        await core.ask(Fulfill(ORGANIZATION, name, "s1", "", "", (Line("a", "w1", 3), Line("b", "w1", 1))))
        refusal = await refusal_of(core, amend(reservation, ("a", "w1", 2), ("a", "w2", 5)))
        rows = (UnaskedShipment("a", "w1", 3, 2), UnaskedShipment("b", "w1", 1, 0))
        assert refusal == ShippedAlready(name, rows)
        changed = await amended(core, amend(reservation, ("b", "", 1), ("a", "w1", 5), request_id="a2"))
        assert [(item.quantity, item.fulfilled) for item in changed.items] == [(1, 1), (5, 3)]
        assert await figures(core, "a") == [(5, 2, 0, 0), (10, 0, 0, 0)]
        over = await amended(core, amend(reservation, ("b", "", 1), ("a", "w1", 3), request_id="a3"))
        assert (over.state, over.ended_at_ms > 0) == ("fulfilled", True)
        assert await figures(core, "a") == [(7, 0, 0, 0), (10, 0, 0, 0)]
        refusal = await refusal_of(core, amend(reservation, ("a", "w1", 9), request_id="a4"))
        assert refusal == ReservationWasFulfilled(name)


async def test_the_order_has_the_new_lines_afterwards(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        reservation = await reserve(core, "o1", ("a", "w1", 3))
        changed = await amended(core, amend(reservation, ("a", "w1", 4)))
        assert await reserve(core, "o1", ("a", "w1", 4)) == changed  # a repetition of the new basket finds it
        old = Reserve(ORGANIZATION, "o1", (Line("a", "w1", 3),), 15)
        assert await refusal_of(core, old) == ReservationExists(reservation.reservation_id)


async def test_only_what_holds_goods_is_amended(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        one, two = [await reserve(core, order, ("a", "w1", 1), ttl_minutes=1) for order in ("o1", "o2")]
        await core.ask(Release(ORGANIZATION, one.reservation_id, "left"))
        lines: Any = ("a", "w1", 2)
        assert await refusal_of(core, amend(one, lines, request_id="1")) == ReservationWasReleased(one.reservation_id)
        world.time.now_s += 60
        assert await refusal_of(core, amend(two, lines, request_id="2")) == ReservationExpired(two.reservation_id)
        assert await refusal_of(core, amend("unknown", lines, request_id="3")) == ReservationNotFound("unknown")
        other = Amend("org_2", two.reservation_id, (Line(*lines),), "4")
        assert await refusal_of(core, other) == ReservationNotFound(two.reservation_id)


async def test_a_closed_warehouse_keeps_what_is_held_there_and_gives_no_more(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 4})
        reservation = await reserve(core, "o1", ("a", "", 4))
        assert items(reservation) == [("a", "w1", 4)]
        await core.ask(UpsertWarehouse(ORGANIZATION, "w1", None, None, None, False, "close"))
        less = await amended(core, amend(reservation, ("a", "", 3)))
        assert items(less) == [("a", "w1", 3)]
        refusal = await refusal_of(core, amend(reservation, ("a", "w1", 4), request_id="a2"))
        assert refusal == WarehouseInactive((ClosedRow("a", "w1"),))
        moved = await amended(core, amend(reservation, ("a", "", 4), request_id="a3"))
        assert items(moved) == [("a", "w2", 4)]
        refusal = await refusal_of(core, amend(reservation, ("a", "", 5), request_id="a4"))
        assert refusal == InsufficientStock((Shortage("a", "w2", 5, 4),))


async def test_goods_that_only_a_closed_warehouse_has_are_short_and_not_unknown(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w2"): 4})
        held = await reserve(core, "o1", ("a", "w1", 2))
        await close(core, "w2")
        refused = await refusal_of(core, Amend(ORGANIZATION, held.reservation_id, (Line("b", "", 1),), "m1"))
        assert refused == InsufficientStock((Shortage("b", "", 1, 0),))

"""Goods that come in, are on their way or leave, as the core sees it: all rows or none, once, and durable."""

from contextlib import suppress
from typing import Any

import anyio
import pytest

from actors.bounds import INT32_MAX
from actors.commands import Announce, Command, Deduct, DeliveryLine, Line, Receive
from actors.outcomes import (
    InsufficientStock,
    QuantityTooLarge,
    Refused,
    RequestIdReused,
    Shortage,
    StockAnnounced,
    StockDeducted,
    StockNotFound,
    StockReceived,
    TooLargeRow,
)
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve, rows_of

pytestmark = pytest.mark.anyio


async def refusal_of(core: Supervisor, command: Command) -> Any:
    with pytest.raises(Refused) as refused:
        await core.ask(command)
    return refused.value.refusal


async def figures(core: Supervisor, variant_id: str) -> list[tuple[int, ...]]:
    """Available, reserved, damaged and in transit, by warehouse."""
    records = [view.record for view in await rows_of(core, variant_id)]
    return [(record.available, record.reserved, record.damaged, record.in_transit) for record in records]


async def test_a_delivery_of_many_lines_is_one_entry_of_the_journal(world: World) -> None:
    lines = (
        DeliveryLine("a", "w1", 5),
        DeliveryLine("b", "w2", 3, damaged=2),
        DeliveryLine("a", "w1", 2),
        DeliveryLine("a", "w2", 0, damaged=1),
    )
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        fact = await core.ask(Receive(ORGANIZATION, lines, "d-1", "purchase", "PO-7"))
        assert isinstance(fact, StockReceived)
        assert [(row.record.variant_id, row.record.warehouse_id, row.is_new) for row in fact.rows] == [
            ("a", "w1", False),
            ("b", "w2", True),
            ("a", "w2", True),
        ]
        assert [row.record.total for row in fact.rows] == [17, 5, 1]
        assert not fact.organization_created
        assert await figures(core, "a") == [(17, 0, 0, 0), (0, 0, 1, 0)]
        assert await figures(core, "b") == [(3, 0, 2, 0)]
    entry = world.disk.transactions[-1]
    assert (entry.kind, entry.reason, entry.reference, len(entry.changes)) == ("receive", "purchase", "PO-7", 3)
    async with world.core() as core:
        assert await core.ask(Receive(ORGANIZATION, lines, "d-1", "purchase", "PO-7")) == fact
        other = Receive(ORGANIZATION, lines[:1], "d-1", "purchase", "PO-7")
        assert await refusal_of(core, other) == RequestIdReused("d-1")
        assert await available(core) == {("a", "w1"): 17, ("a", "w2"): 0, ("b", "w2"): 3}


async def test_another_organization_may_use_the_same_request_id_and_gets_rows_of_its_own(world: World) -> None:
    line = (DeliveryLine("a", "w1", 5),)
    async with world.core() as core:
        await core.ask(Receive(ORGANIZATION, line, "d-1"))
        fact = await core.ask(Receive("org_2", line, "d-1"))
        assert isinstance(fact, StockReceived)
        assert (fact.organization_created, fact.rows[0].record.total) == (True, 5)
        assert await refusal_of(core, Deduct("org_3", (Line("a", "w1", 1),), "t-1")) == StockNotFound("a", "w1")
        assert await available(core) == {("a", "w1"): 5}


async def test_announced_goods_are_in_transit_until_they_are_received_and_counted_once(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 12})
        announced = await core.ask(Announce(ORGANIZATION, (Line("a", "w1", 60), Line("a", "w1", 40)), "a-1"))
        assert isinstance(announced, StockAnnounced)
        assert await figures(core, "a") == [(12, 0, 0, 100)]
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 50, 10, from_in_transit=True),), "d-1"))
        assert await figures(core, "a") == [(62, 0, 10, 40)]
        lines = (DeliveryLine("a", "w1", 1), DeliveryLine("a", "w1", 50, from_in_transit=True))
        await core.ask(Receive(ORGANIZATION, lines, "d-2"))  # ten of them had not been announced
        assert await figures(core, "a") == [(113, 0, 10, 0)]


async def test_goods_that_leave_come_from_where_the_planner_says_all_or_nothing(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("a", "w2"): 9, ("b", "w2"): 1})
        lines = (Line("a", "", 4), Line("b", "", 1), Line("a", "w1", 2))
        fact = await core.ask(Deduct(ORGANIZATION, lines, "t-1", "till", "R-1"))
        assert isinstance(fact, StockDeducted)
        assert fact.lines == (Line("a", "w2", 4), Line("b", "w2", 1), Line("a", "w1", 2))
        assert await available(core) == {("a", "w1"): 1, ("a", "w2"): 5, ("b", "w2"): 0}
        assert await core.ask(Deduct(ORGANIZATION, lines, "t-1", "till", "R-1")) == fact
        short = await refusal_of(core, Deduct(ORGANIZATION, (Line("a", "w2", 1), Line("b", "w2", 2)), "t-2"))
        assert isinstance(short, InsufficientStock)
        assert short.shortages == (Shortage("b", "w2", 2, 0),)
        unknown = await refusal_of(core, Deduct(ORGANIZATION, (Line("c", "", 1), Line("d", "w1", 1)), "t-3"))
        assert [missing.variant_id for missing in unknown.missing] == ["c", "d"]
        assert await available(core) == {("a", "w1"): 1, ("a", "w2"): 5, ("b", "w2"): 0}


async def test_what_is_reserved_cannot_be_sold_over_the_counter_and_the_refusal_says_when_it_may_be(
    world: World,
) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3})
        await reserve(core, "o1", ("a", "w1", 2), ttl_minutes=5)
        refusal = await refusal_of(core, Deduct(ORGANIZATION, (Line("a", "w1", 2),), "t-1"))
        assert refusal == InsufficientStock((Shortage("a", "w1", 2, 1),), 5 * 60_000)


async def test_every_row_that_would_be_too_large_is_named_and_nothing_is_changed(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): INT32_MAX - 1, ("b", "w1"): 1})
        lines = (DeliveryLine("a", "w1", 1), DeliveryLine("b", "w1", 5), DeliveryLine("a", "w1", 0, damaged=2))
        refusal = await refusal_of(core, Receive(ORGANIZATION, lines, "d-1"))
        assert refusal == QuantityTooLarge((TooLargeRow("a", "w1", INT32_MAX + 2),))
        both = (Line("a", "w1", 2), Line("b", "w1", INT32_MAX))
        refusal = await refusal_of(core, Announce(ORGANIZATION, both, "a-1"))
        assert [row.total for row in refusal.rows] == [INT32_MAX + 1, INT32_MAX + 1]
        assert await available(core) == {("a", "w1"): INT32_MAX - 1, ("b", "w1"): 1}
        assert await refusal_of(core, Receive(ORGANIZATION, lines, "d-1")) == QuantityTooLarge(
            (TooLargeRow("a", "w1", INT32_MAX + 2),)
        )


async def test_two_tills_never_sell_the_last_piece_twice(world: World) -> None:
    sold = []

    async def sell(number: int) -> None:
        with suppress(Refused):
            sold.append(await core.ask(Deduct(ORGANIZATION, (Line("a", "", 1), Line("b", "", 1)), f"t-{number}")))

    async with world.core() as core:
        await bring(core, {("a", "w1"): 7, ("b", "w1"): 100})
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(sell, number)
        assert len(sold) == 7
        assert await available(core) == {("a", "w1"): 0, ("b", "w1"): 93}


async def test_a_delivery_of_a_thousand_rows_is_atomic_and_answered_again_after_a_restart(world: World) -> None:
    delivery = Receive(ORGANIZATION, tuple(DeliveryLine(f"v{number}", "w1", 1) for number in range(1_000)), "d-1")
    async with world.core() as core:
        fact = await core.ask(delivery)
        assert isinstance(fact, StockReceived)
        assert (len(fact.rows), fact.organization_created) == (1_000, True)
    async with world.core() as core:
        assert await core.ask(delivery) == fact
    assert len(world.disk.transactions) == 1

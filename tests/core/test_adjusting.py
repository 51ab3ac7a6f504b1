"""Rows that are set right: deltas, damage, repairs, write-offs and counts, as the core sees them."""

import anyio
import pytest

from actors.bounds import INT32_MAX
from actors.commands import Adjust, Adjustment, Deduct, Line
from actors.outcomes import (
    AdjustmentsRefused,
    Alternative,
    RefusedAdjustment,
    RequestIdReused,
    StockAdjusted,
    StockNotFound,
)
from tests.core.conftest import ORGANIZATION, World, bring, reserve, rows_of
from tests.core.test_goods import figures, refusal_of

pytestmark = pytest.mark.anyio


def adjust(*lines: Adjustment, request_id: str = "fix-1", organization: str = ORGANIZATION) -> Adjust:
    return Adjust(organization, lines, request_id, "found", "ticket 7")


async def test_each_kind_moves_what_it_says(world: World) -> None:
    steps = {
        Adjustment("a", "w1", "delta", 2): (12, 0, 0, 0),
        Adjustment("a", "w1", "delta", -4): (8, 0, 0, 0),
        Adjustment("a", "w1", "mark_damaged", 3): (5, 0, 3, 0),
        Adjustment("a", "w1", "repair", 1): (6, 0, 2, 0),
        Adjustment("a", "w1", "write_off_damaged", 2): (6, 0, 0, 0),
        Adjustment("a", "w1", "count", 9): (9, 0, 0, 0),
        Adjustment("a", "w1", "count", 7, expected_total=9): (7, 0, 0, 0),
    }
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        for number, (line, quantities) in enumerate(steps.items()):
            fact = await core.ask(adjust(line, request_id=f"fix-{number}"))
            assert isinstance(fact, StockAdjusted)
            record = fact.rows[0].record
            assert (record.available, record.reserved, record.damaged, record.in_transit) == quantities
            assert await figures(core, "a") == [quantities]
    entry = world.disk.transactions[-1]
    assert (entry.kind, entry.reason, entry.reference) == ("adjust", "found", "ticket 7")


async def test_adjustments_are_all_made_or_none_and_made_once(world: World) -> None:
    both = adjust(Adjustment("a", "w1", "delta", -1), Adjustment("b", "w1", "mark_damaged", 2))
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 2})
        wrong = adjust(Adjustment("a", "w1", "delta", -1), Adjustment("b", "w1", "repair", 1), request_id="fix-0")
        [b] = await rows_of(core, "b")
        refusal = AdjustmentsRefused((RefusedAdjustment("insufficient", b.record, 1),))
        assert await refusal_of(core, wrong) == refusal
        fact = await core.ask(both)
        assert (await figures(core, "a"), await figures(core, "b")) == ([(9, 0, 0, 0)], [(0, 0, 2, 0)])
    async with world.core() as core:
        assert await core.ask(both) == fact
        assert await refusal_of(core, wrong) == refusal
        assert await refusal_of(core, adjust(both.lines[0])) == RequestIdReused("fix-1")
        assert await figures(core, "a") == [(9, 0, 0, 0)]


async def test_a_count_that_was_taken_before_a_sale_does_not_bring_the_sold_pieces_back(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        await core.ask(Deduct(ORGANIZATION, (Line("a", "w1", 2),), "t-1"))
        [sold] = await rows_of(core, "a")
        stale = adjust(Adjustment("a", "w1", "count", 10, expected_total=10))
        assert await refusal_of(core, stale) == AdjustmentsRefused((RefusedAdjustment("stale", sold.record, 10),))
        assert await figures(core, "a") == [(8, 0, 0, 0)]


async def test_every_row_that_is_wrong_is_named(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("b", "w1"): 3, ("c", "w1"): INT32_MAX, ("c", "w2"): 1})
        await reserve(core, "o1", ("a", "w1", 4))
        lines = (
            Adjustment("a", "w1", "count", 3),
            Adjustment("b", "w1", "delta", -4),
            Adjustment("c", "w1", "delta", 1),
            Adjustment("c", "w2", "delta", 1),
        )
        refusal = await refusal_of(core, adjust(*lines))
        assert [(row.variant_id, row.cause) for row in refusal.rows] == [
            ("a", "below_reserved"),
            ("b", "insufficient"),
            ("c", "too_large"),
        ]
        unknown = (Adjustment("b", "w9", "delta", 1), lines[3], Adjustment("d", "w1", "count", 1))
        missing = await refusal_of(core, adjust(*unknown, request_id="fix-2"))
        assert isinstance(missing, StockNotFound)
        assert [(row.variant_id, row.alternatives) for row in missing.missing] == [
            ("b", (Alternative("w1", 3),)),
            ("d", ()),
        ]
        other = adjust(lines[3], organization="org_2")
        assert await refusal_of(core, other) == StockNotFound("c", "w2")


async def test_a_count_and_sales_at_once_end_where_one_order_of_them_does(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(core.ask, Deduct(ORGANIZATION, (Line("a", "", 1),), f"t-{number}"))
            tasks.start_soon(core.ask, adjust(Adjustment("a", "w1", "count", 8)))
        [row] = await rows_of(core, "a")
        entries = [entry for entry in world.disk.transactions if entry.kind == "adjust"]
        assert entries[0].changes[0].after.total == 8
        after = [entry for entry in world.disk.transactions if entry.kind == "deduct" and entry.lsn > entries[0].lsn]
        assert row.record.total == 8 - len(after)

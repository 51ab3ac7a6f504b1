"""Levels of rows as the core sees them: set, kept, given to new rows, and searched by."""

from typing import Any

import anyio
import pytest

from actors.commands import Announce, CountedLine, Deduct, Delete, DeliveryLine, Import, Line, Receive
from actors.outcomes import Alternative, MissingStock, RequestIdReused, StockNotFound
from actors.queries import FindStock, ListStock
from actors.row_changes import Levels
from actors.views import StockPage
from actors.warehouse_commands import LevelsLine, SetLevels
from actors.warehouse_outcomes import DisagreeingLevels, LevelsDisagree, LevelsSet
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, reserve, rows_of
from tests.core.test_goods import refusal_of

pytestmark = pytest.mark.anyio

DEFAULTS = Limits(heartbeat_s=0.005, levels=Levels(2, 9, 5))


def levels(*lines: LevelsLine, request_id: str = "l-1", organization: str = ORGANIZATION) -> SetLevels:
    return SetLevels(organization, lines, request_id, "season", "memo 7")


async def levels_of(core: Supervisor, variant_id: str) -> list[tuple[int, int, int]]:
    records = [view.record for view in await rows_of(core, variant_id)]
    return [(record.min_stock, record.max_stock, record.reorder_point) for record in records]


async def found(core: Supervisor, **query: Any) -> StockPage:
    return await core.answer(FindStock(ORGANIZATION, **query)).wait()


def keys(page: StockPage) -> list[tuple[str, str]]:
    return [view.record.key[1:] for view in page.stock]


async def test_what_is_given_is_set_and_the_rest_and_all_pieces_stay(world: World) -> None:
    both = levels(LevelsLine("a", "w1", 3, None, 8), LevelsLine("b", "w1", None, 20, None))
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 5})
        fact = await core.ask(both)
        assert isinstance(fact, LevelsSet)
        assert [view.record.total for view in fact.rows] == [10, 5]
        assert (await levels_of(core, "a"), await levels_of(core, "b")) == ([(3, 0, 8)], [(0, 20, 0)])
        entry = world.disk.transactions[-1]
        assert (entry.kind, entry.reason, entry.reference, len(entry.changes)) == ("levels", "season", "memo 7", 2)
        await core.ask(levels(LevelsLine("a", "w1", 3, 0, 9), LevelsLine("b", "w1", None, 20, 0), request_id="l-2"))
        assert len(world.disk.transactions[-1].changes) == 1  # the other row has its levels already
        await core.ask(levels(LevelsLine("a", "w1", 3, None, None), request_id="l-3"))
        assert world.disk.transactions[-1].kind == "remember"
        await core.ask(Deduct(ORGANIZATION, (Line("a", "w1", 1),), "t-1"))
    async with world.core() as core:
        assert await levels_of(core, "a") == [(3, 0, 9)]
        assert await core.ask(both) == fact
        assert await refusal_of(core, levels(both.lines[0])) == RequestIdReused("l-1")


async def test_all_or_none_and_all_that_is_wrong_is_named(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 1, ("b", "w1"): 1})
        await core.ask(levels(LevelsLine("a", "w1", 3, None, None), LevelsLine("b", "w1", None, 2, None)))
        wrong = (LevelsLine("a", "w1", None, 2, None), LevelsLine("b", "w1", 4, None, None))
        disagree = LevelsDisagree((DisagreeingLevels("a", "w1", 3, 2), DisagreeingLevels("b", "w1", 4, 2)))
        assert await refusal_of(core, levels(*wrong, request_id="l-2")) == disagree
        unknown = (wrong[0], LevelsLine("a", "w9", 1, 1, 1), LevelsLine("c", "w1", 1, 1, 1))
        missing = StockNotFound("a", "w9", (Alternative("w1", 1),), (MissingStock("c", "w1"),))
        assert await refusal_of(core, levels(*unknown, request_id="l-3")) == missing
        other = levels(wrong[0], organization="org_2")
        assert await refusal_of(core, other) == StockNotFound("a", "w1")
        assert await levels_of(core, "a") == [(3, 0, 0)]


async def test_rows_made_without_levels_take_the_configured_ones_however_they_are_made(world: World) -> None:
    async with world.core(limits=DEFAULTS) as core:
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1),), "d-1"))
        await core.ask(Announce(ORGANIZATION, (Line("a", "w2", 1),), "a-1"))
        lines = (
            CountedLine(ORGANIZATION, "a", "w3", "", 1, None, None, None, None, 1),
            CountedLine(ORGANIZATION, "a", "w4", "", 1, None, None, 0, 4, 2),
        )
        await core.ask(Import(lines, "i-1"))
        assert await levels_of(core, "a") == [(2, 9, 5), (2, 9, 5), (2, 9, 5), (0, 4, 5)]
        await core.ask(Deduct(ORGANIZATION, (Line("a", "w4", 1),), "t-1"))
        await core.ask(Delete(ORGANIZATION, "a", "w4", "x-1"))
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w4", 1),), "d-2"))
        assert (await levels_of(core, "a"))[3] == (2, 9, 5)
    async with world.core() as core:  # without them
        assert (await levels_of(core, "a"))[0] == (2, 9, 5)
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("b", "w1", 1),), "d-3"))
        assert await levels_of(core, "b") == [(0, 0, 0)]


async def test_levels_and_orders_at_once_lose_nothing(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 10})
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(reserve, core, f"o{number}", ("a", "w1", 1), ("b", "w1", 1))
            tasks.start_soon(core.ask, levels(LevelsLine("a", "w1", 3, 30, 8), LevelsLine("b", "w1", 1, None, None)))
        [row] = await rows_of(core, "a")
        record = row.record
        assert (record.available, record.reserved) == (5, 5)
        assert (record.min_stock, record.max_stock, record.reorder_point) == (3, 30, 8)


async def test_rows_are_found_by_what_their_figures_say(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 0, ("a", "w2"): 2, ("ab", "w1"): 3, ("ab", "w2"): 9, ("b", "w1"): 9})
        lines = [LevelsLine(variant, warehouse, 2, None, 5) for variant in ("a", "ab") for warehouse in ("w1", "w2")]
        await core.ask(levels(*lines))
        assert keys(await found(core, status="out_of_stock")) == [("a", "w1")]
        assert keys(await found(core, status="low_stock")) == [("a", "w2")]
        assert keys(await found(core, status="in_stock")) == [("ab", "w1"), ("ab", "w2"), ("b", "w1")]
        assert keys(await found(core, alert_level="critical")) == [("a", "w1"), ("a", "w2")]
        assert keys(await found(core, alert_level="warning")) == [("ab", "w1")]
        assert keys(await found(core, status="in_stock", alert_level="critical")) == []
        assert keys(await found(core, status="in_stock", warehouse_id="w2")) == [("ab", "w2")]
        assert keys(await found(core, status="in_stock", variant_prefix="ab")) == [("ab", "w1"), ("ab", "w2")]
        listed = await core.answer(ListStock(ORGANIZATION, variant_prefix="a")).wait()
        assert keys(listed) == [("a", "w1"), ("a", "w2"), ("ab", "w1"), ("ab", "w2")]
        pages, after = [], None
        while True:
            page = await found(core, status="in_stock", after=after, looks_max=2)
            pages.append(keys(page))
            after = page.next_key
            if after is None:
                break
        assert pages == [[], [("ab", "w1"), ("ab", "w2")], [("b", "w1")]]

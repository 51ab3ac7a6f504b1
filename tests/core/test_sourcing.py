"""Which warehouses serve a basket: the policy that an organization sets."""

from typing import Any

import anyio
import pytest

from actors.commands import Deduct, Line, Reserve
from actors.outcomes import RequestIdReused
from actors.packing import Search
from actors.planner import place
from actors.queries import ExplainBasket, GetSourcing, ReadChanges
from actors.sourcing import Sourcing, SourcingPolicy, SourcingRecord
from actors.sourcing_policies import COVERS_MAX, in_fewest_parcels
from actors.turn import OTHERS_FIRST
from actors.views import SourcingFound
from actors.warehouse_commands import SetSourcing
from actors.warehouse_outcomes import SourcingSet
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, check, reserve
from tests.core.test_goods import refusal_of
from tests.core.test_warehouses import upsert

pytestmark = pytest.mark.anyio

BASKET = (Line("a", "", 1), Line("b", "", 1), Line("c", "", 1))


def policy(name: SourcingPolicy, request_id: str = "s-1", organization: str = ORGANIZATION) -> SetSourcing:
    return SetSourcing(organization, name, request_id, "why", "memo")


def served(policy: SourcingPolicy, lines: Any, free: Any, **priorities: int) -> list[str]:
    placements = place(lines, free, Sourcing(frozenset(), policy, priorities))
    return [one.warehouse_id if one.fits else "" for one in placements]


async def current(core: Supervisor, organization: str = ORGANIZATION) -> str:
    return (await core.answer(GetSourcing(organization)).wait()).policy


async def test_the_policy_is_set_kept_and_told_to_its_organization_alone(world: World) -> None:
    async with world.core() as core:
        assert await current(core) == "most_stock"
        assert await core.ask(policy("priority")) == SourcingSet("priority")
        entry = world.disk.transactions[-1]
        assert (entry.kind, entry.reason, entry.reference) == ("sourcing", "why", "memo")
        assert entry.sourcing == SourcingRecord(ORGANIZATION, "priority")
        assert await core.ask(policy("priority", "s-2")) == SourcingSet("priority")
        assert world.disk.transactions[-1].kind == "remember"
    async with world.core() as core:
        assert await core.ask(policy("priority")) == SourcingSet("priority")
        assert await refusal_of(core, policy("most_stock")) == RequestIdReused("s-1")
        assert [await current(core), await current(core, "org_2")] == ["priority", "most_stock"]
        page = await core.answer(ReadChanges(ORGANIZATION, after=None)).wait()
        first = await core.answer(ReadChanges(ORGANIZATION, after=page.upto._replace(lsn=0))).wait()
        assert [(one.kind, one.sourcing) for one in first.changes] == [("sourcing", "priority")]


def test_by_priority_each_line_comes_from_the_first_that_has_enough() -> None:
    free = {"a": {"w1": 9, "w2": 2}, "b": {"w1": 9}}
    both = [Line("a", "", 2), Line("b", "", 1)]
    assert served("priority", both, free, w2=5) == ["w2", "w1"]
    assert served("priority", [Line("a", "", 3)], free, w2=5) == ["w1"]
    assert served("priority", both, free, w1=5, w2=5) == ["w1", "w1"]  # among equals, one that serves all
    assert served("priority", [Line("a", "", 1)], {"a": {"w1": 3, "w2": 3, "w0": 1}}, w0=0) == ["w1"]
    assert served("priority", [Line("a", "w2", 2), Line("a", "", 1)], free, w2=5) == ["w2", "w1"]
    packed = [Line("a", "", 2), Line("a", "", 2), Line("a", "", 3)]
    assert served("priority", packed, {"a": {"w1": 4, "w2": 3}}, w1=1) == ["w1", "w1", "w2"]
    assert served("priority", [Line("a", "", 10), Line("b", "", 1)], free, w2=5) == ["", "w1"]


def test_fewest_parcels_are_fewer_than_the_usual_ones_and_count_those_that_are_sent_anyway() -> None:
    free = {"a": {"w1": 9, "w2": 1}, "b": {"w2": 1, "w3": 9}, "c": {"w3": 1, "w4": 9}}
    assert served("most_stock", BASKET, free) == ["w1", "w3", "w4"]
    assert served("fewest_parcels", BASKET, free) == ["w1", "w3", "w3"]
    named = (Line("x", "w2", 1), Line("a", "", 1), Line("b", "", 1))
    assert served("fewest_parcels", named, {"x": {"w2": 1}, **free}) == ["w2", "w2", "w2"]
    assert served("fewest_parcels", (Line("a", "", 99), Line("b", "", 1)), free) == ["", "w3"]


def test_a_search_for_fewest_parcels_is_bounded_and_lets_others_have_their_turn() -> None:
    left = {f"v{n}": {f"w{n}-{m}": 2 for m in range(40)} for n in range(4)}
    usual = {n: f"w{n}-0" for n in range(4)}
    search = Search()
    turn = in_fewest_parcels({f"v{n}": [(1, n)] for n in range(4)}, left, usual, frozenset(), search)
    needs = []
    try:
        while True:
            needs.append(next(turn))
    except StopIteration as end:
        assert end.value == usual
    assert (set(needs), search.has_waited, len(needs)) == ({OTHERS_FIRST}, True, COVERS_MAX // 25)


async def test_whatever_takes_goods_asks_the_policy_and_a_check_says_the_same(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9, ("a", "w2"): 5})
        await core.ask(upsert("w2", priority=1))
        await core.ask(policy("priority"))
        found = await check(core, Line("a", "", 2))
        assert [line.warehouse_id for line in found.lines] == ["w2"]
        explained = await core.answer(ExplainBasket(ORGANIZATION, (Line("a", "", 2),))).wait()
        assert [(line.warehouse_id, line.why) for line in explained.lines] == [("w2", "goes_first")]
        assert (await reserve(core, "o1", ("a", "", 2))).items[0].warehouse_id == "w2"
        sold = await core.ask(Deduct(ORGANIZATION, (Line("a", "", 1),), "till"))
        assert sold.lines == (Line("a", "w2", 1),)  # type: ignore[union-attr]
        await core.ask(upsert("w1", "u-2", priority=7))
        assert (await reserve(core, "o2", ("a", "", 2))).items[0].warehouse_id == "w1"
    async with world.core() as core:
        assert (await reserve(core, "o3", ("a", "", 2))).items[0].warehouse_id == "w1"
        assert await core.answer(GetSourcing(ORGANIZATION)).wait() == SourcingFound("priority")


async def test_reservations_and_a_new_policy_at_once_end_where_one_order_of_them_does(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 50, ("a", "w2"): 10})
        await core.ask(upsert("w2", priority=1))
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(core.ask, Reserve(ORGANIZATION, f"o{number}", (Line("a", "", 1),), 15))
            tasks.start_soon(core.ask, policy("priority"))
        entries = world.disk.transactions
        [set_lsn] = [entry.lsn for entry in entries if entry.kind == "sourcing"]
        for entry in entries:
            if entry.kind == "reserve":
                assert entry.changes[0].after.warehouse_id == ("w1" if entry.lsn < set_lsn else "w2")

"""Baskets that say from where their goods may come: split, served in part, and known again."""

from collections.abc import Mapping
from random import Random
from typing import Any, get_args

import anyio
import anyio.lowlevel
import pytest

from actors.actor import InlineDispatcher
from actors.basket_commands import ReserveBasket, Short, Wish, asked_of
from actors.basket_plan import plan_basket
from actors.bounds import LINES_MAX
from actors.commands import Amend, Confirm, DeliveryLine, Line, Reacquire, Receive, Release, Reserve
from actors.outcomes import (
    Alternative,
    BasketReserved,
    InsufficientStock,
    RequestIdReused,
    ReservationExists,
    Shortage,
    StockNotFound,
    StockReserved,
)
from actors.packing import Search
from actors.records import Delta, StockRecord, VariantKey
from actors.serving import serving
from actors.sourcing import USUAL, Sourcing, SourcingPolicy
from actors.stock_actor import StockActor
from actors.stock_state import StockState, Verdict
from actors.turn import Turn
from actors.variant_stock import VariantStock
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from simulation.audit.expected_basket import expect
from simulation.audit.sites import Sites
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_goods import figures, refusal_of
from tests.core.test_warehouses import close

pytestmark = pytest.mark.anyio

Given = tuple[str, str, int]  # variant, warehouses with commas, quantity


def basket(order: str, *wishes: Given, request_id: str = "", **options: Any) -> ReserveBasket:
    asked = tuple(Wish(variant, tuple(one for one in places.split(",") if one), n) for variant, places, n in wishes)
    told: dict[str, Any] = {"allow_split": False, "allow_partial": False, "reason": "why", "reference": "memo"}
    return ReserveBasket(ORGANIZATION, order, asked, 15, request_id=request_id or f"key-{order}", **told | options)


async def take(core: Supervisor, order: str, *wishes: Given, **options: Any) -> BasketReserved:
    fact = await core.ask(basket(order, *wishes, **options))
    assert isinstance(fact, BasketReserved)
    return fact


def places(fact: BasketReserved) -> list[tuple[str, str, int]]:
    return [(item.variant_id, item.warehouse_id, item.quantity) for item in fact.reservation.items]


def parts_of(command: ReserveBasket, free: Mapping[str, Mapping[str, int]], sourcing: Sourcing = USUAL) -> Any:
    return value_of(serving(command, free, sourcing, Search()))


def value_of(turn: Turn[Any]) -> Any:
    try:
        while True:
            next(turn)
    except StopIteration as end:
        return end.value


async def test_a_list_is_tried_in_its_order_and_nothing_else_is(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9, ("a", "w2"): 3, ("a", "w3"): 5})
        assert places(await take(core, "o1", ("a", "w2,w3", 3))) == [("a", "w2", 3)]
        assert places(await take(core, "o2", ("a", "w2,w3", 3))) == [("a", "w3", 3)]
        short = InsufficientStock((Shortage("a", "w3", 3, 2, (Alternative("w1", 9),)),))
        refused = await refusal_of(core, basket("o3", ("a", "w2,w3", 3)))
        assert isinstance(refused, InsufficientStock)
        assert refused.shortages == short.shortages
        entry = world.disk.transactions[-2]
        assert (entry.kind, entry.reason, entry.reference) == ("reserve", "why", "memo")
        missing = StockNotFound("a", "w8", (Alternative("w1", 9), Alternative("w3", 2)))
        assert await refusal_of(core, basket("o4", ("a", "w8,w9", 1))) == missing
        await close(core, "w2")
        inactive = WarehouseInactive((ClosedRow("a", "w2"),))
        assert await refusal_of(core, basket("o5", ("a", "w2,w1", 1))) == inactive


async def test_a_wish_is_split_only_where_it_must_be_and_may_be(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3, ("b", "w1"): 1})
        assert isinstance(await refusal_of(core, basket("o0", ("a", "", 5))), InsufficientStock)
        whole = await take(core, "o1", ("a", "", 4), allow_split=True)
        assert places(whole) == [("a", "w1", 4)]
        await core.ask(Release(ORGANIZATION, whole.reservation.reservation_id, ""))
        split = await take(core, "o2", ("a", "w2,w1", 5), ("b", "", 1), allow_split=True)
        assert places(split) == [("a", "w2", 3), ("a", "w1", 2), ("b", "w1", 1)]
        assert await figures(core, "a") == [(2, 2, 0, 0), (0, 3, 0, 0)]
        refused = await refusal_of(core, basket("o3", ("a", "", 3), allow_split=True))
        assert isinstance(refused, InsufficientStock)
        assert refused.shortages == (Shortage("a", "", 3, 2, (Alternative("w1", 2),)),)


async def test_a_basket_may_be_content_with_less_but_not_with_nothing(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3, ("b", "w1"): 0})
        fact = await take(core, "o1", ("a", "", 5), ("b", "", 1), allow_partial=True)
        assert (places(fact), fact.short) == ([("a", "w1", 4)], (Short("a", 5, 4), Short("b", 1, 0)))
        unknown = await refusal_of(core, basket("o4", ("a", "", 1), ("x", "", 1), allow_partial=True))
        assert isinstance(unknown, StockNotFound)  # though there is some of the other
        rest = await take(core, "o2", ("a", "w1,w2", 5), allow_partial=True, allow_split=True)
        assert (places(rest), rest.short) == ([("a", "w2", 3)], (Short("a", 5, 3),))
        assert isinstance(await refusal_of(core, basket("o3", ("a", "", 1), allow_partial=True)), InsufficientStock)


async def test_a_retry_gets_the_same_answer_by_its_key_and_by_its_order_also_after_a_restart(world: World) -> None:
    wish = ("a", "w2,w1", 9)
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3})
        fact = await take(core, "o1", wish, allow_split=True, allow_partial=True)
        assert fact.short == (Short("a", 9, 7),)
    async with world.core() as core:
        for key in ("", "another"):
            assert await take(core, "o1", wish, request_id=key, allow_split=True, allow_partial=True) == fact
        reused = basket("o1", ("a", "", 1), request_id="key-o1")
        assert await refusal_of(core, reused) == RequestIdReused("key-o1")
        exists = ReservationExists(fact.reservation.reservation_id)
        for other in (
            basket("o1", wish, request_id="x1", allow_split=True),
            basket("o1", ("a", "w1,w2", 9), request_id="x2", allow_split=True, allow_partial=True),
            Reserve(ORGANIZATION, "o1", (Line("a", "w2", 3), Line("a", "w1", 4)), 15),
        ):
            assert await refusal_of(core, other) == exists
        await core.ask(Confirm(ORGANIZATION, fact.reservation.reservation_id, "o1"))
        again = await take(core, "o1", wish, request_id="late", allow_split=True, allow_partial=True)
        assert (again.reservation.state, again.short) == ("confirmed", fact.short)
        lines = (Line("a", "w2", 3), Line("a", "w1", 4))
        await core.ask(Amend(ORGANIZATION, fact.reservation.reservation_id, lines, "amend"))
        kept = await core.ask(Reserve(ORGANIZATION, "o1", lines, 15))  # from here on its items say it all
        assert isinstance(kept, StockReserved)
        assert (kept.reservation.asked, kept.reservation.reservation_id) == ("", fact.reservation.reservation_id)


async def test_a_plain_basket_is_the_one_that_reserve_stock_makes(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 4})
        made = await reserve(core, "o1", ("a", "w1", 2), ("b", "", 1))
        assert (await take(core, "o1", ("b", "", 1), ("a", "w1", 2))).reservation == made
        fact = await take(core, "o2", ("a", "w1", 2))
        assert await core.ask(Reserve(ORGANIZATION, "o2", (Line("a", "w1", 2),), 15)) == StockReserved(fact.reservation)


async def test_what_expired_is_taken_again_only_from_where_it_may_come(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3, ("a", "w3"): 9})
        fact = await take(core, "o1", ("a", "w1,w2", 6), allow_split=True)
        reservation_id = fact.reservation.reservation_id
        world.time.now_s += 16 * 60
        assert (await core.ask(Release(ORGANIZATION, reservation_id, ""))).reservation.state == "expired"  # type: ignore[union-attr]
        await reserve(core, "o2", ("a", "w2", 2))
        refused = await refusal_of(core, Reacquire(ORGANIZATION, reservation_id, 15, "again"))
        assert isinstance(refused, InsufficientStock)  # though w3 has enough, which its caller does not want
        assert [(short.warehouse_id, short.requested) for short in refused.shortages] == [("w2", 2)]


async def test_what_comes_while_a_basket_waits_for_a_rival_is_not_found_short(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 2, ("a", "w2"): 1})
        assert core._core is not None
        [variant] = core._core.stock._directory.activations()
        rival = variant.rows["w1"]
        assert rival.prepare(99, Delta(-2)) is Verdict.GRANTED
        facts: list[BasketReserved] = []

        async def buy() -> None:
            facts.append(await take(core, "o1", ("a", "", 5), allow_split=True, allow_partial=True))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(buy)
            while len(rival._waiting) == 0:
                await anyio.lowlevel.checkpoint()
            await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w2", 9),), "more"))
            rival.abort(99)
        assert (facts[0].short, facts[0].reservation.quantity) == ((), 5)


async def test_many_partial_baskets_at_once_share_what_there_is(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3})
        facts: list[Any] = []

        async def one(number: int) -> None:
            try:
                facts.append(await take(core, f"o{number}", ("a", "", 3), allow_split=True, allow_partial=True))
            except Exception as refused:  # noqa: BLE001 - those that come too late
                facts.append(refused)

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(one, number)
        taken = [fact.reservation.quantity for fact in facts if isinstance(fact, BasketReserved)]
        assert sorted(taken) == [1, 3, 3]


def row(variant: VariantStock, warehouse_id: str, available: int, version: int = 1) -> StockActor:
    record = StockRecord(ORGANIZATION, "a", warehouse_id, "s", available, version=version)
    state = StockState(record, variant.moves)
    return StockActor(state, InlineDispatcher(lambda *_: None), lambda *_: None, 10)


@pytest.mark.parametrize(
    ("warehouse_id", "granted", "is_decided", "is_true"),
    [
        ("w1", 0, False, True),
        ("w1", 1, False, True),
        ("w1", 1, True, False),
        ("w2", 0, False, True),
        ("w2", 5, True, False),
    ],
    ids=["nothing", "a row is held", "a row changed", "a row is asked for that is not made", "a row was made"],
)
def test_what_was_found_short_is_looked_at_again_where_there_may_be_more(
    warehouse_id: str, granted: int, is_decided: bool, is_true: bool
) -> None:
    variant = VariantStock(VariantKey(ORGANIZATION, "a"))
    variant.rows["w1"] = row(variant, "w1", 2)
    planned = value_of(
        plan_basket(basket("o", ("a", "", 3), allow_split=True, allow_partial=True), {"a": variant}, USUAL)
    )
    its = variant.rows.setdefault(warehouse_id, row(variant, warehouse_id, 0, 0))
    if granted:
        assert its.state.prepare(1, Delta(granted)) is Verdict.GRANTED
    if is_decided:
        its.commit(1)
    assert planned.is_true_still is is_true


def test_the_policy_says_which_warehouses_a_split_asks_first() -> None:
    free = {"a": {"w1": 4, "w2": 3, "w3": 1}, "b": {"w3": 1}}
    split: dict[str, Any] = {"allow_split": True}
    wanted = basket("o", ("b", "", 1), ("a", "", 5), **split)
    assert [tuple(part[1:]) for part in parts_of(wanted, free).parts] == [("w3", 1), ("w1", 4), ("w2", 1)]
    fewest = parts_of(wanted, free, Sourcing(frozenset(), "fewest_parcels"))
    assert [tuple(part[1:]) for part in fewest.parts] == [("w3", 1), ("w3", 1), ("w1", 4)]
    first = parts_of(wanted, free, Sourcing(frozenset(), "priority", {"w2": 5}))
    assert [tuple(part[1:]) for part in first.parts] == [("w3", 1), ("w2", 3), ("w1", 2)]


def test_a_search_among_lists_is_bounded_and_a_split_has_no_more_parts_than_a_basket_has_lines() -> None:
    wide = tuple(("a", ",".join(f"w{n}" for n in range(20)), 2) for _ in range(20))
    free = {"a": {f"w{n}": 2 for n in range(19)} | {"w19": 1}}
    assert not parts_of(basket("o", *wide), free).fits
    many = {"a": {f"w{n}": 1 for n in range(LINES_MAX + 9)}}
    cut = parts_of(basket("o", ("a", "", LINES_MAX + 5), allow_split=True), many)
    assert (len(cut.parts), cut.short) == (LINES_MAX, {"a": (LINES_MAX + 5, LINES_MAX)})


def test_what_was_asked_for_is_told_apart_in_whatever_sequence() -> None:
    one, other = ("a", "w1,w2", 1), ("b", "", 2)
    first = asked_of(basket("o", one, other, allow_split=True))
    assert asked_of(basket("o2", other, one, allow_split=True)) == first != ""
    assert asked_of(basket("o", one, other)) not in ("", first)
    assert asked_of(basket("o", ("a", "w2,w1", 1), other, allow_split=True)) != first
    assert asked_of(basket("o", ("a", "w1", 1), other)) == ""


def test_every_basket_gets_what_the_second_rule_says() -> None:
    random = Random(1)
    for _ in range(3_000):
        warehouses = [f"w{number}" for number in range(random.randint(1, 4))]
        free = {v: {w: random.randint(0, 4) for w in warehouses if random.random() < 0.8} for v in ("a", "b")}
        wishes = tuple(
            (
                random.choice("aab"),
                ",".join(random.sample(warehouses, random.randint(0, len(warehouses)))),
                random.randint(1, 4),
            )
            for _ in range(random.randint(1, 4))
        )
        options: dict[str, Any] = {name: random.random() < 0.5 for name in ("allow_split", "allow_partial")}
        command = basket("o", *wishes, **options)
        ranks = {one: random.choice((0, 1, 5)) for one in warehouses}
        name = random.choice(get_args(SourcingPolicy))
        sourcing = Sourcing(frozenset(), name, ranks if name == "priority" else {})
        found = parts_of(command, free, sourcing)
        wanted = expect(command, free, Sites(frozenset(), sourcing.policy, sourcing.priorities))
        got = dict.fromkeys([wish.variant_id for wish in command.wishes], 0)
        taken: dict[tuple[str, str], int] = {}
        for part in found.parts:
            wish = command.wishes[part.place]
            got[wish.variant_id] += part.quantity
            row = (wish.variant_id, part.warehouse_id)
            taken[row] = taken.get(row, 0) + part.quantity
            assert not wish.warehouse_ids or part.warehouse_id in wish.warehouse_ids
        assert all(pieces <= free[variant][place] for (variant, place), pieces in taken.items())
        assert got == wanted.there, (command, free)

"""A basket of 1,000 lines beside very many warehouses: nothing that is said of it holds the event loop.

No test here says so by itself: every test fails that holds the event loop for 50 ms (`tests/conftest.py`).
"""

import contextlib
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.basket_commands import ReserveBasket, Wish
from actors.bounds import LINES_MAX
from actors.commands import Adjust, Adjustment, Command, Line, Reserve
from actors.elsewhere import Elsewhere
from actors.maxima import Maxima
from actors.outcomes import Alternative, Refused
from actors.packing import RankedSpace
from actors.queries import CheckBasket, ExplainBasket
from actors.sourcing import SourcingPolicy
from actors.warehouse_commands import LevelsLine, SetLevels, SetSourcing, UpsertWarehouse
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring

pytestmark = pytest.mark.anyio

NUMBERS = range(LINES_MAX)
WAREHOUSES = [f"w{number:04}" for number in range(1_000)]
Asked = Callable[[int], str]
PLACES: dict[str, Asked] = {
    "anywhere": lambda number: "",
    "in a warehouse": lambda number: WAREHOUSES[number],
    "in an unknown one": lambda number: f"x{number}",
}
SHARED, OWN = "v", "v{}"


def variants(kind: str) -> list[str]:
    return [kind.format(number) for number in NUMBERS]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what is done in a step is the same on trio


@pytest.fixture(params=[SHARED, OWN], ids=["of one variant", "of a thousand"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def stock_of(core: Supervisor, kind: str) -> None:
    """2 pieces of each, in 1,000 warehouses or, where there are 1,000 variants, in 50; in the last there are more."""
    there = WAREHOUSES if kind == SHARED else WAREHOUSES[:50]
    for variant in dict.fromkeys(variants(kind)):
        await bring(core, {(variant, place): 2 if place != there[-1] else 5_000 for place in there}, f"of {variant}")


async def set_policy(core: Supervisor, policy: SourcingPolicy) -> None:
    if policy == "priority":
        for number, place in enumerate(WAREHOUSES):
            await core.ask(UpsertWarehouse(ORGANIZATION, place, "", "", -number, True, f"of {place}"))
    await core.ask(SetSourcing(ORGANIZATION, policy, "policy"))


async def ends(core: Supervisor, command: Command) -> None:
    with contextlib.suppress(Refused):
        await core.submit(command).wait()


@pytest.mark.parametrize("policy", ["most_stock", "priority", "fewest_parcels"])
@pytest.mark.parametrize("place", PLACES)
async def test_what_becomes_of_a_large_basket_is_soon_said(
    world: World, kind: str, policy: SourcingPolicy, place: str
) -> None:
    where = PLACES[place]
    async with world.core() as core:
        await stock_of(core, kind)
        await set_policy(core, policy)
        for quantity in (1, 3, 9):
            lines = tuple(Line(variant, where(number), quantity) for number, variant in enumerate(variants(kind)))
            await core.answer(CheckBasket(ORGANIZATION, lines)).wait()
            for order, split in (("", False), ("", True), ("o1", False), ("o1", True)):
                await core.answer(ExplainBasket(ORGANIZATION, lines, order, split)).wait()
            await ends(core, Reserve(ORGANIZATION, f"o{quantity}", lines, 15))
            for number, (split, partial) in enumerate([(False, False), (True, False), (False, True), (True, True)]):
                wishes = tuple(Wish(line.variant_id, _listed(line), line.quantity) for line in lines)
                order = f"b{quantity}-{number}"
                await ends(core, ReserveBasket(ORGANIZATION, order, wishes, 15, split, partial, f"of {order}"))


def _listed(line: Line) -> tuple[str, ...]:
    return (line.warehouse_id,) if line.warehouse_id else ()


async def test_wishes_that_list_warehouses_are_soon_served(world: World, kind: str) -> None:
    async with world.core() as core:
        await stock_of(core, kind)
        for quantity in (2, 3, 9):
            for number, (split, partial) in enumerate([(False, False), (True, False), (False, True), (True, True)]):
                wishes = tuple(
                    Wish(variant, (WAREHOUSES[place % 50], WAREHOUSES[(place + 1) % 50]), quantity)
                    for place, variant in enumerate(variants(kind)[: LINES_MAX // 2])
                )
                order = f"b{quantity}-{number}"
                await ends(core, ReserveBasket(ORGANIZATION, order, wishes, 15, split, partial, f"of {order}"))


async def test_rows_that_are_unknown_are_soon_named(world: World, kind: str) -> None:
    async with world.core() as core:
        await stock_of(core, kind)
        rows = [(variant, f"x{number}") for number, variant in enumerate(variants(kind))]
        for command in (
            Adjust(ORGANIZATION, tuple(Adjustment(*row, "delta", 1) for row in rows), "adjust"),
            SetLevels(ORGANIZATION, tuple(LevelsLine(*row, 1, None, None) for row in rows), "levels"),
        ):
            with pytest.raises(Refused):
                await core.ask(command)


async def test_a_large_order_is_soon_told_what_it_cannot_have_more_of(world: World) -> None:
    """When its own goods come back does not help it: each line looked past the 1,000 that it has."""
    variants = [f"v{number}" for number in NUMBERS]
    async with world.core() as core:
        await bring(core, {(variant, "w1"): 2 for variant in variants})
        await core.ask(Reserve(ORGANIZATION, "o1", tuple(Line(variant, "w1", 1) for variant in variants), 15))
        more = tuple(Line(variant, "w1", 5) for variant in variants)
        for split in (False, True):
            explanation = await core.answer(ExplainBasket(ORGANIZATION, more, "o1", split)).wait()
            assert {(line.short, line.frees_at_ms) for line in explanation.lines} == {(3, 0)}


def test_the_fullest_others_are_named() -> None:
    free = {"a": {f"w{number}": number for number in range(9)}}
    elsewhere = Elsewhere(free)
    fullest = [Alternative(f"w{number}", number) for number in range(8, 0, -1)]
    assert elsewhere.alternatives_to("a", "unknown") == tuple(fullest[:5])
    assert elsewhere.alternatives_to("a", "w7") == (fullest[0], *fullest[2:6])
    assert elsewhere.alternatives_to("a", "w1") == tuple(fullest[:5])
    assert elsewhere.alternatives_to("b", "w1") == ()


@given(st.lists(st.integers(-3, 9), max_size=20), st.lists(st.tuples(st.integers(0, 19), st.integers(-3, 9))))
def test_maxima_are_what_a_walk_would_find(values: list[int], changes: list[tuple[int, int]]) -> None:
    maxima = Maxima(values)
    for place, value in [(0, values[0] if values else 0), *changes]:
        if place < len(values):
            values[place] = maxima[place] = value
        assert [maxima[one] for one in range(len(values))] == values
        if values:
            assert maxima.largest == max(values)
        for before in range(len(values) + 1):
            for least in (-3, 0, 5, 10):
                found = [one for one in range(before) if values[one] >= least]
                assert maxima.last(before, least) == (found[-1] if found else None)


def test_places_by_rank_are_what_a_walk_would_find() -> None:
    random = Random(7)
    for _ in range(300):
        left = {f"w{number}": random.randint(-2, 9) for number in range(random.randint(1, 8))}
        priorities = {one: random.randint(-2, 2) for one in left if random.random() < 0.8}
        space = RankedSpace(left, priorities)
        for _ in range(12):
            quantity = random.randint(1, 6)
            enough = [one for one in left if left[one] >= quantity]
            most = space.most(None, quantity)
            assert (most is None) == (not enough)
            assert space.fullest == max(left.values())
            if most is not None:
                first = min(enough, key=lambda one: (-priorities.get(one, 0), -left[one], one))
                assert space.take(most, quantity) == first
                left[first] -= quantity
            one = random.choice(sorted(left))
            space.take_from(one, left[one], 1)
            left[one] -= 1

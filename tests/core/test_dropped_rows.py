"""A plan whose rows a crash drops while it is made: it refuses nothing, since what it knew may be of the past."""

from collections.abc import Callable

import pytest

from actors.basket_commands import ReserveBasket, Wish
from actors.commands import Amend, Command, Deduct, Line, Reacquire, Reserve
from actors.records import ReservationRecord
from actors.unavailable import Unavailable
from actors.variant_stock import VariantStock
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_reacquiring import expired

pytestmark = pytest.mark.anyio

PLANNED: dict[str, Callable[[ReservationRecord, ReservationRecord], Command]] = {
    "reserve": lambda held, _: Reserve(ORGANIZATION, "o9", (Line("a", "", 50),), 15),
    "basket": lambda held, _: ReserveBasket(ORGANIZATION, "o9", (Wish("a", (), 50),), 15, False, False, "key"),
    "amend": lambda held, _: Amend(ORGANIZATION, held.reservation_id, (Line("a", "", 50),), "key"),
    "reacquire": lambda _, past: Reacquire(ORGANIZATION, past.reservation_id, 15, "key"),
    "deduct": lambda held, _: Deduct(ORGANIZATION, (Line("a", "", 50),), "key"),
}


def crash(variant: VariantStock) -> None:
    """As the directory does where one of its rows has crashed."""
    variant.is_dropped = True
    for row in variant.rows.values():
        row.retire()


@pytest.mark.parametrize("what", list(PLANNED))
async def test_a_refusal_never_rests_on_rows_that_a_crash_has_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def crash_and_be_looked_at(variant: VariantStock) -> dict[str, int]:
        crash(variant)
        return look(variant)

    look = VariantStock.free
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 4})
        past = await expired(world, core, ("a", "w1", 4))
        held = await reserve(core, "o2", ("a", "w1", 4))
        await reserve(core, "o3", ("a", "w2", 2))
        monkeypatch.setattr(VariantStock, "free", crash_and_be_looked_at)
        with pytest.raises(Unavailable) as refused:
            await core.ask(PLANNED[what](held, past))
        assert refused.value.reason == "ACTOR_RESTARTED"


async def test_an_amendment_tells_no_figures_of_a_row_that_a_crash_has_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what it keeps there it holds nothing in the transaction, which would notice otherwise."""

    def crash_and_be_looked_at(variant: VariantStock) -> dict[str, int]:
        if variant.key.variant_id == "a":
            crash(variant)
        return look(variant)

    look = VariantStock.free
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 4})
        held = await reserve(core, "o1", ("a", "w1", 2), ("b", "w1", 2))
        monkeypatch.setattr(VariantStock, "free", crash_and_be_looked_at)
        fewer = Amend(ORGANIZATION, held.reservation_id, (Line("a", "w1", 2), Line("b", "w1", 1)), "key")
        with pytest.raises(Unavailable) as refused:
            await core.ask(fewer)
        assert refused.value.reason == "ACTOR_RESTARTED"
        assert await available(core) == {("a", "w1"): 2, ("b", "w1"): 2}

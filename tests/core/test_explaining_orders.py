"""What is said of a basket for an order that has goods already, and of one that may be split."""

from typing import Any

import pytest

from actors.commands import Adjustment, Amend, Confirm, Fulfill, Line, Release
from actors.outcomes import ReservationAmended
from actors.queries import ExplainBasket
from actors.views import ExplainedPart, Explanation
from supervisor.supervisor import Supervisor
from supervisor.transactions.standing_orders import StandingOrders
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_losses import lose
from tests.core.test_warehouses import close

pytestmark = pytest.mark.anyio


async def explain(core: Supervisor, *lines: tuple[str, str, int], order: str = "o1", **options: Any) -> Explanation:
    asked = tuple(Line(*line) for line in lines)
    return await core.answer(ExplainBasket(ORGANIZATION, asked, order, **options)).wait()


def told(found: Explanation) -> list[tuple[str, str, int]]:
    return [(line.warehouse_id, line.why, line.short) for line in found.lines]


async def test_what_the_order_holds_is_found_there_also_after_a_restart(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("b", "w2"): 3})
        held = await reserve(core, "o1", ("a", "", 3), ("b", "w2", 1))
    async with world.core() as core:
        found = await explain(core, ("b", "w2", 1), ("a", "", 3))
        assert (found.fits, told(found)) == (True, [("w2", "held", 0), ("w1", "held", 0)])
        assert told(await explain(core, ("a", "", 3), order="o2")) == [("", "short", 3)]
        assert told(await explain(core, ("a", "", 3), order="")) == [("", "short", 3)]
        await core.ask(Release(ORGANIZATION, held.reservation_id, "over"))
        assert told(await explain(core, ("a", "", 3))) == [("w1", "has_most", 0)]


async def test_goods_that_a_loss_has_taken_from_the_order_are_not_counted_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, asked = StandingOrders.decided, []

    async with world.core() as core:

        def decide_and_ask(self: StandingOrders, transactions: Any) -> None:
            decide(self, transactions)
            asked.append(core.answer(ExplainBasket(ORGANIZATION, (Line("a", "", 5),), "o1")))

        monkeypatch.setattr(StandingOrders, "decided", decide_and_ask)
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 1})
        await reserve(core, "o1", ("a", "w1", 4))
        await core.ask(lose(Adjustment("a", "w1", "delta", -2)))
        [found] = [await reply.wait() for reply in asked]
        assert found == await explain(core, ("a", "", 5))
        assert told(found) == [("", "short", 3)]


async def test_it_says_what_an_amendment_would_do(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3, ("b", "w2"): 1})
        held = await reserve(core, "o1", ("a", "w2", 2), ("a", "", 3))
        for lines in (
            (("a", "w2", 2), ("a", "", 4)),  # it stays where it is, with one more
            (("a", "", 3), ("b", "", 1)),
            (("a", "w2", 3), ("a", "w1", 4)),
        ):
            found = await explain(core, *lines)
            wishes = tuple(Line(*line) for line in lines)
            amended = await core.ask(Amend(ORGANIZATION, held.reservation_id, wishes, f"amend {lines}"))
            assert isinstance(amended, ReservationAmended)
            assert found.fits
            assert [line.warehouse_id for line in found.lines] == [i.warehouse_id for i in amended.reservation.items]
        short = await explain(core, ("a", "w2", 9))
        assert (short.fits, told(short)) == (False, [("", "short", 6)])


async def test_its_own_goods_count_in_a_closed_warehouse_and_after_a_shipment(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9, ("b", "w1"): 9})
        held = await reserve(core, "o1", ("a", "w1", 4), ("b", "w1", 1))
        await core.ask(Confirm(ORGANIZATION, held.reservation_id, "o1"))
        await core.ask(Fulfill(ORGANIZATION, held.reservation_id, "ship", "", lines=(Line("a", "w1", 2),)))
        await close(core, "w1")
        assert told(await explain(core, ("a", "w1", 3), ("b", "w1", 1))) == [("w1", "named", 0), ("w1", "named", 0)]
        assert told(await explain(core, ("a", "w1", 5))) == [("", "short", 1)]
        assert told(await explain(core, ("a", "w1", 1), order="o2")) == [("", "closed", 1)]
        assert told(await explain(core, ("b", "w1", 1))) == [("w1", "named", 0)]  # less than was shipped of a


async def test_a_line_that_may_be_split_says_what_each_warehouse_gives(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("a", "w2"): 3, ("b", "w2"): 1})
        found = await explain(core, ("a", "", 6), ("b", "", 1), order="", allow_split=True)
        parts = (ExplainedPart("w1", 4), ExplainedPart("w2", 2))
        assert (found.fits, [line.parts for line in found.lines]) == (True, [parts, ()])
        assert told(found) == [("w1", "split", 0), ("w2", "has_most", 0)]
        short = await explain(core, ("a", "", 6), ("a", "w2", 2), order="", allow_split=True)
        assert (short.fits, told(short)) == (False, [("", "short", 1), ("", "short", 1)])
        await reserve(core, "o1", ("a", "w1", 4))
        own = await explain(core, ("a", "", 7), allow_split=True)
        assert (own.fits, own.lines[0].parts) == (True, (ExplainedPart("w1", 4), ExplainedPart("w2", 3)))
        unknown = await explain(core, ("x", "", 1), ("a", "", 7), allow_split=True)
        assert (unknown.fits, [line.why for line in unknown.lines]) == (False, ["unknown", "split"])

"""Why a basket would be served as it would, or would not, as the core sees it."""

import pytest

from actors.commands import Line
from actors.outcomes import Alternative
from actors.queries import ExplainBasket
from actors.views import ExplainedLine, Explanation
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_warehouses import close

pytestmark = pytest.mark.anyio

MADRID = (Alternative("madrid", 9),)


async def explain(core: Supervisor, *lines: Line, organization: str = ORGANIZATION) -> Explanation:
    return await core.answer(ExplainBasket(organization, lines)).wait()


async def test_each_choice_has_its_reason(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "lisbon"): 5, ("a", "madrid"): 9, ("b", "lisbon"): 4})
        assert await explain(core, Line("a", "", 2)) == Explanation(
            True, (ExplainedLine("a", "", 2, "madrid", "has_most", 0, (Alternative("lisbon", 5),), 0),)
        )
        both = await explain(core, Line("a", "", 2), Line("b", "", 1))
        assert [(line.warehouse_id, line.why) for line in both.lines] == [("lisbon", "serves_all")] * 2
        named = await explain(core, Line("a", "lisbon", 5), Line("a", "", 9))
        assert [(line.warehouse_id, line.why) for line in named.lines] == [("lisbon", "named"), ("madrid", "has_most")]
        assert named.fits


async def test_what_falls_short_is_told_with_what_there_is_elsewhere_and_when_holds_expire(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "lisbon"): 5, ("a", "madrid"): 9})
        held = await reserve(core, "o1", ("a", "lisbon", 4))
        found = await explain(core, Line("a", "lisbon", 2), Line("a", "lisbon", 1), Line("c", "", 3))
        assert not found.fits
        short = ExplainedLine("a", "lisbon", 2, "", "short", 2, MADRID, held.expires_at_ms)
        assert found.lines[0] == short
        assert (found.lines[1].short, found.lines[2].why, found.lines[2].short) == (2, "unknown", 3)
        too_much = await explain(core, Line("a", "", 12))
        assert too_much.lines[0] == ExplainedLine("a", "", 12, "", "short", 3, (Alternative("lisbon", 1),), 0)
        assert (await explain(core, Line("a", "", 1), organization="org_2")).lines[0].why == "unknown"


async def test_a_closed_warehouse_is_told_of(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "lisbon"): 5, ("a", "madrid"): 9, ("b", "lisbon"): 5})
        await close(core, "lisbon")
        found = await explain(core, Line("a", "lisbon", 2), Line("a", "", 1), Line("b", "", 1))
        assert [(line.why, line.short) for line in found.lines] == [("closed", 2), ("has_most", 0), ("short", 1)]
        assert found.lines[0].alternatives == MADRID
        assert not found.fits

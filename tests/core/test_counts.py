"""What a count sets, what it leaves, and how a warehouse is called afterwards."""

import pytest
from msgspec.structs import replace

from actors.commands import CountedLine, DeliveryLine, Import, Receive
from actors.outcomes import ImportRejected, Refused, RefusedLine, StockImported
from actors.queries import ListStock
from actors.views import StockView
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, rows_of

pytestmark = pytest.mark.anyio

Figure = int | None


def line(
    variant: str,
    total: Figure = None,
    damaged: Figure = None,
    in_transit: Figure = None,
    levels: tuple[Figure, Figure] = (None, None),
    name: str = "",
) -> CountedLine:
    return CountedLine(ORGANIZATION, variant, "w1", name, total, damaged, in_transit, *levels, 7)


async def shown(core: Supervisor) -> list[StockView]:
    page = await core.answer(ListStock(ORGANIZATION)).wait()
    return list(page.stock)


async def figures(core: Supervisor) -> dict[str, tuple[int, ...]]:
    records = [view.record for view in await shown(core)]
    return {r.variant_id: (r.total, r.available, r.damaged, r.in_transit, r.min_stock, r.max_stock) for r in records}


async def test_a_figure_that_is_not_counted_stays_and_is_0_on_a_new_row(world: World) -> None:
    async with world.core() as core:
        await core.ask(Import((line("mug", 120, 20, 30, (10, 400)), line("cup")), "first"))
        assert await figures(core) == {"mug": (120, 70, 20, 30, 10, 400), "cup": (0, 0, 0, 0, 0, 0)}
        assert await core.ask(Import((line("mug", 120), line("cup", 5)), "second")) == StockImported(2, 0, 1, 1)
        assert await core.ask(Import((line("mug", 110, levels=(None, 0)),), "third")) == StockImported(1, 0, 1, 0)
        assert await core.ask(Import((line("mug", damaged=25),), "fourth")) == StockImported(1, 0, 1, 0)
        assert await figures(core) == {"mug": (110, 55, 25, 30, 10, 0), "cup": (5, 5, 0, 0, 0, 0)}


async def test_a_count_sets_a_reorder_point_and_leaves_one_that_it_does_not_name(world: World) -> None:
    line = CountedLine(ORGANIZATION, "a", "w1", "", 10, 0, 0, None, None, 1)

    async def reorder_point(core: Supervisor) -> tuple[int, int]:
        [row] = await rows_of(core, "a")
        return row.record.reorder_point, row.record.version

    async with world.core() as core:
        await core.ask(Import((line,), "i-1"))
        assert await reorder_point(core) == (0, 1)
        await core.ask(Import((replace(line, reorder_point=4),), "i-2"))
        assert await reorder_point(core) == (4, 2)
        await core.ask(Import((line,), "i-3"))
        fact = await core.ask(Import((replace(line, reorder_point=4),), "i-4"))
        assert isinstance(fact, StockImported)
        assert (fact.rows_unchanged, await reorder_point(core)) == (1, (4, 2))
        await core.ask(Import((replace(line, reorder_point=0),), "i-5"))
        assert await reorder_point(core) == (0, 3)


async def test_what_stays_is_judged_with_what_is_counted(world: World) -> None:
    async with world.core() as core:
        await core.ask(Import((line("mug", 120, 20, 30, (10, 400)),), "first"))
        with pytest.raises(Refused) as refused:
            await core.ask(Import((line("mug", 49),), "second"))
        reason = "total_quantity 49 less 20 damaged and 30 in transit does not cover the 0 that are reserved"
        assert refused.value.refusal == ImportRejected((RefusedLine(7, reason),), 1)
        with pytest.raises(Refused) as refused:
            await core.ask(Import((line("mug", levels=(None, 9)),), "third"))
        reason = "min_stock 10 must not exceed max_stock 9"
        assert refused.value.refusal == ImportRejected((RefusedLine(7, reason),), 1)
        assert await figures(core) == {"mug": (120, 70, 20, 30, 10, 400)}


async def test_a_warehouse_keeps_its_name_where_none_is_given_also_after_a_restart(world: World) -> None:
    async with world.core() as core:
        await core.ask(Import((line("mug", 1, name="Madrid"), line("cup", 1)), "first"))
        assert [view.warehouse_name for view in await shown(core)] == ["Madrid", "Madrid"]
    async with world.core() as core:
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("mug", "w1", 1),), "delivery"))
        await core.ask(Import((line("cup", 2),), "second"))
        assert [view.warehouse_name for view in await shown(core)] == ["Madrid", "Madrid"]
    async with world.core() as core:
        assert [view.warehouse_name for view in await shown(core)] == ["Madrid", "Madrid"]
        await core.ask(Import((line("cup", 2, name="Getafe"), line("mug", 2)), "third"))
        assert [view.warehouse_name for view in await shown(core)] == ["Getafe", "Getafe"]

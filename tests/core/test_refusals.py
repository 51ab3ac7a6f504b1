"""A refusal names everything that is wrong with a basket, and where else its goods are."""

import pytest

from actors.bounds import ALTERNATIVES_MAX
from actors.outcomes import Alternative, InsufficientStock, MissingStock, Refusal, Refused, Shortage, StockNotFound
from supervisor.supervisor import Supervisor
from tests.core.conftest import World, bring, reserve

pytestmark = pytest.mark.anyio

STOCK = {("mug", "lisbon"): 3, ("mug", "madrid"): 50, ("mug", "porto"): 0, ("tea", "madrid"): 1}
IN_MADRID, IN_LISBON = Alternative("madrid", 50), Alternative("lisbon", 3)


async def refusal(core: Supervisor, *lines: tuple[str, str, int]) -> Refusal:
    with pytest.raises(Refused) as refused:
        await reserve(core, "o1", *lines)
    return refused.value.refusal


async def test_all_that_does_not_exist_and_all_that_falls_short_is_named_together(world: World) -> None:
    async with world.core() as core:
        await bring(core, STOCK)
        lines = (("cup", "", 1), ("mug", "lisbon", 4), ("jug", "porto", 1), ("cup", "", 2), ("tea", "", 2))
        assert await refusal(core, *lines) == StockNotFound(
            "cup",
            "",
            others=(MissingStock("jug", "porto"),),
            shortages=(Shortage("mug", "lisbon", 4, 3, (IN_MADRID,)), Shortage("tea", "madrid", 2, 1)),
        )


async def test_a_warehouse_that_lacks_the_variant_is_told_apart_from_a_variant_that_is_nowhere(world: World) -> None:
    async with world.core() as core:
        await bring(core, STOCK)
        assert await refusal(core, ("mug", "paris", 1)) == StockNotFound("mug", "paris", (IN_MADRID, IN_LISBON))
        assert await refusal(core, ("cup", "paris", 1)) == StockNotFound("cup", "paris")


async def test_other_warehouses_are_named_by_how_much_they_have_and_not_too_many(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("mug", f"w{number}"): 10 + number // 2 for number in range(8)})
        [short] = [await refusal(core, ("mug", "w7", 20))]
        assert isinstance(short, InsufficientStock)
        assert [(it.warehouse_id, it.available) for it in short.shortages[0].alternatives] == [
            ("w6", 13),
            ("w4", 12),
            ("w5", 12),
            ("w2", 11),
            ("w3", 11),
        ]
        assert len(short.shortages[0].alternatives) == ALTERNATIVES_MAX

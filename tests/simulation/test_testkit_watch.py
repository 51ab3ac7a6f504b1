"""A watch in a simulated world: cut by crashes, it goes on by its token, and tells what the wire's calls did."""

from contextlib import aclosing
from typing import Any

import pytest

from stockkeeper.testkit import Simulation, World


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_watch_outlives_the_server(backend: Any) -> None:
    async def scenario(world: World) -> None:
        inventory = world.inventory
        await inventory.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 10}])
        heard: list[tuple[str, int]] = []
        async with aclosing(inventory.stock.watch_changes("shop", snapshot=True)) as changes:
            async for change in changes:
                heard += [(change.kind, row.after.available) for row in change.rows]
                if change.snapshot_done:
                    item: Any = {"variant_id": "mug", "quantity": 4}
                    await inventory.reserve_stock("shop", "order", [item])
                    await world.crash_server()
                if change.kind == "reserve":
                    break
        assert heard == [("snapshot", 10), ("reserve", 6)]
        lines = [line.kind async for line in inventory.stock.list_movements("shop", newest_first=True)]
        assert lines == ["reserve", "receive"]

    Simulation().run(scenario, clients=1, backend=backend)

"""The examples in the test kit's docstrings run, and each function that a scenario calls has one."""

import doctest
from typing import Any

import pytest

from stockkeeper.testkit import Simulation, World, runs
from tests.docstrings import public_functions_of, run_examples

METHODS = sorted(public_functions_of(World))


@pytest.mark.parametrize("method", ["", *METHODS])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_examples_of_a_world_run(method: str, backend: Any) -> None:
    async def scenario(world: World) -> None:
        await world.inventory.stock.receive_stock(
            "shop", [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 10}]
        )
        await run_examples(getattr(World, method) if method else World, world=world)

    Simulation().run(scenario, clients=3, backend=backend)


def test_the_examples_of_a_simulation_run_and_each_method_has_one() -> None:
    assert list(public_functions_of(Simulation)) == ["run"]
    found = doctest.testmod(runs)
    assert found.attempted == 4
    assert found.failed == 0

"""The examples in the client's docstrings run, and each method has one."""

import doctest
import importlib
from typing import Any

import pytest
from stockkeeper_client import InventoryClient, StockClient

from stockkeeper.testkit import Simulation, World
from tests.docstrings import public_functions_of, run_examples

CLASSES = [one for kind in (InventoryClient, StockClient) for one in kind.__mro__ if one is not object]
METHODS = [(kind, name) for kind in CLASSES for name in public_functions_of(kind)]
NAMES = ["InventoryClient", "StockClient", *(f"{kind.__name__}.{name}" for kind, name in METHODS)]
DOCUMENTED = [InventoryClient, StockClient, *(getattr(kind, name) for kind, name in METHODS)]


@pytest.mark.parametrize("module", ["channel", "circuit", "errors", "items", "tls"])
def test_the_examples_of_a_module_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"stockkeeper_client.{module}"))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("documented", DOCUMENTED, ids=NAMES)
def test_the_examples_of_a_method_run(documented: Any) -> None:
    async def scenario(world: World) -> None:
        for warehouse_id, quantity in (("madrid", 10), ("lisbon", 5)):
            line = {"variant_id": "mug", "warehouse_id": warehouse_id, "quantity": quantity}
            await world.inventory.stock.receive_stock("shop", [line])  # type: ignore[list-item]
        await run_examples(documented, client=world.inventory, InventoryClient=lambda host, port: world.client())

    Simulation().run(scenario, backend="asyncio")

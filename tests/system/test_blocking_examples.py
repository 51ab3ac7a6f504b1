"""The examples in the docstrings of the client whose calls block, against the program itself."""

import asyncio
import inspect

import pytest
from stockkeeper_client import ReceivedLine, sync

from tests.docstrings import public_functions_of, run_examples

CLASSES = [one for kind in (sync.InventoryClient, sync.StockClient) for one in kind.__mro__ if one is not object]
DOCUMENTED = {
    **{kind.__name__: kind for kind in (sync.InventoryClient, sync.StockClient)},
    **{f"{kind.__name__}.{name}": getattr(kind, name) for kind in CLASSES for name in public_functions_of(kind)},
}


class Documentation:
    """That of something else, with an organization of its own for `shop`: no example meets another's stock."""

    def __init__(self, documented: object, organization: str) -> None:
        self.__doc__ = (inspect.getdoc(documented) or "").replace('"shop"', f'"{organization}"')


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_examples_of_a_method_run(program_port: int, name: str) -> None:
    with sync.InventoryClient("127.0.0.1", program_port, timeout_s=30) as client:
        for warehouse_id, quantity in (("madrid", 10), ("lisbon", 5)):
            line: ReceivedLine = {"variant_id": "mug", "warehouse_id": warehouse_id, "quantity": quantity}
            client.stock.receive_stock(name, [line])

        def connect(host: str, port: int) -> sync.InventoryClient:
            assert (host, port) == ("localhost", 50053)
            return sync.InventoryClient("127.0.0.1", program_port)

        asyncio.run(run_examples(Documentation(DOCUMENTED[name], name), client=client, InventoryClient=connect))

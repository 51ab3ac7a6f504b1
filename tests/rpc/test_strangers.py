"""What a caller without a key, or with another's organization in its message, takes of anybody: nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2 import ImportStockRequest, ListStockRequest
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from rpc.fair_turns import LARGE_BYTES, UNNAMED
from rpc.rpc_server import RpcServer
from rpc.service_names import INVENTORY, STOCK
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_authorization import KEYS, bearing, ended, key

pytestmark = pytest.mark.anyio

LARGE = pb.GetStockInfoRequest(organization_id="shop", variant_id="m" * LARGE_BYTES)
SMALL = pb.GetStockInfoRequest(organization_id="shop", variant_id="mug")
STRANGERS: list[tuple[list[tuple[str, str]], StatusCode]] = [
    ([], StatusCode.UNAUTHENTICATED),
    (bearing("nobody"), StatusCode.UNAUTHENTICATED),
    (bearing("neighbour"), StatusCode.PERMISSION_DENIED),
]


@pytest.fixture
async def served(fake: FakeInventory, transport: TransportName, tmp_path: Path) -> AsyncIterator[Any]:
    """A server that asks for keys, a channel to it, and what waits or counts there, as it comes."""
    keys = tmp_path / "keys.toml"
    keys.write_text(KEYS + key("neighbour", ["other"], ("read", "reserve", "manage")))
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, keys_file=str(keys))
    [address] = await server.start()
    turns, calls, counted = server._frame.turns, server._frame.calls, list[tuple[str, str]]()
    post, enter = turns.post, calls.enter

    def posted(organization_id: str, size_bytes: int, begin: Callable[[], None], source: str = "") -> None:
        counted.append(("waits", organization_id))
        post(organization_id, size_bytes, begin, source)

    def entered(organization_id: str = "", caller: str = "") -> int:
        counted.append(("counts", organization_id))
        return enter(organization_id, caller)

    turns.post, calls.enter = posted, entered  # type: ignore[method-assign]
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        yield channel, counted
    await server.stop(0)


@pytest.mark.parametrize(("metadata", "code"), STRANGERS)
async def test_a_strangers_request_waits_for_no_turn_of_those_that_it_names_and_counts_for_none(
    served: Any, metadata: Any, code: StatusCode
) -> None:
    channel, counted = served
    stock, inventory = StockServiceStub(channel), InventoryServiceStub(channel)
    assert await ended(inventory.GetStockInfo(SMALL, metadata=metadata)) is code
    assert await ended(inventory.GetStockInfo(LARGE, metadata=metadata)) is code
    assert await ended(stock.ListStock(ListStockRequest(organization_id="shop"), metadata=metadata)) is code
    has_key = code is StatusCode.PERMISSION_DENIED
    assert counted == ([("waits", f"{UNNAMED}neighbour")] * 2 if has_key else [])


async def test_the_large_requests_of_one_that_may_act_for_an_organization_have_its_turns(served: Any) -> None:
    channel, counted = served
    assert await ended(InventoryServiceStub(channel).GetStockInfo(LARGE, metadata=bearing("reader"))) is not None
    assert counted[0] == ("waits", "shop")


@pytest.mark.parametrize("path", [f"/{INVENTORY}/GetStockInfo", f"/{STOCK}/ImportStock", f"/{STOCK}/WatchChanges"])
async def test_a_call_without_a_key_is_refused_before_its_message_is_there(served: Any, path: str) -> None:
    channel, counted = served
    call = channel.stream_stream(path)()  # and nothing is written
    async with asyncio.timeout(30):
        assert await call.code() is StatusCode.UNAUTHENTICATED
    assert counted == []


async def test_a_key_that_may_not_import_keeps_no_place_among_imports(served: Any) -> None:
    channel, _ = served
    imports = [StockServiceStub(channel).ImportStock(metadata=bearing("reader")) for _ in range(8)]
    async with asyncio.timeout(30):
        assert {await one.code() for one in imports} == {StatusCode.PERMISSION_DENIED}
    upload = StockServiceStub(channel).ImportStock(iter([ImportStockRequest()]), metadata=bearing("manager"))
    assert await ended(upload) is StatusCode.INVALID_ARGUMENT

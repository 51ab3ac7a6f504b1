"""ExportStock: over a real socket before a fake inventory, and what is refused at the door."""

import asyncio
from collections.abc import AsyncIterable
from typing import Any

import grpc.aio
import pytest
from msgspec.structs import replace
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2, stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.queries import ListStock
from actors.records import StockRecord
from actors.unavailable import restarting
from actors.views import StockPage, StockView
from rpc.messages import export_messages
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio

EVERYTHING = stock_pb2.ExportStockRequest(**ORG)
QUESTION = inventory_pb2.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")
ROW = StockRecord("org_123", "mug", "w1", "stock_1", 12, 5, 2, 1, 3, 40, 10, 2)


def view(number: int, name: str = "Main") -> StockView:
    return StockView(replace(ROW, variant_id=f"v{number:06}"), name)


async def gather(call: AsyncIterable[Any], lines: list[Any]) -> None:
    async for line in call:
        lines.append(line)  # noqa: PERF401 - what came before an error is wanted too


class PagedInventory(FakeInventory):
    """Has pages of two rows; it fails with `error` once `pages_max` of them were read."""

    def __init__(self, pages_max: int, error: Exception | None = None) -> None:
        super().__init__()
        self.pages_max = pages_max
        self.error = error
        self.name = "Main"

    @property
    def pages(self) -> list[ListStock]:
        return [query for query in self.asked if isinstance(query, ListStock)]

    async def _look(self, query: Any) -> Any:
        if not isinstance(query, ListStock):
            return await super()._look(query)
        await self._pass(query)
        number = len(self.pages)
        if number > self.pages_max:
            assert self.error is not None, "the export asks for a page behind the last"
            raise self.error
        rows = view(2 * number, self.name), view(2 * number + 1, self.name)
        is_last = number == self.pages_max and self.error is None
        return StockPage(rows, None if is_last else rows[-1].record.key)


@pytest.fixture
async def fake(anyio_backend: str) -> PagedInventory:
    return PagedInventory(3)


async def test_a_row_is_a_line_that_an_import_takes(stock: StockServiceStub, fake: PagedInventory) -> None:
    [first, *_] = [line async for line in stock.ExportStock(EVERYTHING)]
    assert first == stock_pb2.ImportLine(
        organization_id="org_123",
        variant_id="v000002",
        warehouse_id="w1",
        warehouse_name="Main",
        total_quantity=20,
        damaged_quantity=2,
        in_transit_quantity=1,
        min_stock=3,
        max_stock=40,
        reorder_point=10,
    )
    assert export_messages.exported(view(1, "w1")).warehouse_name == ""
    zeros = StockView(StockRecord("o", "v", "w", "s"), "w")
    assert all(export_messages.exported(zeros).HasField(name) for name in ("total_quantity", "min_stock", "max_stock"))


async def test_pages_are_read_by_key_until_the_last(stock: StockServiceStub, fake: PagedInventory) -> None:
    request = stock_pb2.ExportStockRequest(**ORG, variant_prefix="v", warehouse_id="w1")
    lines = [line.variant_id async for line in stock.ExportStock(request)]
    assert lines == [f"v{number:06}" for number in range(2, 8)]
    asked = ListStock("org_123", warehouse_id="w1", limit=export_messages.ROWS_A_PAGE, variant_prefix="v")
    assert fake.pages == [
        asked,
        replace(asked, after=view(3).record.key),
        replace(asked, after=view(5).record.key),
    ]


async def test_a_long_export_gives_back_the_turn_of_each_page(stock: StockServiceStub, fake: PagedInventory) -> None:
    fake.pages_max = 20  # more than an organization may have begun at once
    assert len([line async for line in stock.ExportStock(EVERYTHING, timeout=10)]) == 40


async def test_an_export_that_breaks_off_does_not_end_well(stock: StockServiceStub, fake: PagedInventory) -> None:
    fake.pages_max, fake.error = 2, restarting()
    lines: list[Any] = []
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await gather(stock.ExportStock(EVERYTHING), lines)
    assert (len(lines), raised.value.code()) == (4, grpc.StatusCode.UNAVAILABLE)
    assert error_details(raised.value).reason == restarting().reason


async def test_a_caller_that_reads_slowly_has_few_pages_read_and_holds_up_no_other(
    stock: StockServiceStub, inventory: InventoryServiceStub, fake: PagedInventory, server: RpcServer
) -> None:
    fake.pages_max, fake.name = 1_000_000, "x" * 4_000  # long, to fill the windows soon
    call = stock.ExportStock(EVERYTHING)
    await call.read()
    before = -1
    while before != len(fake.pages):
        before = len(fake.pages)
        await asyncio.sleep(0.3)  # until HTTP/2's window is full
    assert (await inventory.GetStockInfo(QUESTION)).stock_info
    assert len(fake.pages) == before  # and there are a million
    call.cancel()


async def test_an_export_takes_the_place_of_a_watch_and_of_no_call(transport: TransportName) -> None:
    fake = PagedInventory(1_000_000)
    server = RpcServer(
        fake, host="127.0.0.1", port=0, transport=transport, calls_max=1, bounds=NetworkBounds(watches_max=1)
    )
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        stub = StockServiceStub(channel)
        held = stub.ExportStock(EVERYTHING)
        await held.read()
        assert (await InventoryServiceStub(channel).GetStockInfo(QUESTION)).stock_info
        with pytest.raises(grpc.aio.AioRpcError, match="Too many watches"):
            await stub.ExportStock(EVERYTHING).read()
        held.cancel()
    await server.stop(0)


def test_all_that_is_wrong_is_named() -> None:
    bad = stock_pb2.ExportStockRequest(variant_prefix="\n", warehouse_id="x" * 129)
    assert fields(export_messages.export_stock, bad) == ["organization_id", "variant_prefix", "warehouse_id"]

"""What a type checker sees of the client where neither types-protobuf nor types-grpcio is installed."""

import re
import sys
from pathlib import Path

import pytest

from tests.packaging.environments import Environment

CALLER = """
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from stockkeeper_client import InventoryClient, Item, StockLine, error_details
from stockkeeper_client.v1 import inventory_pb2 as pb, stock_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceBlockingStub, InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub


async def call(client: InventoryClient) -> None:
    items: list[Item] = [{"variant_id": "mug", "quantity": 2}]
    reserved = await client.reserve_stock("shop", "order-1", items)
    reveal_type(reserved)  # ReserveStockResponse
    reveal_type(reserved.reservation_id)  # str
    reveal_type(reserved.reserved_items[0].quantity)  # int
    reveal_type([item.warehouse_id for item in reserved.reserved_items])  # list[str]
    reveal_type(reserved.SerializeToString())  # bytes
    reveal_type(pb.ReserveStockResponse.FromString(b""))  # ReserveStockResponse
    async for row in client.stock.list_stock("shop"):
        reveal_type(row.available_quantity)  # int
    lines: list[StockLine] = []
    reveal_type((await client.stock.import_stock(lines)).rows_created)  # int
    try:
        await client.reserve_stock("shop", "order-1", [pb.ReservationItem(variant_id="mug", quantity=1)])
    except grpc.aio.AioRpcError as error:
        reveal_type(error_details(error).retry_delay_s)  # float | None
    reveal_type(await client.stub.CheckAvailability(pb.CheckAvailabilityRequest()))  # CheckAvailabilityResponse


async def with_stubs(channel: grpc.aio.Channel, requests: AsyncIterator[stream_pb2.ReserveStockRequests]) -> None:
    reveal_type(await InventoryServiceStub(channel).GetStockInfo(pb.GetStockInfoRequest()))  # GetStockInfoResponse
    reveal_type(await StockServiceStub(channel).ImportStock(iter(())))  # ImportStockResponse
    async for replies in ReservationStreamStub(channel).ReserveStock(requests):
        reveal_type(replies.replies[0].status.details[0].type_url)  # str


def blocking(channel: grpc.Channel) -> None:
    InventoryServiceStub(channel)
    stub = InventoryServiceBlockingStub(channel)
    reveal_type(stub.CheckAvailability(pb.CheckAvailabilityRequest(), timeout=1))  # CheckAvailabilityResponse


async def mistaken(client: InventoryClient) -> None:
    reserved = await client.reserve_stock("shop", "o1", [{"variant_id": "m", "quantity": 1, "warehouse": "w"}])  # error
    await client.reserve_stock("shop", "o1", [{"variant_id": "mug", "quantity": "1"}])  # error
    await client.reserve_stock("shop", "o1", [{"variant_id": "mug"}])  # error
    reserved.reservaton_id  # error
    pb.ReservationItem(variant="mug")  # error
    stock_pb2.ImportLine(total_quantity="1")  # error
"""
# With types-grpcio the channel tells which kind of calls a stub makes.
CALLER_WITH_TYPES = """
import grpc
import grpc.aio
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub


async def awaited(channel: grpc.aio.Channel) -> None:
    call = InventoryServiceStub(channel).GetStockInfo(pb.GetStockInfoRequest())
    reveal_type(await call.code())  # StatusCode
    reveal_type(await call)  # GetStockInfoResponse
    grpc_call: grpc.aio.UnaryUnaryCall[pb.GetStockInfoRequest, pb.GetStockInfoResponse] = call


def blocking(channel: grpc.Channel) -> None:
    reveal_type(InventoryServiceStub(channel).GetStockInfo(pb.GetStockInfoRequest()))  # GetStockInfoResponse
"""


@pytest.fixture
def typed_caller(caller: Environment) -> Environment:
    """It has the client's own types and no others."""
    assert "stockkeeper-client" in caller.installed
    assert not [name for name in caller.installed if name.startswith("types-")]
    return caller


def check(environment: Environment, source: str, *options: str) -> None:
    """mypy sees each line as its comment says: a type, or an error; and nothing else."""
    path = environment.shop / "caller.py"
    path.write_text(source)
    said = environment.run("mypy", "--strict", "--cache-dir", "mypy", *options, path.name, status="# error" in source)
    for number, line in enumerate(source.splitlines(), start=1):
        told = re.findall(rf"^caller.py:{number}: (\w+): (.*)$", said, re.MULTILINE)
        code, _, expected = line.partition("  # ")
        if "reveal_type" in code:
            assert len(told) == 1, said
            [(kind, text)] = told
            assert kind == "note", said
            assert without_modules(text) == f'Revealed type is "{expected}"', said
        elif expected == "error":
            assert "error" in {kind for kind, _ in told}, f"nothing is said of {code}\n{said}"
        else:
            assert not told, said


def without_modules(text: str) -> str:
    return re.sub(r"(\w+\.)+", "", text)


def test_a_caller_sees_no_any(typed_caller: Environment) -> None:
    # gRPC's own names are untyped: all that is asked of a caller is to say so.
    check(typed_caller, CALLER, "--disable-error-code=import-untyped")


def test_a_channel_tells_a_caller_with_grpc_s_types_which_calls_a_stub_makes(tmp_path: Path) -> None:
    check(Environment(Path(sys.prefix), tmp_path), CALLER_WITH_TYPES)  # this repository's own environment has them

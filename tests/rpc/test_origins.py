"""Who a command comes from: the call's metadata, by whatever door and through a link, and no part of what is asked."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import grpc.aio
import pytest
from msgspec import UNSET
from msgspec.structs import replace
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.commands import CallersCommand, Command, DropStaged, Expire, Import, Line, Receive, Reserve, StageLines
from actors.idempotency import fingerprint
from actors.outcomes import ActorCrashed
from actors.records import Origin
from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.messages.origins import origin_of
from rpc.rpc_server import RpcServer
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

METADATA = (("x-actor", "ana"), ("x-correlation-id", "checkout-7"))
ORIGIN = Origin("ana", "checkout-7")
LINE = pb.ReservationItem(variant_id="v", warehouse_id="w", quantity=2)


@pytest.fixture(params=["here", "behind a link"])
async def server(
    request: pytest.FixtureRequest, fake: FakeInventory, session: tuple[RemoteInventory, FrontendSession]
) -> AsyncIterator[RpcServer]:
    fake.outcome = ActorCrashed()  # what is asked counts here, and no answer
    server = RpcServer(fake if request.param == "here" else session[0], host="127.0.0.1", port=0)
    await server.start()
    yield server
    await server.stop(0)


@pytest.mark.parametrize(
    ("metadata", "origin"),
    [
        ((), UNSET),
        ((("user-agent", "a"), ("idempotency-key", "k"), ("x-actor", "")), UNSET),
        (METADATA, ORIGIN),
        ((("x-actor", "ana"),), Origin("ana", "")),
        ((("x-request-id", "from a proxy"),), Origin("", "from a proxy")),
        ((("x-request-id", "from a proxy"), ("x-correlation-id", "7")), Origin("", "7")),
        ((("x-actor", "ana"), ("x-actor", "bea")), Origin("ana", "")),
        ((("x-actor", "a" * 1_000),), Origin("a" * 128, "")),
        ((("x-actor", b"\xff"),), UNSET),
    ],
)
def test_metadata_say_who_calls(metadata: Any, origin: Any) -> None:
    assert origin_of(metadata) == origin


@pytest.mark.parametrize(
    ("metadata", "origin"),
    [
        ((), Origin("till", "")),
        (METADATA, Origin("till/ana", "checkout-7")),
        ((("x-actor", "a" * 1_000),), Origin("till/" + "a" * 123, "")),
        ((("x-actor", "ana"), ("x-actor", "bea")), Origin("till/ana", "")),
    ],
)
def test_whose_key_it_is_goes_before_what_metadata_say(metadata: Any, origin: Any) -> None:
    assert origin_of(metadata, "till") == origin


def test_every_command_of_a_caller_has_an_origin() -> None:
    assert {*get_args(Command)} - {*get_args(CallersCommand)} == {Expire, StageLines, DropStaged}
    assert [kind for kind in get_args(CallersCommand) if "origin" not in kind.__struct_fields__] == []


def test_a_retry_by_another_way_is_the_same_request() -> None:
    order = Reserve("o", "order", (Line("v", "w", 1),), 15, "key")
    assert fingerprint(order) == "864f854c5c0a1ff32550a90d8cc41148"
    assert fingerprint(replace(order, origin=ORIGIN)) == fingerprint(order)


@pytest.mark.parametrize("method", ["ReserveStock", "ConfirmReservation", "ReleaseReservation"])
async def test_calls_of_an_order_service_have_one(
    inventory: InventoryServiceStub, fake: FakeInventory, method: str
) -> None:
    ids: Any = {"organization_id": "o", "order_id": "order"}
    request: Any = {
        "ReserveStock": pb.ReserveStockRequest(**ids, items=[LINE]),
        "ConfirmReservation": pb.ConfirmReservationRequest(**ids, reservation_id="r"),
        "ReleaseReservation": pb.ReleaseReservationRequest(organization_id="o", reservation_id="r", reason="x"),
    }[method]
    with pytest.raises(grpc.aio.AioRpcError):
        await getattr(inventory, method)(request, metadata=METADATA)
    with pytest.raises(grpc.aio.AioRpcError):
        await getattr(inventory, method)(request)
    assert [asked.origin for asked in fake.asked] == [ORIGIN, UNSET]  # type: ignore[attr-defined]


async def test_calls_of_a_warehouse_have_one(stock: StockServiceStub, fake: FakeInventory) -> None:
    line = stock_pb2.ReceivedLine(variant_id="v", warehouse_id="w", quantity=1)
    received = stock_pb2.ReceiveStockRequest(organization_id="o", request_id="r", lines=[line])
    with pytest.raises(grpc.aio.AioRpcError):
        await stock.ReceiveStock(received, metadata=METADATA)
    counted = stock_pb2.ImportLine(organization_id="o", variant_id="v", warehouse_id="w", total_quantity=1)
    imported = stock_pb2.ImportStockRequest(request_id="i", lines=[counted], lines_total=1)
    with pytest.raises(grpc.aio.AioRpcError):
        await stock.ImportStock(iter([imported]), metadata=METADATA)
    [first, second] = fake.asked
    assert isinstance(first, Receive)
    assert isinstance(second, Import)
    assert (first.origin, second.origin, len(second.lines)) == (ORIGIN, ORIGIN, 1)


async def test_the_requests_of_a_stream_have_that_of_the_stream(channel: grpc.aio.Channel, fake: FakeInventory) -> None:
    order = pb.ReserveStockRequest(organization_id="o", order_id="order", items=[LINE])
    requests = stream_pb2.ReserveStockRequests(requests=[stream_pb2.StreamedRequest(sequence=1, request=order)])
    call = ReservationStreamStub(channel).ReserveStock(iter([requests]), metadata=METADATA)
    assert len([replies async for replies in call]) == 1
    assert [asked.origin for asked in fake.asked] == [ORIGIN]  # type: ignore[attr-defined]

"""No caller has all of what is limited, whatever the organizations that its key is for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.unavailable import Unavailable
from rpc.frame import Frame
from rpc.in_flight import InFlightLimit
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.service_names import HEALTH
from rpc.services.health_service import HealthServicer
from rpc.transport.transport_name import TransportName
from tests.rpc.test_authorization import KEYS, key
from tests.rpc.test_reservation_stream import Held, an_order, message, until

pytestmark = pytest.mark.anyio

CALLS_MAX = 20
BOUNDS = NetworkBounds(streams_max=4, imports_max=4, watches_max=20)


def of(name: str) -> Any:
    return (("authorization", f"Bearer {name}"),)


def test_a_caller_has_its_share_and_leaves_it_again() -> None:
    limit = InFlightLimit(CALLS_MAX, "calls", share=1)
    for number in range(CALLS_MAX // 2):
        limit.enter(f"organization-{number}", "operator")
    with pytest.raises(Unavailable):
        limit.enter("another", "operator")
    limit.enter("another", "seller")
    limit.leave("another", "seller")
    for number in range(CALLS_MAX // 2):
        limit.leave(f"organization-{number}", "operator")
    assert (limit.under_way, limit._by_caller, limit._by_organization) == (0, {}, {})


def test_watches_for_which_no_key_is_asked_are_shared_by_the_addresses_that_they_come_from() -> None:
    frame, open_calls = Frame(CALLS_MAX, bounds=BOUNDS), []
    frame.add_service(HEALTH, HealthServicer(), is_counted=False)

    def watch(peer: str) -> Any:
        call: Any = FromAddress(peer)
        open_calls.append(call)
        frame.serve(f"/{HEALTH}/Watch", call)
        return call

    one = [watch(f"ipv4:127.0.0.2:{number}") for number in range(BOUNDS.watches_max)]
    refused = [call for call in one if call.status is not None]
    assert [call.status.details for call in refused] == ["Too many watches are under way, try again."] * 2
    assert not any(call.is_asked for call in refused)  # for its message
    assert watch("ipv4:127.0.0.1:1").status is None
    one[0].gone()
    assert watch("ipv4:127.0.0.2:99").status is None
    assert frame.statistics().calls_turned_away == 2
    for call in open_calls[1:]:
        if call.status is None:
            call.gone()


class FromAddress:
    """A call that comes with its message."""

    def __init__(self, peer: str) -> None:
        self.peer = lambda: peer
        self.status: Any = None
        self.is_over = False
        self.is_asked = False
        self.caller = ""
        self.watched: Any = None
        self.gone: Any = None

    def receive(self, on_message: Any) -> None:
        self.is_asked = True
        on_message(b"")

    def when_gone(self, listener: Any) -> None:
        self.gone = listener

    def run(self, coroutine: Any) -> None:
        coroutine.close()

    def abort(self, status: Any) -> None:
        self.status = status


@pytest.fixture
async def held(transport: TransportName, tmp_path: Path) -> Any:
    """A server whose answers are held back, and a channel to it."""
    keys = tmp_path / "keys.toml"
    keys.write_text(KEYS + key("second", ["*"], ("read", "reserve", "manage")))
    inventory: Any = Held()
    server = RpcServer(
        inventory,
        host="127.0.0.1",
        port=0,
        transport=transport,
        calls_max=CALLS_MAX,
        bounds=BOUNDS,
        keys_file=str(keys),
    )
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        yield inventory, server, channel
    await server.stop(0)


async def test_calls_and_requests_of_streams_of_one_caller_leave_some_for_another(held: Any) -> None:
    inventory, server, channel = held
    stub = InventoryServiceStub(channel)
    calls = [
        asyncio.ensure_future(
            stub.ReserveStock(an_order(number, organization_id=f"shop-{number}").request, metadata=of("operator"))
        )
        for number in range(CALLS_MAX)
    ]
    await until(lambda: sum(call.done() for call in calls) >= 1)
    stream = ReservationStreamStub(channel).ReserveStock(metadata=of("operator"))
    await stream.write(message(an_order(90, organization_id="other")))
    [refused] = (await stream.read()).replies
    assert refused.status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    under_way = server.statistics().calls_under_way
    other = asyncio.ensure_future(
        stub.ReserveStock(an_order(91, organization_id="shop").request, metadata=of("second"))
    )
    await until(lambda: server.statistics().calls_under_way == under_way + 1)
    stream.cancel()
    for call in (*calls, other):
        call.cancel()
    await asyncio.gather(*calls, other, return_exceptions=True)
    while inventory.held:
        inventory.held.pop()[1].fail(ValueError("the end"))
    await until(lambda: server.statistics().calls_under_way == 0)


async def test_imports_of_one_caller_leave_half_for_others(held: Any) -> None:
    _, server, channel = held
    stub, never = StockServiceStub(channel), asyncio.Event()

    async def endless() -> AsyncIterator[stock_pb2.ImportStockRequest]:
        yield stock_pb2.ImportStockRequest(request_id="r")
        await never.wait()

    uploads = [stub.ImportStock(endless(), metadata=of("operator")) for _ in range(4)]
    await until(lambda: sum(upload.done() for upload in uploads) == 2)
    assert server.statistics().calls_under_way == 2
    uploads.append(stub.ImportStock(endless(), metadata=of("second")))
    await until(lambda: server.statistics().calls_under_way == 3)
    for upload in uploads:
        upload.cancel()
    await asyncio.gather(*uploads, return_exceptions=True)
    await until(lambda: server.statistics().calls_under_way == 0)

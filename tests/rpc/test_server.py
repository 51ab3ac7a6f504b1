"""Where the server listens, what health says, and how it stops."""

import asyncio
import socket
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.rpc_server import RpcServer
from rpc.services.health_service import SERVICES, HealthServicer
from rpc.transport import addresses
from rpc.transport.addresses import Address, ListenError, free_addresses
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
NOBODY: Any = None  # the context of no call
QUESTION = pb.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")


def health_of(channel: grpc.aio.Channel) -> Any:
    """A stub; the types of it know none of its methods."""
    return health_pb2_grpc.HealthStub(channel)


def has_ipv6() -> bool:
    return len(free_addresses("localhost", 0)) == 2


async def ask(address: Address) -> pb.GetStockInfoResponse:
    async with grpc.aio.insecure_channel(str(address)) as channel:
        return await InventoryServiceStub(channel).GetStockInfo(QUESTION)


async def test_localhost_is_both_of_its_addresses_on_one_port(fake: FakeInventory, transport: TransportName) -> None:
    server = RpcServer(fake, host="localhost", port=0, transport=transport)
    listening = await server.start()
    assert [address.host for address in listening] == ["127.0.0.1", "::1"][: 2 if has_ipv6() else 1]
    assert len({address.port for address in listening}) == 1
    for address in listening:
        assert (await ask(address)).stock_info
    await server.stop(0)


async def test_a_machine_without_ipv6_serves_localhost(
    fake: FakeInventory, transport: TransportName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "LOCALHOST_V6", "2001:db8::1")  # an address that no machine has
    server = RpcServer(fake, host="localhost", port=0, transport=transport)
    [address] = await server.start()
    assert (await ask(address)).stock_info
    await server.stop(0)


async def test_a_second_server_on_the_port_is_told_so(
    server: RpcServer, fake: FakeInventory, transport: TransportName, capfd: pytest.CaptureFixture[str]
) -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        with pytest.raises(ListenError, match=r"Cannot listen on [\d.:]+: the address is in use"):
            await RpcServer(fake, host=host, port=server.addresses[0].port, transport=transport).start()
    assert (await ask(server.addresses[0])).stock_info
    assert capfd.readouterr().err == ""


async def test_a_port_that_is_taken_at_the_last_moment_is_reported_too(
    server: RpcServer, fake: FakeInventory, transport: TransportName, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = server.addresses
    monkeypatch.setattr("rpc.rpc_server.free_addresses", lambda host, port: taken)
    for port in (0, taken[0].port):
        with pytest.raises(ListenError, match="the address is in use"):
            await RpcServer(fake, host="127.0.0.1", port=port, transport=transport).start()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6")
def test_localhost_is_taken_if_either_of_its_addresses_is() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"Cannot listen on \[::1\]:{port}: the address is in use"):
            free_addresses("localhost", port)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("host.invalid", 1, "no such address"),
        ("", 1, "no such address"),
        ("a..b", 1, "no such address"),
        ("192.0.2.1", 0, "is no address of this machine"),
        ("127.0.0.1", 65_536, "Port 65536 does not exist"),
        ("127.0.0.1", -1, "Port -1 does not exist"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_with_the_cause(host: str, port: int, text: str) -> None:
    with pytest.raises(ListenError, match=text):
        free_addresses(host, port)


def test_addresses_are_written_as_grpc_reads_them() -> None:
    assert str(Address("127.0.0.1", 50053)) == "127.0.0.1:50053"
    assert str(Address("::1", 50053)) == "[::1]:50053"


def test_health_knows_the_services_by_their_names_and_the_server_by_none() -> None:
    assert set(SERVICES) == {
        "",
        "InventoryService",
        "inventory.v1.InventoryService",
        "inventory.v1.StockService",
        "inventory.v1.ReservationStream",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_health_follows_the_inventory(server: RpcServer, channel: grpc.aio.Channel, service: str) -> None:
    health = health_of(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert (await health.Check(request)).status == SERVING
    server.set_serving(False)
    assert (await health.Check(request)).status == NOT_SERVING
    server.set_serving(True)
    assert (await health.Check(request)).status == SERVING


async def test_an_inventory_that_does_not_serve_yet_is_not_healthy(
    fake: FakeInventory, transport: TransportName
) -> None:
    fake.serving = False
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address)) as channel:
        response = await health_of(channel).Check(health_pb2.HealthCheckRequest())
        assert response.status == NOT_SERVING
    await server.stop(0)


async def test_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    health = health_of(channel)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await health.Check(health_pb2.HealthCheckRequest(service="Other"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_details(raised.value).reason == "SERVICE_UNKNOWN"
    watch = health.Watch(health_pb2.HealthCheckRequest(service="Other"))
    assert (await watch.read()).status == SERVICE_UNKNOWN
    watch.cancel()


@pytest.mark.skipif(not hasattr(health_pb2, "HealthListRequest"), reason="an older grpcio-health-checking")
async def test_health_lists_all_services(channel: grpc.aio.Channel) -> None:
    request: Any = getattr(health_pb2, "HealthListRequest")()  # noqa: B009 - an older package has none
    response = await health_of(channel).List(request)
    assert {name: status.status for name, status in response.statuses.items()} == dict.fromkeys(SERVICES, SERVING)


async def test_a_watcher_sees_the_changes_and_then_the_end(server: RpcServer, channel: grpc.aio.Channel) -> None:
    watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    server.set_serving(False)
    assert (await watch.read()).status == NOT_SERVING
    server.set_serving(True)
    assert (await watch.read()).status == SERVING
    stopping = asyncio.create_task(server.stop(60))
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF
    await stopping  # at once: the watch does not hold it up


async def test_watchers_share_no_event_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that leaves an event is looked for among all that wait for it: 50,000 at once held the loop for 11 s."""
    events: list[asyncio.Event] = []

    class NotedEvent(asyncio.Event):
        def __init__(self) -> None:
            super().__init__()
            self.waits = 0
            events.append(self)

        async def wait(self) -> Any:
            self.waits += 1
            assert self.waits == 1
            await super().wait()

    monkeypatch.setattr("asyncio.Event", NotedEvent)
    health = HealthServicer()
    watches = [health.Watch(health_pb2.HealthCheckRequest(), NOBODY) for _ in range(100)]
    for watch in watches:
        await anext(watch)
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    assert (health.statistics().watchers, len(events)) == (100, 100)
    for watcher in waiting:
        watcher.cancel()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}
    assert health.statistics().watchers == 0


async def test_a_stop_lets_calls_finish_and_takes_no_more(server: RpcServer, fake: FakeInventory) -> None:
    async with grpc.aio.insecure_channel(str(server.addresses[0])) as channel:
        fake.gate.clear()
        waiting = asyncio.ensure_future(InventoryServiceStub(channel).GetStockInfo(QUESTION))
        await fake.arrived.wait()
        watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(server.stop(60))
        assert (await watch.read()).status == NOT_SERVING
        async with grpc.aio.insecure_channel(str(server.addresses[0])) as late:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await InventoryServiceStub(late).GetStockInfo(QUESTION)
            # CANCELLED is what gRPC makes of a call that connects while the socket is being closed.
            assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        fake.gate.set()
        assert (await waiting).stock_info
        await stopping


async def test_a_stop_cancels_what_does_not_finish_in_time(
    server: RpcServer, fake: FakeInventory, caplog: pytest.LogCaptureFixture
) -> None:
    async with grpc.aio.insecure_channel(str(server.addresses[0])) as channel:
        fake.gate.clear()
        waiting = asyncio.ensure_future(InventoryServiceStub(channel).GetStockInfo(QUESTION))
        await fake.arrived.wait()
        await server.stop(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await waiting
        assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    fake.gate.set()
    await server.stop(0)
    assert not caplog.records


async def test_a_server_that_never_started_can_be_stopped(fake: FakeInventory, transport: TransportName) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport)
    await server.stop(0)
    assert "not started" in repr(server)


async def test_the_port_is_free_again_after_a_stop(fake: FakeInventory, transport: TransportName) -> None:
    first = RpcServer(fake, host="localhost", port=0, transport=transport)
    port = (await first.start())[0].port
    await first.stop(0)
    second = RpcServer(fake, host="localhost", port=port, transport=transport)
    assert await ask((await second.start())[0])
    await second.stop(0)


async def test_it_says_what_it_does(server: RpcServer, events: list[Any]) -> None:
    assert f"127.0.0.1:{server.addresses[0].port}" in repr(server)
    assert set(server.statistics()[:2]) == {0}


async def test_a_channel_knows_nothing_of_an_earlier_server_on_its_port(fake: FakeInventory) -> None:
    """Or a test would fail whose server got the port of an earlier test's, in one of a thousand runs."""
    earlier = RpcServer(fake, host="127.0.0.1", port=0)
    [address] = await earlier.start()
    async with grpc.aio.insecure_channel(str(address)) as left_open:
        stub = InventoryServiceStub(left_open)
        await stub.GetStockInfo(QUESTION)
        await earlier.stop(0)
        for _ in range(2):  # the first notices that the connection is gone, the second that there is no other
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.GetStockInfo(QUESTION)
        server = RpcServer(fake, host="127.0.0.1", port=address.port)
        await server.start()
        assert (await ask(address)).stock_info
        await server.stop(0)

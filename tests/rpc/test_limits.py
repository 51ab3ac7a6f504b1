"""What a client can hold open must not turn other callers away, and what stalls is ended."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2, stock_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.outcomes import StockImported
from rpc.fair_turns import LARGE_BYTES, UNNAMED
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_reservation_stream import Held

pytestmark = pytest.mark.anyio

QUESTION = inventory_pb2.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")
ONE_IMPORT = NetworkBounds(imports_max=1, import_stall_s=1.0)
ALL_IMPORTS = NetworkBounds(imports_a_caller_max=4)  # as behind a proxy
FIRST_MESSAGE = stock_pb2.ImportStockRequest(request_id="req_1")


def one_line(number: int, organization_id: str = "o") -> stock_pb2.ImportStockRequest:
    row = stock_pb2.ImportLine(organization_id=organization_id, variant_id=f"v{number}", warehouse_id="w")
    return stock_pb2.ImportStockRequest(request_id="req_1", lines=[row])


async def uploads_under_way(server: RpcServer, count: int) -> None:
    async with asyncio.timeout(30):
        while server.statistics().calls_under_way != count:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.005)


async def imports_known(server: RpcServer, count: int) -> None:
    """As many imports have said whose they are."""
    async with asyncio.timeout(30):
        while server._frame.imports.under_way != count:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.005)


async def test_what_is_held_open_turns_no_other_call_away(fake: FakeInventory, transport: TransportName) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, calls_max=2, bounds=ALL_IMPORTS)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches:
            assert (await watch.read()).status == 1
        reflection_stub: Any = reflection_pb2_grpc.ServerReflectionStub
        reflections = [reflection_stub(channel).ServerReflectionInfo() for _ in "12"]
        for asking in reflections:
            await asking.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            assert (await asking.read()).list_services_response.service
        imports = [StockServiceStub(channel).ImportStock() for _ in range(3)]
        for upload in imports:
            await upload.write(FIRST_MESSAGE)
        await uploads_under_way(server, 3)
        streams = [ReservationStreamStub(channel).ReserveStock() for _ in range(3)]
        for stream in streams:
            await stream.write(stream_pb2.ReserveStockRequests())
        assert (await InventoryServiceStub(channel).GetStockInfo(QUESTION)).stock_info
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
        assert server.statistics().calls_turned_away == 0
        for call in (*watches, *reflections, *imports, *streams):
            call.cancel()
    await server.stop(0)


async def test_large_requests_that_do_not_say_whose_they_are_have_turns_as_one_organization(
    fake: FakeInventory, transport: TransportName
) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport)
    [address] = await server.start()
    turns, posted = server._frame.turns, list[str]()
    post = turns.post

    def noted(organization_id: str, size_bytes: int, begin: Callable[[], None], source: str = "") -> None:
        posted.append(organization_id)
        post(organization_id, size_bytes, begin, source)

    turns.post = noted  # type: ignore[method-assign]
    async with grpc.aio.insecure_channel(str(address)) as channel:
        large = inventory_pb2.ReserveStockRequest(order_id="o" * LARGE_BYTES)
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await InventoryServiceStub(channel).ReserveStock(large)
    assert posted == [UNNAMED, UNNAMED]
    turns._company.note("another")
    assert turns._company.has_several, "so that they are paced"
    await server.stop(0)


async def test_health_is_told_also_while_calls_are_turned_away(fake: FakeInventory, transport: TransportName) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, calls_max=1)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        fake.gate.clear()
        waiting = asyncio.ensure_future(InventoryServiceStub(channel).GetStockInfo(QUESTION))
        await fake.arrived.wait()
        with pytest.raises(grpc.aio.AioRpcError, match="Too many calls"):
            await InventoryServiceStub(channel).GetStockInfo(QUESTION)
        health: Any = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
        fake.gate.set()
        await waiting
    await server.stop(0)


async def test_a_large_request_that_was_given_up_is_under_way_until_the_core_has_done_it(
    transport: TransportName,
) -> None:
    held = Held()
    server = RpcServer(held, host="127.0.0.1", port=0, transport=transport)
    [address] = await server.start()
    items = [inventory_pb2.ReservationItem(variant_id=f"v{number:030}", quantity=1) for number in range(300)]
    request = inventory_pb2.ReserveStockRequest(organization_id="org_1", order_id="o", items=items)
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        call = InventoryServiceStub(channel).ReserveStock(request)
        waiting = asyncio.ensure_future(call)
        await held.holds(1)
        call.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await uploads_under_way(server, 0)
        assert server._frame.turns.statistics().begun_bytes == request.ByteSize()
        held.give([0])
        assert server._frame.turns.statistics().begun_bytes == 0
    await server.stop(0)


async def test_watches_have_a_limit_of_their_own_and_health_is_told_beyond_it(
    fake: FakeInventory, transport: TransportName
) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport)
    server._frame._watches._under_way_max = 2
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            assert (await watch.read()).status == 1
        with pytest.raises(grpc.aio.AioRpcError, match="Too many watches"):
            await health.Watch(health_pb2.HealthCheckRequest()).read()
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
        assert (await InventoryServiceStub(channel).GetStockInfo(QUESTION)).stock_info
        watches[0].cancel()
        async with asyncio.timeout(20):
            while server._frame._watches.under_way == 2:  # noqa: ASYNC110 - it does not tell
                await asyncio.sleep(0.005)
        again = health.Watch(health_pb2.HealthCheckRequest())
        assert (await again.read()).status == 1
        for watch in (watches[1], again):
            watch.cancel()
    await server.stop(0)


async def test_one_import_too_many_is_to_be_tried_again(fake: FakeInventory, transport: TransportName) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, bounds=ALL_IMPORTS)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        stub = StockServiceStub(channel)
        imports = [stub.ImportStock() for _ in range(4)]
        for upload in imports:
            await upload.write(FIRST_MESSAGE)
        await uploads_under_way(server, 4)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ImportStock(iter([FIRST_MESSAGE]))
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_details(raised.value).retry_delay_s == 0.5
        fake.outcome = StockImported(0, 0, 0, 0)
        last = stock_pb2.ImportStockRequest(lines_total=0)
        await imports[0].write(last)
        await imports[0].done_writing()
        await imports[0]
        await uploads_under_way(server, 3)  # it is counted until its answer is written
        await stub.ImportStock(iter([stock_pb2.ImportStockRequest(request_id="req_2", lines_total=0)]))
        for upload in imports:
            upload.cancel()
    await server.stop(0)


async def test_an_organization_leaves_an_import_for_others(fake: FakeInventory, transport: TransportName) -> None:
    def first_of(organization_id: str) -> stock_pb2.ImportStockRequest:
        row = stock_pb2.ImportLine(organization_id=organization_id, variant_id="v", warehouse_id="w", total_quantity=1)
        return stock_pb2.ImportStockRequest(request_id="r", lines=[row])

    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, bounds=ALL_IMPORTS)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        stub = StockServiceStub(channel)
        imports = [stub.ImportStock() for _ in range(4)]
        for number, organization_id in enumerate(("flood", "flood", "flood", "other")):
            await imports[number].write(first_of(organization_id))
            await imports_known(server, number + 1)
        imports[3].cancel()
        await imports_known(server, 3)
        with pytest.raises(grpc.aio.AioRpcError, match="Too many imports of this organization"):
            await stub.ImportStock(iter([first_of("flood")]))
        for upload in imports:
            upload.cancel()
        await imports_known(server, 0)
    await server.stop(0)


async def test_an_import_that_stalls_is_ended_and_one_that_goes_on_is_not(
    fake: FakeInventory, transport: TransportName, caplog: pytest.LogCaptureFixture
) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, bounds=ONE_IMPORT)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        stub = StockServiceStub(channel)
        stalled = stub.ImportStock()
        await stalled.write(FIRST_MESSAGE)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stalled
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error_details(raised.value).reason == "STREAM_STALLED"
        assert not fake.asked
        await uploads_under_way(server, 0)
        fake.outcome = StockImported(0, 0, 0, 0)
        steady = stub.ImportStock()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        lines = 0
        while loop.time() - began_s < 1.3:  # longer than the limit in all
            await steady.write(one_line(lines))
            lines += 1
            await asyncio.sleep(0.01)
        await steady.write(stock_pb2.ImportStockRequest(lines_total=lines))
        await steady.done_writing()
        await steady
    await server.stop(0)
    assert not caplog.records


@pytest.mark.parametrize("said", [stock_pb2.ImportStockRequest(), FIRST_MESSAGE])
async def test_an_import_that_sends_messages_without_lines_stalls_all_the_same(
    said: stock_pb2.ImportStockRequest,
    fake: FakeInventory,
    transport: TransportName,
    events: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By the server's word: grpc.aio's client may make INTERNAL of a status that comes while it writes."""
    caplog.set_level(logging.DEBUG, "rpc")
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, bounds=ONE_IMPORT)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        stalled = StockServiceStub(channel).ImportStock()
        await stalled.write(FIRST_MESSAGE)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not stalled.done():
            assert loop.time() - began_s < 20
            with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # it ends while this writes
                await stalled.write(said)
            await asyncio.sleep(0.05)
        await uploads_under_way(server, 0)
    await server.stop(0)
    assert [logged["reason"] for logged in events] == ["STREAM_STALLED"]

"""The stream against the real program on a real file: G1, G2, G3, G6 and G10, as for calls."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import InventoryClient, Item, RetryPolicy, error_details
from stockkeeper_client.v1 import inventory_pb2, stream_pb2
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from tests.ports import free_port
from tests.system.servers import ORGANIZATION, ROOT, ServerProcess, audit, figures, line, running_server, start_server

pytestmark = pytest.mark.anyio

BASKET: list[Item] = [{"variant_id": "a", "quantity": 1}, {"variant_id": "b", "quantity": 1}]

PATIENCE = RetryPolicy(backoff_s=1.0, backoff_s_max=10.0)  # for a server that takes its time to start

# Fills a stream, reads nothing, and says so: to be killed.
SENDER = """
import asyncio, sys
import grpc.aio
from stockkeeper_client.v1 import inventory_pb2, stream_pb2
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

async def main(port):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        items = [inventory_pb2.ReservationItem(variant_id=name, quantity=1) for name in "ab"]
        for number in range(200):
            order = {"organization_id": "org_1", "order_id": f"order_{number}", "items": items}
            request = inventory_pb2.ReserveStockRequest(**order)
            streamed = stream_pb2.StreamedRequest(sequence=number, request=request)
            await call.write(stream_pb2.ReserveStockRequests(requests=[streamed]))
            if number == 50:
                await call.read()
                print("sending", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main(int(sys.argv[1])))
"""


def streaming(server: ServerProcess, retry: RetryPolicy | None = None) -> InventoryClient:
    return InventoryClient("127.0.0.1", server.port, timeout_s=60, breaker=False, streaming=True, retry=retry)


def an_order(sequence: int, order_id: str, quantity: int = 1) -> stream_pb2.StreamedRequest:
    items = [inventory_pb2.ReservationItem(variant_id="a", quantity=quantity)]
    request = inventory_pb2.ReserveStockRequest(organization_id=ORGANIZATION, order_id=order_id, items=items)
    return stream_pb2.StreamedRequest(sequence=sequence, request=request)


async def test_a_hot_row_is_sold_to_exactly_zero_over_streams_and_calls(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as calling:
        await calling.stock.import_stock([line("a", 100), line("b", 200)])
        sold = 0

        async def buy(client: InventoryClient, order_id: str) -> None:
            nonlocal sold
            try:
                await client.reserve_stock(ORGANIZATION, order_id, BASKET)
                sold += 1
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert error_details(error).reason == "INSUFFICIENT_STOCK"
                assert error_details(error).precondition_violations

        async with streaming(server) as one, streaming(server) as other:
            clients = (calling, one, other)
            await asyncio.gather(*(buy(clients[number % 3], f"order_{number}") for number in range(300)))
        assert sold == 100
        assert await figures(calling) == {("a", "w1"): (0, 100), ("b", "w1"): (100, 100)}
    audit(tmp_path / "stock.db")


async def test_two_requests_of_one_order_on_one_stream_get_one_reservation(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 10)])
        call: Any = ReservationStreamStub(client.channel).ReserveStock()
        await call.write(
            stream_pb2.ReserveStockRequests(
                requests=[an_order(1, "order_1"), an_order(2, "order_1"), an_order(3, "order_1", quantity=2)]
            )
        )
        replies: dict[int, stream_pb2.ReserveStockReply] = {}
        while len(replies) < 3:
            replies.update({reply.sequence: reply for reply in (await call.read()).replies})
        assert replies[1].response.success
        assert replies[1].response == replies[2].response
        assert replies[3].status.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
        again = await client.reserve_stock(ORGANIZATION, "order_1", [{"variant_id": "a", "quantity": 1}])
        assert again == replies[1].response
        assert await figures(client) == {("a", "w1"): (9, 1)}
        call.cancel()


async def test_a_refusal_under_an_idempotency_key_is_remembered(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, streaming(server) as client:
        await client.stock.import_stock([line("a", 1), line("b", 1)])
        basket: list[Item] = [{"variant_id": "a", "quantity": 2}]
        for total in (1, 10):
            await client.stock.import_stock([line("a", total)])
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.reserve_stock(ORGANIZATION, "order_1", basket, idempotency_key="key_1")
            assert error_details(caught.value).metadata["available"] == "1"
        assert (await client.reserve_stock(ORGANIZATION, "order_1", basket)).success


async def test_what_was_acknowledged_survives_a_kill_and_the_client_carries_on(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", port=free_port())
    client = streaming(server, PATIENCE)
    await client.stock.import_stock([line("a", 10_000), line("b", 10_000)])
    acknowledged: dict[str, str] = {}

    async def buy(buyer: int) -> None:
        for number in range(20):
            order_id = f"order_{buyer}_{number}"
            acknowledged[order_id] = (await client.reserve_stock(ORGANIZATION, order_id, BASKET)).reservation_id

    buying = asyncio.gather(*(buy(buyer) for buyer in range(20)))
    async with asyncio.timeout(60):
        while len(acknowledged) < 100:  # noqa: ASYNC110 - in the middle of it
            await asyncio.sleep(0.001)
    await server.kill()
    server = await start_server(tmp_path / "stock.db", port=server.port)
    await buying
    kept = {it.order_id: it.reservation_id async for it in client.stock.list_reservations(ORGANIZATION)}
    assert kept == acknowledged
    assert len(kept) == 400
    await client.close()
    assert await server.terminate() == 0
    audit(tmp_path / "stock.db")


async def test_a_client_killed_in_mid_stream_leaves_whole_reservations_and_no_hold(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 1_000), line("b", 1_000)])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SENDER, str(server.port)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"sending\n"
        process.kill()
        await process.wait()
        async with asyncio.timeout(60):
            while True:  # until what was under way is done; then what it did not reserve is free to the last piece
                reserved = len([it async for it in client.stock.list_reservations(ORGANIZATION)])
                rest: list[Item] = [{"variant_id": name, "quantity": 1_000 - reserved} for name in "ab"]
                if (await client.check_bulk_availability(ORGANIZATION, rest)).all_available:
                    break
        assert reserved
        assert (await client.reserve_stock(ORGANIZATION, "the rest", rest)).success
        assert await figures(client) == {("a", "w1"): (0, 1_000), ("b", "w1"): (0, 1_000)}
    audit(tmp_path / "stock.db")


async def test_a_stop_answers_what_is_under_way_and_tells_the_others_to_come_back(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db")
    client = streaming(server)
    await client.stock.import_stock([line("a", 100_000), line("b", 100_000)])
    acknowledged: list[str] = []
    ends: list[grpc.aio.AioRpcError] = []

    async def buy(buyer: int) -> None:
        for number in range(1_000):
            order_id = f"order_{buyer}_{number}"
            try:
                await client.reserve_stock(ORGANIZATION, order_id, BASKET)
            except grpc.aio.AioRpcError as error:
                ends.append(error)
                return
            acknowledged.append(order_id)

    buying = asyncio.gather(*(buy(buyer) for buyer in range(50)))
    async with asyncio.timeout(60):
        while len(acknowledged) < 100:  # noqa: ASYNC110 - in the middle of it
            await asyncio.sleep(0.001)
    assert await server.terminate() == 0
    await buying
    assert len(ends) == 50
    assert {error.code() for error in ends} == {grpc.StatusCode.UNAVAILABLE}
    await client.close()
    async with running_server(tmp_path / "stock.db") as again, again.client() as calling:
        kept = {it.order_id async for it in calling.stock.list_reservations(ORGANIZATION)}
        # Every reservation was answered: no caller was told "unavailable" whose order went through.
        assert kept == set(acknowledged)
    assert "Traceback" not in server.log.read_text()
    audit(tmp_path / "stock.db")

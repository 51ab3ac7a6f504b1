"""Front-end processes: they share a port and one inventory, and what happens when one of the processes dies."""

import asyncio
import errno
import json
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.transport.addresses import ListenError
from stockkeeper.serving.frontend_processes import Frontends
from tests.rpc.fake_inventory import FakeInventory
from tests.system.servers import (
    ORGANIZATION,
    ServerProcess,
    audit,
    figures,
    line,
    run_cli,
    running_server,
    start_server,
)

pytestmark = pytest.mark.anyio

TWO = ("--frontends", "2")
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def frontends(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def is_listening(process: psutil.Process) -> bool:
    try:
        return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections("tcp"))
    except psutil.Error:
        return False


def has_client(process: psutil.Process) -> bool:
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in process.net_connections("tcp"))


def complaints(server: ServerProcess) -> list[dict[str, object]]:
    """What the log has beyond the usual."""
    entries = [json.loads(text) for text in server.log.read_text().splitlines() if text.startswith("{")]
    return [entry for entry in entries if entry["level"] != "info"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - other processes do not tell
            await asyncio.sleep(0.02)


async def ended(processes: list[psutil.Process]) -> None:
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, 10)
    assert not alive


@asynccontextmanager
async def stubs_at_each(server: ServerProcess) -> AsyncIterator[list[InventoryServiceStub]]:
    """Clients with a connection each, enough that every front-end has one: the kernel deals them out."""
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        stubs: list[InventoryServiceStub] = []
        while len(stubs) < 4 or not all(has_client(process) for process in frontends(server)):
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options)
            await stack.enter_async_context(channel)
            await channel.channel_ready()
            stubs.append(InventoryServiceStub(channel))
        yield stubs


def an_order(order_id: str, quantity: int = 1) -> pb.ReserveStockRequest:
    items = [pb.ReservationItem(variant_id="a", quantity=quantity)]
    return pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id=order_id, items=items)


class Shopping:
    """Orders over all connections, one after another on each, until it is told to end."""

    def __init__(self, stubs: list[InventoryServiceStub], *, retries: bool) -> None:
        self.acknowledged: dict[str, str] = {}  # reservation ids by order
        self.failures: list[grpc.StatusCode] = []
        self._retries = retries
        self._is_over = False
        self._tasks = [asyncio.create_task(self._shop(n, stub)) for n, stub in enumerate(stubs)]

    async def acknowledges(self, orders: int) -> None:
        wanted = len(self.acknowledged) + orders
        await until(lambda: len(self.acknowledged) >= wanted)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _shop(self, number: int, stub: InventoryServiceStub) -> None:
        order = 0
        while not self._is_over:
            order_id = f"s{number}-{order}"
            try:
                reserved = await stub.ReserveStock(an_order(order_id), timeout=30)
                self.acknowledged[order_id] = reserved.reservation_id
                order += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(error.code())
                if not self._retries:
                    return
                await asyncio.sleep(0.02)


async def test_orders_meet_in_one_inventory_through_whichever_front_end_they_come(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db", *TWO) as server, server.client() as client:
        await client.stock.import_stock([line("a", 1_000)])
        async with stubs_at_each(server) as stubs:
            answers = await asyncio.gather(*(stub.ReserveStock(an_order("o1", 2)) for stub in stubs * 5))
            assert all(answer == answers[0] for answer in answers)
            await asyncio.gather(*(stub.ReserveStock(an_order(f"p{n}")) for n, stub in enumerate(stubs)))
            ids = {"organization_id": ORGANIZATION, "reservation_id": answers[0].reservation_id}
            request = pb.ConfirmReservationRequest(**ids, order_id="o1")
            confirmed = await asyncio.gather(*(stub.ConfirmReservation(request) for stub in stubs))
            assert all(answer == confirmed[0] for answer in confirmed)
            assert await figures(client) == {("a", "w1"): (998 - len(stubs), 2 + len(stubs))}
    audit(tmp_path / "stock.db")


async def test_a_front_end_that_is_killed_loses_nothing_and_is_replaced(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db", *TWO) as server, server.client() as client:
        await client.stock.import_stock([line("a", 1_000_000)])
        async with stubs_at_each(server) as stubs:
            shopping = Shopping(stubs, retries=True)
            while not shopping.failures:  # until a kill hits a call that is under way
                victim = frontends(server)[0]
                await shopping.acknowledges(20)
                victim.kill()
                await ended([victim])
                await until(lambda: sum(is_listening(process) for process in frontends(server)) == 2)
            await shopping.acknowledges(100)
            await shopping.end()
            assert set(shopping.failures) == {UNAVAILABLE}
        found = [r async for r in client.stock.list_reservations(ORGANIZATION, page_size=1_000)]
        assert {r.order_id: r.reservation_id for r in found} == shopping.acknowledged
        assert len(found) == len(shopping.acknowledged)
        assert complaints(server)[0]["event"] == "frontend_ended"
    audit(tmp_path / "stock.db")


async def test_a_front_end_that_keeps_crashing_is_started_more_and_more_slowly(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db", *TWO) as server, server.client() as client:
        stays, victim = frontends(server)
        killed: set[int] = set()
        while len(killed) < 4:
            await until(lambda: any(process.pid not in {*killed, stays.pid} for process in frontends(server)))
            [victim] = [process for process in frontends(server) if process.pid not in {*killed, stays.pid}]
            victim.kill()
            killed.add(victim.pid)
        await until(lambda: server.log.read_text().count("frontend_ended") == 4)
        pauses_s = [float(str(entry["restart_in_s"])) for entry in complaints(server)]
        assert pauses_s[1:] == [2 * pause_s for pause_s in pauses_s[:-1]]
        assert await figures(client) == {}  # the other one serves


async def test_g3_when_the_owner_is_killed_its_front_ends_end_and_a_restart_has_all(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", *TWO)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 1_000_000)])
    async with stubs_at_each(server) as stubs:
        shopping = Shopping(stubs, retries=False)
        await shopping.acknowledges(100)
        processes = frontends(server)
        await server.kill()
        await ended(processes)
        await shopping.end()
    assert set(shopping.failures) == {UNAVAILABLE}
    audit(tmp_path / "stock.db")
    async with running_server(tmp_path / "stock.db", *TWO) as server, server.client() as client:
        found = {r.order_id: r.reservation_id async for r in client.stock.list_reservations(ORGANIZATION)}
        assert shopping.acknowledged.items() <= found.items()


async def test_a_stop_under_load_answers_everyone_and_leaves_no_process(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", *TWO)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 1_000_000)])
    async with stubs_at_each(server) as stubs:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            shopping = Shopping(stubs, retries=False)
            await shopping.acknowledges(100)
            processes = frontends(server)
            stopping = asyncio.create_task(server.terminate())
            told = []
            while (response := await watch.read()) is not grpc.aio.EOF:
                told.append(response.status)
            assert set(told) == {health_pb2.HealthCheckResponse.NOT_SERVING}
        assert await stopping == 0
        await shopping.end()
    assert set(shopping.failures) == {UNAVAILABLE}
    assert not any(process.is_running() for process in processes)
    assert "Traceback" not in server.log.read_text()
    audit(tmp_path / "stock.db")
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        found = {r.order_id: r.reservation_id async for r in client.stock.list_reservations(ORGANIZATION)}
        assert shopping.acknowledged.items() <= found.items()


async def test_signals_to_all_processes_are_the_owners(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", *TWO)
    for process in frontends(server):
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
    assert await server.terminate() == 0
    assert complaints(server) == []


async def test_a_front_end_that_hangs_does_not_hold_up_the_stop_for_good(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", *TWO, "--grace-s", "0.5")
    processes = frontends(server)
    processes[0].suspend()
    assert await server.terminate() == 0
    await ended(processes)


async def test_a_port_that_others_hold_is_refused_and_so_is_that_of_front_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        await refused(tmp_path, other.getsockname()[1], *TWO)
    async with running_server(tmp_path / "one.db", *TWO) as server:
        await refused(tmp_path, server.port)
        await refused(tmp_path, server.port, *TWO)
        async with server.client() as client:
            assert await figures(client) == {}


async def refused(tmp_path: Path, port: int, *options: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/two.db"
    status, out, err = await run_cli("serve", "--port", str(port), "--database-url", url, *options)
    assert (status, out) == (1, "")
    assert err == (f"Cannot listen on 127.0.0.1:{port}: the address is in use, another server may be running there.\n")


async def test_g9_a_server_that_lost_ownership_ends_with_its_front_ends_and_status_3(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", *TWO)
    processes = frontends(server)
    with sqlite3.connect(tmp_path / "stock.db", timeout=10) as connection:
        connection.execute("UPDATE ownership SET epoch = epoch + 1")
    connection.close()
    assert await asyncio.wait_for(server.process.wait(), 30) == 3
    await ended(processes)
    entries = [json.loads(text) for text in server.log.read_text().splitlines()]
    assert [entry["exit_status"] for entry in entries if entry["event"] == "ended"] == [3]


async def test_an_error_that_keeps_a_front_end_from_starting_is_reported_and_ends_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_memory(*command: str, **named: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_memory)
    network = Frontends(FakeInventory(), processes=2, host="localhost", port=0, calls_max=10)
    with pytest.raises(ListenError, match="Cannot allocate memory"):
        await asyncio.wait_for(network.start(), 10)
    await network.drain(0)

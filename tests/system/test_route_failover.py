"""An owner that is killed, or stopped, behind a router: its callers wait for the next one, and nothing is lost."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client import InventoryClient, Item
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from tests.postgres import PostgresServer, running_postgres
from tests.system.servers import ServerProcess, line, run_cli, start_server, until_logged
from tests.system.test_route import a_router

pytestmark = pytest.mark.anyio

ORGANIZATION, PIECES = "shop", 100_000
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


class Shoppers:
    """Callers who take no error for an answer, and remember what was acknowledged."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0)])
        self.stub = InventoryServiceStub(self._channel)
        self.acknowledged: dict[str, str] = {}
        self._watched: set[str] = set()
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        followed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(4)]
        self._tasks += [asyncio.create_task(self._stream(number)) for number in range(2)]
        self._following = asyncio.create_task(self._follow(followed))
        await followed.wait()

    async def until_more(self, orders: int = 20) -> None:
        wanted = len(self.acknowledged) + orders
        while len(self.acknowledged) < wanted:
            for task in self._tasks:
                if task.done():
                    await task
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Everybody has had an answer, and the watch has told of all that was acknowledged."""
        self._ended = True
        await asyncio.gather(*self._tasks)
        async with asyncio.timeout(PATIENCE_S):
            while not set(self.acknowledged.values()) <= self._watched:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following
        await self._channel.close()

    async def _call(self, number: int) -> None:
        count = 0
        while not self._ended:
            order_id, count = f"call-{number}-{count}", count + 1
            items = [pb.ReservationItem(variant_id="a", quantity=1)]
            request = pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id=order_id, items=items)
            reserved = await self.stub.ReserveStock(request, timeout=PATIENCE_S)
            self.acknowledged[order_id] = reserved.reservation_id
            named = {"organization_id": ORGANIZATION, "reservation_id": reserved.reservation_id}
            if count % 2:
                confirm = pb.ConfirmReservationRequest(order_id=order_id, **named)
                await self.stub.ConfirmReservation(confirm, timeout=PATIENCE_S)
            else:
                await self.stub.ReleaseReservation(pb.ReleaseReservationRequest(**named), timeout=PATIENCE_S)

    async def _stream(self, number: int) -> None:
        client = InventoryClient("127.0.0.1", self._port, timeout_s=PATIENCE_S, breaker=False, streaming=True)
        async with client:
            count = 0
            while not self._ended:
                order_id, count = f"stream-{number}-{count}", count + 1
                items: list[Item] = [{"variant_id": "a", "quantity": 1}]
                reserved = await client.reserve_stock(ORGANIZATION, order_id, items)
                self.acknowledged[order_id] = reserved.reservation_id

    async def _follow(self, followed: asyncio.Event) -> None:
        async with InventoryClient("127.0.0.1", self._port, breaker=False) as client:
            last_lsn = 0
            async for change in client.stock.watch_changes(ORGANIZATION):
                followed.set()
                assert change.lsn >= last_lsn  # nothing is told twice
                last_lsn = change.lsn
                if change.HasField("reservation"):
                    self._watched.add(change.reservation.reservation_id)


async def refused_while_away(stub: Any) -> None:
    """No owner is there: a caller that waits for five seconds hears so before it gives up."""
    items = [pb.ReservationItem(variant_id="a", quantity=1)]
    for method, request in (
        (stub.ReserveStock, pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id="x", items=items)),
        (stub.GetStockInfo, pb.GetStockInfoRequest(organization_id=ORGANIZATION, variant_id="a")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(request, timeout=5)
        details = error_details(refused.value)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert details.reason in ("CELL_AWAY", "SHUTTING_DOWN")
        assert details.retry_delay_s


async def test_a_killed_and_a_stopped_owner_cost_their_callers_a_wait_and_no_error(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = str(postgres.get_uri()).replace("postgresql://", "postgresql+asyncpg://")
    cell = ("--standby", "--cells-map", str(tmp_path / "cells.toml"), "--cell", "north")
    (tmp_path / "cells.toml").write_text(f'version = 1\n[cells.north]\naddress = "unix:{tmp_path}/north.sock"\n')

    async def a_server(name: str) -> ServerProcess:
        servers[name] = await start_server(tmp_path / name, *cell, database_url=url)
        return servers[name]

    servers: dict[str, ServerProcess] = {}
    try:
        first = await a_server("first")
        async with a_router(tmp_path, "--cell-wait-s", str(PATIENCE_S)) as router:
            async with router.client() as client:
                await client.stock.import_stock([line("a", PIECES, organization_id=ORGANIZATION)])
            shoppers = Shoppers(router.port)
            await shoppers.begin()
            await shoppers.until_more()
            await first.kill()
            await refused_while_away(shoppers.stub)
            second = await a_server("second")
            await shoppers.until_more()
            door = (tmp_path / "north.sock").stat().st_ino
            third = await a_server("third")
            await until_logged(third, '"standing_by"')
            await shoppers.until_more()
            assert (tmp_path / "north.sock").stat().st_ino == door  # it is not taken before the database is
            second.process.send_signal(signal.SIGSTOP)
            await until_logged(third, '"took_over"')
            await shoppers.until_more()
            await shoppers.end()
            second.process.send_signal(signal.SIGCONT)
            async with router.client() as client:
                kept = [one async for one in client.stock.list_reservations(ORGANIZATION)]
            assert len(kept) == len({one.order_id for one in kept})
            assert {one.order_id: one.reservation_id for one in kept}.items() >= shoppers.acknowledged.items()
    finally:
        for server in servers.values():
            if server.process.returncode is None:
                server.process.send_signal(signal.SIGCONT)
                await server.terminate()
    assert (await run_cli("check", "--database-url", url))[0] == 0

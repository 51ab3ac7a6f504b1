"""G7 over a real socket, with a clock that the test moves: the server's parts in this process, on a real file."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import grpc
import pytest
from stockkeeper_client import InventoryClient, Item
from stockkeeper_client.errors import error_details

from rpc.rpc_server import RpcServer
from stockkeeper.bootstrap import build_sources, build_store
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.system.servers import ORGANIZATION, audit, figures, line

pytestmark = pytest.mark.anyio


class Time:
    """Monotonic time that can be moved forward, and a wall clock that can be set."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.wall_ms = time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_s


@asynccontextmanager
async def server_with(clock: Time, database: Path) -> AsyncIterator[InventoryClient]:
    real = build_sources()
    sources = Sources(ServiceClock(lambda: clock.wall_ms, clock.monotonic_s), real.new_id, real.report_crash)
    supervisor = Supervisor(build_store(f"sqlite+aiosqlite:///{database}"), sources, Limits(heartbeat_s=0.05))
    server = RpcServer(supervisor, host="127.0.0.1", port=0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        [address] = await server.start()
        async with InventoryClient("127.0.0.1", address.port, breaker=False) as client:
            yield client
        supervisor.stop()
        await server.stop(1)


async def until_available(client: InventoryClient, available: int) -> float:
    """Seconds until the row has this quantity again."""
    start = time.monotonic()
    with anyio.fail_after(30):
        while (await figures(client))["a", "w1"] != (available, 0):  # noqa: ASYNC110 - a caller can only look
            await anyio.sleep(0.01)
    return time.monotonic() - start


async def test_g7_an_overdue_reservation_cannot_be_confirmed_and_its_stock_returns_once(tmp_path: Path) -> None:
    clock = Time()
    async with server_with(clock, tmp_path / "stock.db") as client:
        await client.stock.import_stock([line("a", 10)])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 10}], 1)
        clock.ahead_s += 60
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, "o1")
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error_details(refused.value).reason == "RESERVATION_EXPIRED"
        await until_available(client, 10)
        released = await client.release_reservation(ORGANIZATION, reserved.reservation_id, "late")
        assert (released.success, released.items_released) == (True, 0)
        assert await figures(client) == {("a", "w1"): (10, 0)}
    audit(tmp_path / "stock.db")


async def test_g7_what_became_due_while_the_server_was_down_returns_after_the_start(tmp_path: Path) -> None:
    clock = Time()
    async with server_with(clock, tmp_path / "stock.db") as client:
        await client.stock.import_stock([line("a", 1_000)])
        async with anyio.create_task_group() as tasks:
            for number in range(1_000):
                items: list[Item] = [{"variant_id": "a", "quantity": 1}]
                tasks.start_soon(client.reserve_stock, ORGANIZATION, f"o{number}", items, 1)
    clock.wall_ms += 61_000
    async with server_with(clock, tmp_path / "stock.db") as client:
        await until_available(client, 1_000)
    audit(tmp_path / "stock.db")


async def test_g7_a_wall_clock_that_jumps_back_does_not_prolong_a_reservation(tmp_path: Path) -> None:
    clock = Time()
    async with server_with(clock, tmp_path / "stock.db") as client:
        await client.stock.import_stock([line("a", 10)])
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 10}], 1)
        clock.wall_ms -= 3_600_000
        clock.ahead_s += 60
        await until_available(client, 10)
    async with server_with(clock, tmp_path / "stock.db") as client:
        reserved = await client.reserve_stock(ORGANIZATION, "o2", [{"variant_id": "a", "quantity": 10}], 1)
        assert reserved.success
        clock.ahead_s += 60
        await until_available(client, 10)

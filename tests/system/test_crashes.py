"""kill -9 and ownership: what was acknowledged is there, and only one server owns a file."""

import asyncio
from pathlib import Path

import grpc
import pytest
from inventory import InventoryClient
from inventory.errors import error_details

from tests.system.servers import ORGANIZATION, audit, figures, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


class Shopper:
    """Keeps a server busy until it dies, and remembers what it was told."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state: dict[str, str] = {}  # by reservation id: the last state that was acknowledged
        self.doubtful: set[str] = set()  # of these a change was asked for and not answered

    async def shop(self, client: InventoryClient, round_number: int) -> None:
        order = 0
        while True:
            order += 1
            order_id = f"s{self.number}-r{round_number}-{order}"
            items = [
                {"variant_id": f"v{(self.number + order) % 7}", "quantity": 1 + order % 2},
                {"variant_id": "hot", "quantity": 1},
            ]
            try:
                reserved = await client.reserve_stock(ORGANIZATION, order_id, items)
                reservation_id = reserved.reservation_id
                self.state[reservation_id] = "active"
                if order % 4 == 1:
                    continue
                self.doubtful.add(reservation_id)
                if order % 4 == 2:
                    await client.confirm_reservation(ORGANIZATION, reservation_id, order_id)
                    self.state[reservation_id] = "confirmed"
                else:
                    await client.release_reservation(ORGANIZATION, reservation_id, "test")
                    self.state[reservation_id] = "released"
                self.doubtful.discard(reservation_id)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    await asyncio.sleep(0.001)
                    continue
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                return


async def test_g3_g8_ten_kills_under_load_lose_nothing_and_oversell_nothing(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    shoppers = [Shopper(number) for number in range(12)]
    server = await start_server(database)
    async with server.client() as client:
        await client.stock.import_stock([line(f"v{n}", 3_000) for n in range(7)] + [line("hot", 20_000)])
    for round_number in range(10):
        async with InventoryClient("127.0.0.1", server.port, timeout_s=10, retry=None, breaker=False) as client:
            shopping = [asyncio.create_task(shopper.shop(client, round_number)) for shopper in shoppers]
            await asyncio.sleep(0.25 + 0.03 * round_number)
            await server.kill()
            await asyncio.gather(*shopping)
        audit(database)
        server = await start_server(database)
        async with server.client() as client:
            found = {
                r.reservation_id: r.state async for r in client.stock.list_reservations(ORGANIZATION, page_size=1000)
            }
        for shopper in shoppers:
            for reservation_id, state in shopper.state.items():
                assert reservation_id in found
                assert found[reservation_id] == state or reservation_id in shopper.doubtful
    assert sum(len(shopper.state) for shopper in shoppers) > 100
    assert await server.terminate() == 0
    audit(database)


async def test_g9_a_second_server_on_the_file_exits_with_3_and_harms_nobody(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        status, out, err = await run_cli("serve", "--port", "0", "--database-url", f"sqlite+aiosqlite:///{database}")
        assert status == 3
        assert out == ""
        assert len(err.strip().splitlines()) == 1
        assert str(database) in err
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])


async def test_g9_after_kill_9_a_restart_takes_over_at_once(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db")
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
    await server.kill()
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        again = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
        assert again == reserved
        assert await figures(client) == {("a", "w1"): (4, 1)}


async def test_a_port_in_use_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    async with running_server(tmp_path / "one.db") as server:
        status, _, err = await run_cli(
            "serve", "--port", str(server.port), "--database-url", f"sqlite+aiosqlite:///{tmp_path}/two.db"
        )
        assert status == 1
        assert len(err.strip().splitlines()) == 1
        assert str(server.port) in err


async def test_errors_carry_reason_and_retry_time(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 4}], 2)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.reserve_stock(ORGANIZATION, "o2", [{"variant_id": "a", "quantity": 3}])
        details = error_details(refused.value)
        assert (details.reason, details.domain) == ("INSUFFICIENT_STOCK", "inventory.v1")
        assert details.retry_delay_s is not None
        assert 110 < details.retry_delay_s <= 120

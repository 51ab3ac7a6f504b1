"""Only one server owns a file, and what cannot be is refused in a sentence. Kills under load are in `tests.torture`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import grpc
import psutil
import pytest
from stockkeeper_client.errors import error_details

from tests.system.load import under_load
from tests.system.servers import ORGANIZATION, figures, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


async def test_g9_a_second_server_on_the_file_exits_with_3_and_harms_no_caller(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        status, out, err = await run_cli("serve", "--port", "0", "--database-url", f"sqlite+aiosqlite:///{database}")
        assert status == 3
        assert out == ""
        assert len(err.strip().splitlines()) == 1
        assert str(database) in err
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])


async def test_g9_after_kill_9_a_restart_takes_over_without_a_wait(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db")
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
    await server.kill()
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        again = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
        assert again == reserved
        assert await figures(client) == {("a", "w1"): (4, 1)}


async def test_g9_nothing_is_lost_when_a_server_is_killed_whose_batches_another_process_writes(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    server = await start_server(database)
    async with under_load(server, shoppers=64) as load:
        with anyio.fail_after(60):
            while not (children := psutil.Process(server.process.pid).children()):  # noqa: ASYNC110 - it does not tell
                await anyio.sleep(0.01)
        await load.wait_for_more(300)
        await server.kill()
        acknowledged = set(load.acknowledged.values())
    async with running_server(database):  # the process is gone too, or the lock would not be free
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
        with closing(sqlite3.connect(database)) as connection:
            kept = {one for (one,) in connection.execute("SELECT reservation_id FROM reservation")}
    assert acknowledged <= kept


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

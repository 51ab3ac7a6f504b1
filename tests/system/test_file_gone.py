"""The program whose SQLite file is removed or replaced: it acknowledges nothing more, says so and ends."""

import json
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.system.servers import ORGANIZATION, ServerProcess, audit, figures, line, run_cli, start_server

pytestmark = pytest.mark.anyio

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
NOTICED_S = 20  # the server notices within a second; the rest is for a machine that does something else


def remove_all(directory: Path) -> None:
    for file in directory.glob("x.db*"):
        file.unlink()


async def assert_ended(server: ServerProcess, sentence: str) -> None:
    with anyio.fail_after(NOTICED_S):
        assert await server.process.wait() == 1
    last = [json.loads(text) for text in server.log.read_text().splitlines()][-1]
    assert (last["event"], last["level"], last["exit_status"]) == ("ended", "error", 1)
    assert sentence in last["reason"]
    assert "Traceback" not in server.log.read_text()


async def test_a_server_whose_file_was_removed_ends_without_a_call(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "x.db")
    remove_all(tmp_path)
    await assert_ended(server, "was removed or replaced while the server ran")


async def test_health_says_so_within_a_second(tmp_path: Path) -> None:
    """The fastest of six tries counts: the machine may be busy with something else."""
    took_s: list[float] = []
    while min(took_s, default=9.9) >= 1.0 and len(took_s) < 6:
        place = tmp_path / str(len(took_s))
        place.mkdir()
        server = await start_server(place / "x.db")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            remove_all(place)
            removed_s = anyio.current_time()
            assert (await watch.read()).status == NOT_SERVING
            took_s.append(anyio.current_time() - removed_s)
        await assert_ended(server, "was removed or replaced while the server ran")
    assert min(took_s) < 1.0, took_s


async def test_no_call_is_acknowledged_into_a_removed_file(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "x.db")
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        (tmp_path / "x.db").unlink()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    await assert_ended(server, "was removed or replaced")


async def test_a_backup_put_in_the_place_of_a_running_servers_file_is_served_whole_by_the_next_one(
    tmp_path: Path,
) -> None:
    database, url = tmp_path / "x.db", f"sqlite+aiosqlite:///{tmp_path}/x.db"
    server = await start_server(database)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        assert (await run_cli("backup", str(tmp_path / "b.db"), "--database-url", url))[0] == 0
        await client.stock.import_stock([line(f"v{number}", 1) for number in range(500)])
        (tmp_path / "b.db").replace(database)
    await assert_ended(server, "was removed or replaced")
    audit(database)
    server = await start_server(database)
    async with server.client() as client:
        assert await figures(client) == {("a", "w1"): (5, 0)}
    assert await server.terminate() == 0

"""The program on a real PostgreSQL: what is true on SQLite is true there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.system.servers import ORGANIZATION, figures, line, run_cli, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(postgres.get_uri()).replace("postgresql://", "postgresql+asyncpg://")


async def test_kill_9_under_load_loses_nothing(tmp_path: Path, url: str) -> None:
    acknowledged: dict[str, str] = {}
    server = await start_server(tmp_path / "server", database_url=url)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 100_000), line("b", 100_000)])
    for round_number in range(3):
        async with server.client(timeout_s=5) as client:

            async def shop(shopper: int, round_number: int = round_number, client: object = client) -> None:
                for number in range(10_000):
                    order_id = f"r{round_number}-s{shopper}-{number}"
                    items = [{"variant_id": v, "quantity": 1} for v in "ab"]
                    answer = await client.reserve_stock(ORGANIZATION, order_id, items)  # type: ignore[attr-defined]
                    acknowledged[order_id] = answer.reservation_id

            shoppers = [asyncio.create_task(shop(number)) for number in range(8)]
            await asyncio.sleep(0.5)
            await server.kill()
            for shopper in shoppers:
                shopper.cancel()
            await asyncio.gather(*shoppers, return_exceptions=True)
        server = await start_server(tmp_path / "server", database_url=url)
        async with server.client() as client:
            found = {
                r.order_id: r.reservation_id async for r in client.stock.list_reservations(ORGANIZATION, page_size=1000)
            }
        assert acknowledged.items() <= found.items()
    assert len(acknowledged) > 30
    status, out, err = await run_cli("check", "--database-url", url)
    assert (status, err) == (0, ""), out
    assert await server.terminate() == 0


async def test_a_second_server_exits_with_3_and_harms_nobody(tmp_path: Path, url: str) -> None:
    server = await start_server(tmp_path / "server", database_url=url)
    try:
        async with server.client() as client:
            await client.stock.import_stock([line("a", 5)])
            status, out, err = await run_cli("serve", "--port", "0", "--database-url", url)
            assert (status, out) == (3, "")
            assert len(err.strip().splitlines()) == 1
            await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
            assert await figures(client) == {("a", "w1"): (4, 1)}
    finally:
        assert await server.terminate() == 0

"""The program on a real PostgreSQL: what is true on SQLite is true there."""

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

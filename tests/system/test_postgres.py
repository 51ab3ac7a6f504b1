"""The program on a real PostgreSQL: what is true on SQLite is true there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
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


async def test_a_second_server_exits_with_3_and_harms_no_caller(tmp_path: Path, url: str) -> None:
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


async def test_the_password_is_shown_nowhere(tmp_path: Path, url: str) -> None:
    secret_url = url.replace("postgres@", "postgres:@").replace("postgres:@", "postgres:s3cret@", 1)
    assert "s3cret" in secret_url
    options = ("--port", "0", "--log-level", "debug", "--database-url", secret_url)
    async with await anyio.open_process((sys.executable, "-m", "stockkeeper", "serve", *options)) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        said = (await server.stdout.receive()).decode()
        assert "stock is kept in postgresql+asyncpg://postgres:***@" in said
        arguments = (await anyio.Path(f"/proc/{server.pid}/cmdline").read_bytes()).decode()
        server.terminate()
        log = b"".join([chunk async for chunk in server.stderr]).decode()
    assert "s3cret" not in said + log + arguments
    for name in ("check", "serve"):
        wrong = secret_url.replace("postgres:s3cret@", "postgres:s3@cret@")
        _, out, err = await run_cli(name, "--database-url", wrong)
        assert "cret" not in out + err

"""The program on a real PostgreSQL: what is true on SQLite is true there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
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


async def arguments_of(pid: int, *modules: str) -> str:
    """What `ps` shows of a process and all that it has started, once these modules run."""
    arguments = ""
    with anyio.fail_after(60):
        while not arguments or any(module not in arguments for module in modules):
            processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            arguments = " ".join(word for process in processes for word in process.cmdline())
            await anyio.sleep(0.02)
    return arguments


async def test_the_password_is_shown_nowhere(tmp_path: Path, url: str) -> None:
    secret_url = url.replace("postgres@", "postgres:@").replace("postgres:@", "postgres:s3cret@", 1)
    assert "s3cret" in secret_url
    secret_url = f"{secret_url}&sslpassword=s3cret"
    beside = ("--frontends", "1", "--events-to", "amqp://relay:s3cret@127.0.0.1:1/")
    options = ("--port", "0", "--log-level", "debug", "--database-url", secret_url, *beside)
    async with await anyio.open_process((sys.executable, "-m", "stockkeeper", "serve", *options)) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        said = (await server.stdout.receive()).decode()
        assert "stock is kept in postgresql+asyncpg://postgres:***@" in said
        try:
            arguments = await arguments_of(server.pid, "frontend_main", "beside_main")
        finally:
            server.terminate()
        log = b"".join([chunk async for chunk in server.stderr]).decode()
    assert "s3cret" not in said + log + arguments
    by_parameter = url.replace("postgres:@", "").replace("postgres@", "") + "&user=postgres&password=s3cret"
    assert "@" not in by_parameter
    async with await anyio.open_process(
        (sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--database-url", by_parameter)
    ) as server:
        assert server.stdout is not None
        said = (await server.stdout.receive()).decode()
        try:
            assert "s3cret" not in said + await arguments_of(server.pid)
        finally:
            server.terminate()
    for name in ("check", "serve"):
        wrong = secret_url.replace("postgres:s3cret@", "postgres:s3@cret@")
        _, out, err = await run_cli(name, "--database-url", wrong)
        assert "cret" not in out + err

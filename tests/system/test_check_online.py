"""`stockkeeper check` beside a server that is busy: it sees one moment, and all agrees in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.system.load import under_load
from tests.system.servers import run_cli, start_server

pytestmark = pytest.mark.anyio

ROUNDS = 4


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def check_under_load(tmp_path: Path, url: str) -> None:
    server = await start_server(tmp_path / "server", database_url=url)
    try:
        async with under_load(server) as load:
            for _ in range(ROUNDS):
                await load.wait_for_more(50)
                status, out, err = await run_cli("check", "--database-url", url)
                assert (status, err) == (0, ""), err
                assert out.startswith("All agrees: 5 stock rows, ")
            await load.wait_for_more(50)  # and no call was kept waiting
    finally:
        assert await server.terminate() == 0


@pytest.mark.long
async def test_sqlite(tmp_path: Path) -> None:
    await check_under_load(tmp_path, f"sqlite+aiosqlite:///{tmp_path}/stock%20keeper.db")


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql"])
async def test_postgres(tmp_path: Path, postgres: PostgresServer, scheme: str) -> None:
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    url = str(postgres.get_uri()).replace("postgresql", scheme)
    await check_under_load(tmp_path, url)
    postgres.psql("UPDATE stock SET available = available - 1, damaged = damaged + 1 WHERE variant_id = 'v3'")
    status, out, err = await run_cli("check", "--database-url", url)
    assert (status, out) == (1, "")
    assert "conservation, damaged: org_1/v3@w1 has 1 damaged, but its movements add up to 0\n" in err
    assert err.splitlines()[-1].startswith("2 checks failed on 5 stock rows, ")

"""`stockkeeper serve --standby`: what it says and answers while it waits.

tests/torture/standbys.py takes owners away.
"""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client import Item
from stockkeeper_client.errors import error_details

from stockkeeper.config import ConfigurationError, ServeConfig
from stockkeeper.serving.serve import serve
from tests.postgres import PostgresServer, running_postgres
from tests.system.servers import ORGANIZATION, ServerProcess, line, start_server
from tests.torture.scenario import is_serving, until

BASKET: list[Item] = [{"variant_id": "a", "quantity": 1}]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def told(server: ServerProcess) -> dict[str, dict[str, object]]:
    entries = [json.loads(text) for text in server.log.read_text().splitlines()]
    return {entry["event"]: entry for entry in entries}


async def metrics(server: ServerProcess) -> dict[str, float]:
    shown = told(server)["metrics_shown"]
    addresses = shown["addresses"]
    assert isinstance(addresses, list)
    page = await asyncio.to_thread(urllib.request.urlopen, f"http://{addresses[0]}{shown['path']}", timeout=20)
    with page:
        found = re.findall(r"^stockkeeper_(serving|standing_by) (.*)$", page.read().decode(), re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.mark.anyio
async def test_a_standby_answers_unavailable_until_the_owner_ends_and_then_serves(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = str(postgres.get_uri()).replace("postgresql://", "postgresql+asyncpg://")
    owner = await start_server(tmp_path / "owner", database_url=url)
    options = ("--standby", "--metrics-port", "0", "--frontends", "1")
    standby = await start_server(tmp_path / "standby", *options, database_url=url)
    async with owner.client() as client:
        await client.stock.import_stock([line("a", 5)])
    async with standby.client() as client:
        assert await is_serving(client, False)
        for call in (client.get_stock_info(ORGANIZATION, "a"), client.reserve_stock(ORGANIZATION, "o", BASKET)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            details = error_details(refused.value)
            assert (refused.value.code(), details.reason) == (grpc.StatusCode.UNAVAILABLE, "STANDING_BY")
            assert details.retry_delay_s == 1
        assert await metrics(standby) == {"serving": 0, "standing_by": 1}
        assert "Postgres process" in str(told(standby)["standing_by"]["owner"])
        postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        await until(lambda: standby.log.read_text().count('"standing_by"') == 2, "it stands by again")
        assert "storage_failed" in told(standby)
        assert await is_serving(client, False)
        assert await owner.terminate() == 0
        await until(lambda: is_serving(client), "the standby serves")
        await client.reserve_stock(ORGANIZATION, "o", BASKET)
        assert await metrics(standby) == {"serving": 1, "standing_by": 0}
    assert told(standby)["took_over"]["epoch"] == 2
    assert await standby.terminate() == 0
    assert "Traceback" not in standby.log.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"database_url": "sqlite+aiosqlite:///stock.db"}, "--standby needs Postgres: nothing can take the lock of a"),
        ({"database_url": "postgresql://a/b", "sample": True}, "--sample and --standby do not go together: "),
    ],
)
def test_what_cannot_stand_by_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{sentence}"):
        serve(ServeConfig(stands_by=True, **options))

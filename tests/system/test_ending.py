"""What callers hear from a server that ends while they call."""

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path

import grpc
import pytest
from stockkeeper_client import InventoryClient, Item

from tests.system.servers import ORGANIZATION, ServerProcess, line, start_server

pytestmark = pytest.mark.anyio

CALLERS = 60


@pytest.mark.parametrize("options", [(), ("--frontends", "2")], ids=["one-process", "two-front-ends"])
@pytest.mark.parametrize("how", ["asked", "lost its database"])
async def test_callers_hear_unavailable_and_nothing_else(tmp_path: Path, options: tuple[str, ...], how: str) -> None:
    """gRPC's own shutdown ends calls that it took in and that no servicer saw as CANCELLED, which no client retries."""
    file = tmp_path / "stock.db"
    server = await start_server(file, *options)
    heard: Counter[str] = Counter()
    enough = asyncio.Event()
    items: list[Item] = [{"variant_id": "a", "quantity": 1}]
    async with InventoryClient("127.0.0.1", server.port, timeout_s=30, retry=None, breaker=False) as client:
        await client.stock.import_stock([line("a", 1_000_000)])

        async def call_until_it_is_gone(caller: int) -> None:
            number = 0
            while server.process.returncode is None:
                number += 1
                try:
                    await client.reserve_stock(ORGANIZATION, f"o{caller}-{number}", items)
                except grpc.aio.AioRpcError as error:
                    heard[error.code().name] += 1
                else:
                    heard["OK"] += 1
                    if heard["OK"] == 5 * CALLERS:
                        enough.set()

        callers = [asyncio.create_task(call_until_it_is_gone(caller)) for caller in range(CALLERS)]
        await enough.wait()
        await _end(server, file, how)
        await asyncio.gather(*callers)
    assert set(heard) == {"OK", "UNAVAILABLE"}, heard


async def _end(server: ServerProcess, file: Path, how: str) -> None:
    if how == "asked":
        assert await server.terminate() == 0
        return
    with sqlite3.connect(file, timeout=10) as connection:
        connection.execute("UPDATE ownership SET epoch = epoch + 1")
    connection.close()
    assert await asyncio.wait_for(server.process.wait(), 30) == 3

"""What was imported does not stay in memory: a real server holds as many rows as it may, and no more."""

from pathlib import Path

import psutil
import pytest
from stockkeeper_client import InventoryClient

from supervisor.limits import Limits
from tests.system.servers import line, running_server

pytestmark = pytest.mark.anyio

LINES = 20_000  # of an import
BYTES_A_ROW = 600  # a row that stays costs 1,800


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def import_rows(client: InventoryClient, first: int, imports: int) -> None:
    for number in range(first, first + imports):
        lines = [line(f"v{number}_{row}", 5) for row in range(LINES)]
        await client.stock.import_stock(lines, request_id=f"import_{number}")


@pytest.mark.long
async def test_rows_beyond_those_that_memory_may_have_do_not_add_to_it(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client(timeout_s=120) as client:
        process = psutil.Process(server.process.pid)
        filling = Limits().variants_max // LINES
        await import_rows(client, 0, filling)
        full = process.memory_info().rss
        await import_rows(client, filling, 2)
        assert process.memory_info().rss - full < 2 * LINES * BYTES_A_ROW

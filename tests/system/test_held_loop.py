"""A turn that holds the event loop of a real server is in its log, with the method that it served."""

import json
from pathlib import Path

import pytest

from tests.system.servers import ORGANIZATION, line, start_server
from tests.system.slow_server import HELD_S
from tests.system.test_metrics import pages_of, read

pytestmark = pytest.mark.anyio


async def test_what_holds_the_loop_is_logged_with_its_method(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", "--metrics-port", "0", program="tests.system.slow_server")
    async with server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        await client.get_stock_info(ORGANIZATION, "a")
        [page] = [await read(url) for url in pages_of(server)[:1]]
        name = "inventory.v1.InventoryService/GetStockInfo"
        assert page.value("stockkeeper_event_loop_held_total", rpc_method=name) == 1
        assert page.value("stockkeeper_event_loop_held_seconds_total") >= HELD_S * 0.75
        assert page.value("stockkeeper_event_loop_longest_turn_seconds") >= HELD_S * 0.75
    assert await server.terminate() == 0
    entries = [json.loads(text) for text in server.log.read_text().splitlines()]
    told = [entry for entry in entries if entry["event"] == "event_loop_held"]
    held = [entry for entry in told if entry["method"] == "/inventory.v1.InventoryService/GetStockInfo"]
    assert len(held) == 1, told
    assert held[0]["cpu_ms"] >= HELD_S * 1_000 * 0.75
    assert any(function.startswith("rpc.frame.begin:") for function in held[0]["in"])

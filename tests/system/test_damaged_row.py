"""A row that another program has made impossible: what needs it is refused by its name, and the rest is served."""

import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client import InventoryClient
from stockkeeper_client.errors import error_details

from tests.system.servers import ORGANIZATION, line, running_server

pytestmark = pytest.mark.anyio

LINE = '"stock_row_damaged"'


def change(database: Path, figures: str, variant_id: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    connection.execute(f"UPDATE stock SET {figures} WHERE variant_id = ? AND warehouse_id = 'w1'", (variant_id,))
    connection.close()


async def reserve(client: InventoryClient, order_id: str, *variants: str) -> None:
    await client.reserve_stock(ORGANIZATION, order_id, [{"variant_id": one, "quantity": 1} for one in variants])


async def test_what_needs_a_damaged_row_is_refused_by_name_and_all_else_is_served(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 5), line("a", 5, "w2"), line("b", 5), line("c", 5)])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
    change(database, "available = -3, total = -3", "a")
    change(database, "reserved = -1", "c")
    asks: list[Callable[[InventoryClient], Coroutine[Any, Any, Any]]] = [
        lambda client: reserve(client, "o2", "a"),
        lambda client: reserve(client, "o3", "b", "a"),
        lambda client: client.check_availability(ORGANIZATION, "a", "", 1),
        lambda client: client.get_stock_info(ORGANIZATION, "a"),
        lambda client: client.release_reservation(ORGANIZATION, reserved.reservation_id, "test"),
        lambda client: client.stock.import_stock([line("b", 9), line("a", 9)]),
    ]
    async with running_server(database) as server, server.client() as client:
        for ask in asks:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(client)
            assert refused.value.code() is grpc.StatusCode.DATA_LOSS
            assert "row of a at w1 of org_1 is damaged" in (refused.value.details() or "")
            assert error_details(refused.value).reason == "STOCK_ROW_DAMAGED"
        with pytest.raises(grpc.aio.AioRpcError, match="row of c at w1"):
            await reserve(client, "o4", "c")
        await reserve(client, "o5", "b")
        assert server.log.read_text().count(LINE) == 2
        change(database, "available = 4, total = 5", "a")
        await reserve(client, "o2", "a")
        assert (await client.release_reservation(ORGANIZATION, reserved.reservation_id, "test")).items_released == 1
        change(database, "available = 5", "c")

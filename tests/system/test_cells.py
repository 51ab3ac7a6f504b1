"""Servers that are cells: what they serve and what not, from the command line to the database."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import Item, WrongCell
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import inventory_pb2_grpc

from actors.organization_moves import MoveStep
from actors.queries import MoveOrganization
from cells.cell_map import parse_map
from rpc.frontends.owner_links import OwnerLinks
from tests.system.servers import line, run_cli, running_server, until_logged

pytestmark = pytest.mark.anyio

MAP = 'version = {0}\n[cells.north]\naddress = "unix:{2}/n"\n[cells.south]\naddress = "unix:{2}/s"\ndatabase = "{1}"\n'


async def test_a_server_becomes_a_cell_serves_what_it_has_and_says_of_the_rest_that_it_is_elsewhere(
    tmp_path: Path,
) -> None:
    database, map_file = tmp_path / "stock.db", tmp_path / "cells.toml"
    map_file.write_text(MAP.format(1, "", tmp_path))
    north = ("--cells-map", str(map_file), "--cell", "north")
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 5, organization_id="shop")])
    async with running_server(database, *north) as server, server.client() as client:
        items: list[Item] = [{"variant_id": "a", "quantity": 1}]
        await client.reserve_stock("shop", "o1", items)
        for call in (client.reserve_stock("other", "o1", items), client.get_stock_info("other", "a")):
            with pytest.raises(WrongCell) as wrong:
                await call
            assert (wrong.value.organization_id, wrong.value.cell, wrong.value.map_version) == ("other", "north", 1)
            assert wrong.value.moved_to == ""
        map_file.write_text(MAP.format(2, "", tmp_path))
        await until_logged(server, "cells_map_joined")
        map_file.write_text(MAP.format(1, "", tmp_path))
        await until_logged(server, "cells_map_not_reloaded")
        with pytest.raises(WrongCell) as wrong:
            await client.get_stock_info("other", "a")
        assert wrong.value.map_version == 2
    for options, said in (
        (north, "The cell north has joined version 2 of the map, and the file has 1.\n"),
        ((*north[:-1], "south"), "The database is the cell north, and cannot be the cell south.\n"),
        ((*north[:-1], "west"), "The map has no cell west; it has north, south.\n"),
        (north[:2], "A cell needs both the map and its name: --cells-map and --cell.\n"),
    ):
        url = f"sqlite+aiosqlite:///{database}"
        assert await run_cli("serve", "--port", "0", "--database-url", url, *options) == (2, "", said)
    async with running_server(database) as server, server.client() as client:  # not told again, it stays what it is
        assert (await client.reserve_stock("shop", "o2", items)).reservation_id
        with pytest.raises(WrongCell):
            await client.reserve_stock("other", "o1", items)


async def test_the_map_may_say_where_a_cell_keeps_its_stock(tmp_path: Path) -> None:
    database, map_file = tmp_path / "south.db", tmp_path / "cells.toml"
    map_file.write_text(MAP.format(1, f"sqlite+aiosqlite:///{database}", tmp_path))
    south = ("--cells-map", str(map_file), "--cell", "south")
    said = "The map gives the cell south a database, and --database-url another.\n"
    assert await run_cli("serve", "--database-url", "sqlite+aiosqlite:///x.db", *south) == (2, "", said)
    url = f"sqlite+aiosqlite:///{database}"
    async with running_server(database, *south) as server:
        assert database.exists()
        await asyncio.sleep(0)
        assert server.process.returncode is None
    assert (await run_cli("check", "--database-url", url))[0] == 0


@pytest.mark.parametrize("options", [(), ("--frontends", "1")], ids=["one process", "front-ends"])
async def test_a_change_of_an_organization_that_is_frozen_waits_until_it_is_thawed(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    map_file = tmp_path / "cells.toml"
    map_file.write_text(MAP.format(1, "", tmp_path))
    cell = ("--cells-map", str(map_file), "--cell", "north", *options)
    database = tmp_path / "stock.db"
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 5, organization_id="shop")])
    async with running_server(database, *cell) as server:
        links = OwnerLinks(100, lambda: None)
        links.follow(parse_map(map_file.read_text()))
        owner = links.owner_of("north")
        while not owner.serving:  # noqa: ASYNC110 - links do not tell
            await asyncio.sleep(0.01)

        async def move(step: MoveStep) -> None:
            assert (await owner.answer(MoveOrganization("shop", step, "m1", "south")).wait()).is_done

        once = [("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=once) as channel:
            await move("begin")
            await move("freeze")
            items = [pb.ReservationItem(variant_id="a", quantity=1)]
            request = pb.ReserveStockRequest(organization_id="shop", order_id="o1", items=items)
            stub: Any = inventory_pb2_grpc.InventoryServiceStub(channel)
            waiting = asyncio.ensure_future(stub.ReserveStock(request, timeout=10))
            await asyncio.sleep(0.3)  # it would be refused long before
            assert not waiting.done()
            await move("thaw")
            assert (await waiting).reservation_id
        links.close()

"""`serve --cells`: owners and routers as one tree of processes, as an operator has it."""
# ruff: noqa: ASYNC240 - what is looked at in files is looked at between two awaits, on purpose

import asyncio
import json
import os
import re
import signal
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client import InventoryClient, Item

from cells.map_file import read_map
from stockkeeper.cell_layout import known_map, layout_of, write_map
from stockkeeper.command_line.cell_options import CellOptions
from stockkeeper.config import ConfigurationError, ServeConfig, TreeConfig
from stockkeeper.serving.serve_cells import serve_cells
from tests.system.servers import audit, figures, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio

ITEMS: list[Item] = [{"variant_id": "a", "quantity": 1}]
ORGANIZATIONS = [f"shop-{number}" for number in range(4)]


async def test_one_tree_serves_all_cells_starts_again_what_died_and_ends_together(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    server = await start_server(database, "--cells", "2")
    try:
        async with server.client(timeout_s=60) as client:
            for one in ORGANIZATIONS:
                await client.stock.import_stock([line("a", 10, organization_id=one)])
                await client.reserve_stock(one, "o1", ITEMS)
            for pid in children_of(server.process.pid):  # both owners and the router
                os.kill(pid, signal.SIGKILL)
            for one in ORGANIZATIONS:
                await until_reserved(client, one, "o2")
                assert (await figures(client, one))["a", "w1"] == (8, 2)
        assert server.log.read_text().count("cell_program_ended") == 3
        children = children_of(server.process.pid)
        await server.kill()
        await until_gone(children)  # those that lost their parent end too, and in order
    finally:
        if server.process.returncode is None:
            await server.kill()
    for number in range(2):
        audit(tmp_path / f"stock.{number}.db")
    there = read_map(str(tmp_path / "stock.cells.toml"))
    assert {there.cell_of(one).name for one in ORGANIZATIONS} == {"cell-0", "cell-1"}


async def test_what_one_server_had_is_divided_and_its_watchers_go_on(tmp_path: Path) -> None:
    database = tmp_path / "stock.db"
    url = f"sqlite+aiosqlite:///{database}"
    async with running_server(database) as server, server.client() as client:
        watch = client.stock.watch_changes("shop-0")
        await anext(watch)
        for one in ORGANIZATIONS:
            await client.stock.import_stock([line("a", 10, organization_id=one)])
            await client.reserve_stock(one, "o1", ITEMS)
        token = (await anext(watch)).token  # of the import, and the reservation is behind it
        await watch.aclose()
    assert (await run_cli("cells", "split", "--into", "2", "--database-url", url))[0] == 0
    server = await start_server(database, "--cells", "2")
    async with server.client() as client:
        for one in ORGANIZATIONS:
            again = await client.reserve_stock(one, "o1", ITEMS)
            assert (await figures(client, one))["a", "w1"] == (9, 1), again
        await client.reserve_stock("shop-0", "o2", ITEMS)
        watch = client.stock.watch_changes("shop-0", token=token)
        kinds = [message.kind async for message in until(watch, "o2")]
        assert kinds == ["reserve", "reserve"]
        following = client.stock.watch_changes("shop-0", token=token)  # all the while
        assert [message.kind async for message in until(following, "o2", closes=False)] == ["reserve", "reserve"]
        map_file = str(tmp_path / "stock.cells.toml")
        to = {"cell-0": "cell-1", "cell-1": "cell-0"}[read_map(map_file).cell_of("shop-0").name]
        status, out, _ = await run_cli("cells", "move", map_file, "shop-0", "--to", to)
        assert (status, out.startswith(f"shop-0 is in {to} now: ")) == (0, True)
        await until_reserved(client, "shop-0", "o3")
        assert (await figures(client, "shop-0"))["a", "w1"] == (7, 3)
        assert [message.kind async for message in until(following, "o3")] == ["reserve"]
        anew = client.stock.watch_changes("shop-0", token=token)
        assert [message.kind async for message in until(anew, "o3")] == ["reserve"] * 3
    await all_cells_are_checked(map_file, url, tmp_path / "stock.0.db")
    assert await server.terminate() == 0
    assert not list(tmp_path.glob("*.sock"))
    for number in range(2):
        audit(tmp_path / f"stock.{number}.db")


async def all_cells_are_checked(map_file: str, url: str, first: Path) -> None:
    """While they serve, after a move; and on a copy of one that has an organization of the other and a wrong figure."""
    checking = ("check", "--cells-map", map_file, "--database-url")
    status, out, err = await run_cli(*checking, url)
    assert (status, err) == (0, "")
    agree = re.findall(r"^cell-(\d): all agrees: (\d) organizations, \d stock rows, .*\.$", out, re.MULTILINE)
    assert [number for number, _ in agree] == ["0", "1"]
    assert sum(int(held) for _, held in agree) == len(ORGANIZATIONS)
    for number in range(2):
        with (
            closing(sqlite3.connect(first.with_name(f"stock.{number}.db"))) as live,
            closing(sqlite3.connect(first.with_name(f"copy.{number}.db"))) as copy,
        ):
            live.backup(copy)
            copy.execute("DELETE FROM cell_organization WHERE state = 'gone' AND organization_id = 'shop-0'")
            copy.execute("INSERT OR IGNORE INTO cell_organization VALUES ('shop-0', 'frozen', 1, '')")
            if number:
                copy.execute("UPDATE stock SET available = available - 1, total = total - 1")
            copy.commit()
    copies = f"sqlite+aiosqlite:///{first.with_name('copy.db')}"
    status, out, err = await run_cli(*checking, copies)
    assert status == 1
    right, wrong, twice = out.splitlines()
    assert right.startswith("cell-0: all agrees: ")
    assert wrong.startswith("cell-1: 1 checks failed on ")
    assert twice == "shop-0 is held by cell-0 and by cell-1."
    assert err.startswith("cell-1: ledger_end: ") or err.startswith("cell-1: "), err
    first.with_name("copy.1.db").unlink()
    status, out, _ = await run_cli(*checking, copies, "--json")
    found = [json.loads(one) for one in out.splitlines()]
    assert (status, [one["cell"] for one in found]) == (1, ["cell-0", "cell-1"])
    assert found[1]["problem"].startswith("it cannot be checked: ")


async def until(watch: AsyncGenerator[Any, None], order_id: str, *, closes: bool = True) -> AsyncGenerator[Any, None]:
    """Changes up to the one of an order."""
    async with asyncio.timeout(60):
        while True:
            message = await anext(watch)
            if message.kind:
                yield message
            if message.reservation.order_id == order_id:
                if closes:
                    await watch.aclose()
                return


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def until_reserved(client: InventoryClient, organization_id: str, order_id: str) -> None:
    """A router that was killed takes its connection with it: the client connects again."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.reserve_stock(organization_id, order_id, ITEMS)
                return
            except grpc.aio.AioRpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                await asyncio.sleep(0.05)


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(60):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):  # noqa: ASYNC110 - other processes do not tell
            await asyncio.sleep(0.02)


def test_cells_that_cannot_begin_say_why(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/stock.db"
    config = ServeConfig(port=0, database_url=url, tree=TreeConfig(2))
    for wrong, said in (
        (ServeConfig(tree=TreeConfig(2), sample=True), "--cells and --sample do not go together."),
        (ServeConfig(tree=TreeConfig(2), events_to="amqp://h/"), "--cells and --events-to do not go together."),
        (
            ServeConfig(tree=TreeConfig(2), database_url="postgresql://h/d"),
            "Cells of one Postgres need a file for their map: --cells-map.",
        ),
    ):
        with pytest.raises(ConfigurationError) as refused:
            serve_cells(wrong)
        assert str(refused.value) == said
    with pytest.raises(ConfigurationError, match="--cells is for all cells"):
        _ = CellOptions(cells=2, cell="a").config
    (tmp_path / "stock.1.db").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match=r"stock\.1\.db is there, and its map .*stock\.cells\.toml is not"):
        serve_cells(config)
    (tmp_path / "stock.db").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match=r"stock\.db has a stock of its own: divide it first"):
        serve_cells(config)
    assert not (tmp_path / "stock.cells.toml").exists()
    three = layout_of(url, "", 3)
    write_map(three.map_file, three.map)
    assert known_map(three) == three.map
    with pytest.raises(ConfigurationError, match=r"has 3 cells, and not 2: how many there are is decided once"):
        serve_cells(config)


def test_each_cell_of_a_postgres_has_a_schema(tmp_path: Path) -> None:
    file = str(tmp_path / "cells.toml")
    plain = layout_of("postgresql://app:secret@h/d", file, 2)
    assert [one.partition("options=")[2] for one in plain.database_urls] == [
        "-csearch_path%3D%22stockkeeper_0%22",
        "-csearch_path%3D%22stockkeeper_1%22",
    ]
    of_shop = layout_of("postgresql://h/d?options=-csearch_path%3D%22shop%22", file, 1)
    assert of_shop.database_urls[0].endswith("%22shop_0%22")
    assert "secret" not in repr(plain)
    with pytest.raises(ConfigurationError, match="--database-schema"):
        layout_of("postgresql://h/d?options=-cwork_mem%3D1", file, 1)


def test_a_socket_whose_path_is_too_long_is_where_the_users_are_or_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    url = f"sqlite+aiosqlite:///{folder}/s.db"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    addresses = [cell.address for cell in layout_of(url, "", 2).map.cells.values()]
    assert [one.partition(".")[0][:29] for one in addresses] == ["unix:/run/user/0/stockkeeper-"] * 2
    assert addresses[0].endswith(".cell-0.sock")
    beside = layout_of(f"sqlite+aiosqlite:///{folder}/other.db", "", 1).map.cells["cell-0"].address
    assert beside != addresses[0]  # of another map
    short = layout_of("sqlite+aiosqlite:////d/s.db", "", 1).map.cells["cell-0"].address
    assert short == "unix:/d/s.cells.cell-0.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(ConfigurationError, match="a socket whose path has over 100 bytes"):
        serve_cells(ServeConfig(port=0, database_url=url, tree=TreeConfig(1)))
    assert not list(folder.iterdir())

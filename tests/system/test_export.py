"""`stockkeeper export` against a real server: what it writes is what `stockkeeper import` reads."""

import asyncio
import csv
import json
import os
import pty
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1 import stock_pb2 as pb

from stockkeeper.stock_csv import read_counted_lines
from stockkeeper.stock_csv_writing import CountedLinesFile
from tests.system.servers import ROOT, line, run_cli, running_server
from tests.system.test_output import in_a_shell, on_a_terminal, read_all

pytestmark = pytest.mark.anyio

HEADER = (
    "organization_id,variant_id,warehouse_id,warehouse_name,"
    "total_quantity,damaged_quantity,in_transit_quantity,min_stock,max_stock,reorder_point\n"
)
ODD_IDS = ("=1+1", 'mug "XL", blue', "a;b", "ünïcödé-杯", "'quoted'", "two  blanks", "-", "#", "🫖", "0012")
ODD_NAMES = {
    "north, east": 'Depot "A"; first, floor',
    "south": "line\u2028separator",
    "west": "  blanks around  ",
    "id": "id",
}


async def fill(client: InventoryClient) -> None:
    """Rows with figures of every kind, in warehouses of every name."""
    warehouses = list(ODD_NAMES)
    rows: list[Any] = [
        {**line(variant, 10 + number, warehouses[number % 4], "shop"), "damaged_quantity": 2, "in_transit_quantity": 1}
        for number, variant in enumerate(ODD_IDS)
    ]
    await client.stock.import_stock([*rows, line("theirs", 1, "w1", "other")])
    for warehouse_id, name in ODD_NAMES.items():
        await client.stock.upsert_warehouse("shop", warehouse_id, name=name)
    await client.stock.set_stock_levels(
        "shop",
        [{"variant_id": "=1+1", "warehouse_id": "north, east", "min_stock": 3, "max_stock": 40, "reorder_point": 5}],
    )
    await client.reserve_stock("shop", "o1", [{"variant_id": "=1+1", "quantity": 4}])


async def stock_of(client: InventoryClient) -> list[tuple[Any, ...]]:
    return [
        (row, levels.reorder_point, row.warehouse_name) async for row, levels in client.stock.list_stock_levels("shop")
    ]


@pytest.mark.parametrize(
    "options", [(), ("--transport", "grpc-aio"), ("--frontends", "1")], ids=["core", "grpc-aio", "front-end"]
)
async def test_importing_what_was_exported_changes_nothing(tmp_path: Path, options: Sequence[str]) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db", *options) as server, server.client() as client:
        await fill(client)
        before = await stock_of(client)
        target = ("--target", f"localhost:{server.port}")
        said = f"{file} has {len(ODD_IDS)} rows.\n"
        assert await run_cli("export", "shop", str(file), *target) == (0, "", said)
        text = file.read_text(encoding="utf-8")
        assert await run_cli("export", "shop", *target) == (0, text, "")
        answer = await run_cli("import", str(file), *target)
        assert answer[:2] == (0, f"{len(ODD_IDS)} lines: 0 rows created, 0 changed, {len(ODD_IDS)} unchanged.\n")
        assert await stock_of(client) == before
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert text.startswith(HEADER)
    assert [row["variant_id"] for row in rows] == sorted(ODD_IDS)
    assert {row["warehouse_id"]: row["warehouse_name"] for row in rows} == {**ODD_NAMES, "west": "", "id": ""}


async def test_what_was_exported_makes_the_same_stock_on_another_server(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"

    async def figures(client: InventoryClient) -> set[tuple[Any, ...]]:
        return {
            (
                *(row.variant_id, row.warehouse_id, row.total_quantity, row.damaged_quantity),
                *(levels.min_stock, levels.max_stock, levels.reorder_point),
            )
            async for row, levels in client.stock.list_stock_levels("shop")
        }

    async with running_server(tmp_path / "one.db") as server, server.client() as client:
        await fill(client)
        await run_cli("export", "shop", str(file), "--target", f"localhost:{server.port}")
        expected = await figures(client)
        assert {one[-1] for one in expected} == {0, 5}
    async with running_server(tmp_path / "two.db") as server, server.client() as client:
        assert (await run_cli("import", str(file), "--target", f"localhost:{server.port}"))[0] == 0
        assert await figures(client) == expected


async def test_many_rows_and_some_of_them_are_exported(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        warehouses = ("w1", "w2")
        await client.stock.import_stock([line(f"v{n:04}", n, w, "shop") for n in range(1_200) for w in warehouses])
        target = ("--target", f"localhost:{server.port}")
        for arguments, rows in ((("--warehouse", "w2"), 1_200), (("--prefix", "v00"), 200), ((), 2_400)):
            status, out, err = await run_cli("export", "shop", *arguments, *target)
            assert (status, out.count("\n"), err) == (0, 1 + rows, "")
        status, out, _ = await run_cli("export", "shop", "--prefix", "v0007", "--warehouse", "w1", "--json", *target)
        assert (status, json.loads(out)["variant_id"], json.loads(out)["max_stock"]) == (0, "v0007", 0)
        assert await in_a_shell(server, "stockkeeper export shop | head -1") == (141, HEADER, "")
        shown = await on_a_terminal(server, "export", "shop", "--prefix", "v0007")
        assert shown.startswith(HEADER)
        assert shown.count("\n") == 3
        ended, shown = await progress_of("export", "shop", str(tmp_path / "stock.csv"), *target)
        assert (ended, "2,000 rows" in shown, "has 2400 rows" in shown) == (0, True, True)
        assert await progress_of("export", "shop", "--prefix", "v00", *target) == (0, "")  # fewer than one step


async def progress_of(*arguments: str) -> tuple[int | None, str]:
    """The status of the program, and what it shows on a terminal while it works if a moment is long enough for it."""
    at_once = "from stockkeeper import __main__; from stockkeeper.command_line import progress"
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{at_once}; progress.SHOWN_AFTER_S = 0.0; __main__.main()", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)
    return await process.wait(), shown


async def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("precious\n")
    nobody = ("--target", "localhost:1")
    assert (await run_cli("export", "shop", str(file), *nobody))[:2] == (1, "")
    assert os.listdir(tmp_path) == ["stock.csv"]  # noqa: PTH208 - as below
    assert file.read_text() == "precious\n"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("mug", 5, "w1", "shop")])
        target = ("--target", f"localhost:{server.port}")
        missing = tmp_path / "nowhere" / "stock.csv"
        sentence = f"{missing} cannot be written: No such file or directory.\n"
        assert await run_cli("export", "shop", str(missing), *target) == (1, "", sentence)
        assert (await run_cli("export", "shop", "/dev/full", *target))[0] == 1
        assert await run_cli("export", "no-shop", str(file), *target) == (1, "", "no-shop has no such stock.\n")
        assert await run_cli("export", "no-shop", *target) == (1, "", "no-shop has no such stock.\n")
        assert file.read_text() == "precious\n"
        assert (await run_cli("export", "shop", str(file), *target))[0] == 0
        assert file.read_text() == HEADER + "shop,mug,w1,,5,0,0,0,0,0\n"


def test_a_row_whose_id_import_would_read_as_another_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    with file.open("w", newline="") as opened:
        writing = CountedLinesFile(opened)
        assert not writing.write(pb.ImportLine(organization_id="shop", variant_id="mug ", warehouse_id="w1"))
        assert writing.write(pb.ImportLine(organization_id="shop", variant_id="mug", warehouse_id="w1"))
    with file.open(newline="") as opened:
        assert [read.variant_id for read in read_counted_lines(opened).lines] == ["mug"]

"""What the program prints: tables that cut nothing, plain lines in a pipe, JSON; and output that cannot be read."""

import asyncio
import io
import json
import os
import pty
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from stockkeeper.command_line.output import TABLE_ROWS_MAX, Column, render
from tests.system.servers import ROOT, ServerProcess, line, run_cli, running_server

pytestmark = pytest.mark.anyio

COLUMNS = (Column("Id"), Column("Place", need=1), Column("Items", need=2, width_min=5))
LONG_ORDER = "order-2026-000123456"


async def on_a_terminal(server: ServerProcess, *arguments: str, columns: int = 80) -> str:
    """What the program shows on a terminal of this width."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stockkeeper", *arguments, "--target", f"localhost:{server.port}"),
        stdout=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)
    await process.wait()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "")


def read_all(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # the other side is closed
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode()
        parts.append(part)


async def in_a_shell(server: ServerProcess, command: str) -> tuple[int, str, str]:
    """Run a line of bash in which `stockkeeper` is the program, and the last status but 0 is the line's."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'set -o pipefail; stockkeeper() {{ {sys.executable} -m stockkeeper "$@"; }}; {command}'),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "STOCKKEEPER_TARGET": f"localhost:{server.port}"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def drawn(width: int, *rows: Sequence[str]) -> list[str]:
    shown = render(Console(width=width, file=io.StringIO()), COLUMNS, rows)
    assert all(len(line) <= width for line in shown.splitlines() if not line.startswith("Not shown"))
    return [line.rstrip() for line in shown.splitlines()]


def test_a_table_leaves_out_columns_and_wraps_before_it_cuts_a_value() -> None:
    row = ("id-0123456789", "place", "many items here")
    assert drawn(40, row)[2:] == ["id-0123456789  place  many items here"]
    assert drawn(30, row)[2:] == [
        "id-0123456789  place  many",
        "                      items",
        "                      here",
    ]
    assert drawn(22, row)[2:] == ["id-0123456789  place", "Not shown in 22 columns: Items. --json shows all."]
    assert drawn(14, row)[2:] == ["id-0123456789", "Not shown in 14 columns: Place, Items. --json shows all."]
    assert "".join(drawn(8, row)[2:-1]).replace(" ", "") == "id-0123456789"


def test_a_value_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert drawn(40, ("[red]mug[/red]", "[1]", ""))[2].split() == ["[red]mug[/red]", "[1]"]


async def test_a_terminal_of_80_columns_shows_whole_ids(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("mug-with-a-very-long-name-of-its-own", 5, "warehouse-of-the-north")])
        answer = await client.reserve_stock(
            "org_1", LONG_ORDER, [{"variant_id": "mug-with-a-very-long-name-of-its-own", "quantity": 2}]
        )
        shown = await on_a_terminal(server, "reservations", "org_1")
        assert f"{answer.reservation_id}  {LONG_ORDER}  active" in shown
        shown = await on_a_terminal(server, "stock", "org_1")
        assert re.search(r"mug-with-a-very-long-name-of-its-own  warehouse-of-the-north +\d*", shown)
        assert "…" not in shown
        shown = await on_a_terminal(server, "reservations", "org_1", columns=200)
        assert "2 mug-with-a-very-long-name-of-its-own@warehouse-of-the-north" in shown


async def test_a_list_that_is_longer_than_a_table_is_printed_as_plain_lines(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line(f"v{number:05}", 5) for number in range(TABLE_ROWS_MAX + 2)])
        shown = (await on_a_terminal(server, "stock", "org_1", "--rows", "5000")).splitlines()
        assert [text.split("\t")[0] for text in shown] == [
            "variant",
            *[f"v{number:05}" for number in range(TABLE_ROWS_MAX + 2)],
        ]
        status, out, err = await run_cli("stock", "org_1", "--rows", "2", "--target", f"localhost:{server.port}")
        assert (status, err) == (0, "These are the first 2; --rows shows more.\n")
        assert out.splitlines()[1:] == [
            "v00000\tw1\tw1\t5\t5\t0\t0\t0\tin_stock",
            "v00001\tw1\tw1\t5\t5\t0\t0\t0\tin_stock",
        ]


async def test_json_is_one_object_a_line_for_lists_and_answers(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--json", "--target", f"localhost:{server.port}")
        _, out, _ = await run_cli("receive", "org_1", "mug:5@w1", *target)
        assert json.loads(out)["rows"][0]["available_quantity"] == 5
        await run_cli("receive", "org_1", "cup:1@w1", *target)
        _, out, _ = await run_cli("reserve", "org_1", "o1", "mug:2", *target)
        reserved = json.loads(out)
        assert reserved["success"] is True
        _, out, _ = await run_cli("stock", "org_1", *target)
        rows = [json.loads(text) for text in out.splitlines()]
        assert [(row["variant_id"], row["available_quantity"], row["damaged_quantity"]) for row in rows] == [
            ("cup", 1, 0),
            ("mug", 3, 0),
        ]
        _, out, _ = await run_cli("reservations", "org_1", *target)
        assert json.loads(out)["reservation_id"] == reserved["reservation_id"]
        _, out, _ = await run_cli("release", "org_1", reserved["reservation_id"], *target)
        assert json.loads(out)["total_quantity_released"] == 2


async def test_a_reader_that_leaves_ends_the_program_at_once_and_without_a_word(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line(f"v{number:05}", 5) for number in range(20_000)])
        status, out, err = await in_a_shell(server, "stockkeeper stock org_1 --rows 20000 | head -2")
        assert (status, err) == (141, "")
        assert out.splitlines()[1].startswith("v00000\t")
        status, _, err = await in_a_shell(server, "stockkeeper stock org_1 --rows 20000 --json | head -2")
        assert (status, err) == (141, "")


async def test_a_watch_ends_when_its_reader_has_left_though_nothing_happens(tmp_path: Path) -> None:
    """Within ten seconds: that is how often the server says that nothing has happened."""
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("mug", 5)])
        commands = ("stockkeeper watch org_1 --snapshot | head -1", "stockkeeper stock org_1 --watch | head -1")
        ended = await asyncio.gather(*(in_a_shell(server, command) for command in commands))
        assert [(status, err) for status, _, err in ended] == [(141, "")] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
async def test_an_output_that_takes_nothing_is_one_sentence(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("mug", 5)])
        sentence = "The output cannot be written: No space left on device.\n"
        for command in ("stock org_1", "stock org_1 --json", "receive org_1 mug:1@w1", "--help"):
            assert await in_a_shell(server, f"stockkeeper {command} > /dev/full") == (1, "", sentence)
        assert await in_a_shell(server, "stockkeeper stock org_1 >&-") == (0, "", "")
        other = f"sqlite+aiosqlite:///{tmp_path}/other.db"
        serve = f"stockkeeper serve --port 0 --log-level error --database-url {other} > /dev/full"
        assert await in_a_shell(server, serve) == (1, "", sentence)


async def test_each_wrong_field_is_named_once(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        status, out, err = await run_cli("receive", "x" * 129, f"mug:1@{'y' * 129}", *target)
        assert (status, out) == (1, "")
        assert [text.split(":")[0] for text in err.splitlines()] == ["organization_id", "lines[0].warehouse_id"]
        status, _, err = await run_cli("stock", "x" * 129, *target)
        assert len(err.splitlines()) == 1

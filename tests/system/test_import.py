"""`stockkeeper import` against a real server: what a file sets, what it leaves, and what is said of a bad one."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from stockkeeper_client import InventoryClient

from stockkeeper import stock_csv
from stockkeeper.stock_csv import BadFile, read_counted_lines
from tests.system.servers import ROOT, run_cli, running_server

pytestmark = pytest.mark.anyio

NEEDED = "organization_id,variant_id,warehouse_id,total_quantity"
ALL = f"{NEEDED},damaged_quantity,in_transit_quantity,min_stock,max_stock,warehouse_name"


async def row(client: InventoryClient, variant: str = "mug") -> tuple[int | str, ...]:
    [info] = (await client.get_stock_info("shop", variant)).stock_info
    figures = (info.total_quantity, info.available_quantity, info.damaged_quantity, info.in_transit_quantity)
    return (*figures, info.min_stock, info.max_stock, info.warehouse_name)


async def test_what_a_file_does_not_say_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = ("--target", f"localhost:{server.port}")
        file.write_text(f"{ALL}\nshop,mug,madrid,120,20,30,10,400,Madrid\n")
        assert (await run_cli("import", str(file), *target))[0] == 0
        assert await row(client) == (120, 70, 20, 30, 10, 400, "Madrid")
        for text in (f"{NEEDED}\nshop,mug,madrid,120\n", f"{ALL}\nshop,mug,madrid,120,,,,,\n"):
            file.write_text(text)
            assert (await run_cli("import", str(file), *target))[:2] == (
                0,
                "1 line: 0 rows created, 0 changed, 1 unchanged.\n",
            )
        file.write_text(f"{NEEDED},max_stock\nshop,mug,madrid,110,0\nshop,cup,madrid,5,\n")
        assert (await run_cli("import", str(file), *target))[0] == 0
        assert await row(client) == (110, 60, 20, 30, 10, 0, "Madrid")
        assert await row(client, "cup") == (5, 5, 0, 0, 0, 0, "Madrid")


@pytest.mark.parametrize(
    "text",
    [
        'organization_id;variant_id;warehouse_id;total_quantity;warehouse_name\nshop;cup;madrid;12;"Madrid; south"\n',
        f"{NEEDED},warehouse_name\nshop,cup,madrid,12,Madrid; south\n".replace(",", "\t"),
        f'\ufeff"warehouse_name",{NEEDED}\r\nMadrid; south,shop,cup,madrid,12\r\n',
        f"{NEEDED},warehouse_name,,\nshop,cup,madrid,12,Madrid; south,,\n,,,,,,\n  ,,\n\n",
        f"{NEEDED},warehouse_name\n shop , cup , madrid , 12 , Madrid; south ,,,\n",
    ],
    ids=["semicolons", "tabs", "BOM before a quote", "blank rows and trailing separators", "blanks around values"],
)
async def test_a_file_as_spreadsheets_write_it_is_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stock.csv"
    file.write_bytes(text.encode())
    with file.open(newline="", encoding="utf-8") as opened:
        counted = read_counted_lines(opened)
    assert not counted.errors
    [line] = counted.lines
    assert (line.organization_id, line.variant_id, line.warehouse_id) == ("shop", "cup", "madrid")
    assert (line.total_quantity, line.warehouse_name, line.HasField("damaged_quantity")) == (12, "Madrid; south", False)


def errors_of(text: str) -> list[tuple[int, str]]:
    return [(error.line_number, error.reason) for error in read_counted_lines(text.splitlines(keepends=True)).errors]


@pytest.mark.parametrize(
    "quantity", ["1_000", "5.5", "0x10", "²", "٣", "+5", "-1", "1,000", "2147483648", "9" * 5_000, "1e3"]
)
def test_a_quantity_is_digits_and_what_was_read_is_said(quantity: str) -> None:
    [(number, reason)] = errors_of(f'{NEEDED}\nshop,a,m,5\nshop,b,m,"{quantity}"\n')
    assert number == 3
    assert reason == (
        f"total_quantity must be a whole number from 0 to 2,147,483,647 in digits alone, not '{quantity}'"
    )


def test_the_total_of_a_line_is_needed() -> None:
    assert [number for number, _ in errors_of(f"{NEEDED}\nshop,a,m,\n")] == [2]


def test_a_record_is_named_by_its_first_line() -> None:
    text = f'{NEEDED},warehouse_name\nshop,a,m,5,"Mad\nrid"\n\nshop,b,m,x,"Mad\nrid"\nshop,c,m,y,\n'
    assert [number for number, _ in errors_of(text)] == [2, 5, 7]


def test_a_quote_that_is_not_closed_is_named_where_it_opens() -> None:
    text = f'{NEEDED},warehouse_name\nshop,a,m,5,M\nshop,b,m,5,"Madrid\nshop,c,m,5,M\n'
    assert errors_of(text) == [(3, "a quote is opened in this record and never closed")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("organization_id,variant_id\n", "warehouse_id, total_quantity are missing"),
        ("", "must name its columns"),
        (f"{NEEDED},colour\n", "columns that are not known: 'colour'"),
        (f"{NEEDED},total_quantity\n", "names a column twice"),
        ("x" * 200_000 + "\n", "line 1: a value has more than 131,072 characters"),
    ],
    ids=["columns", "empty", "unknown", "twice", "long"],
)
async def test_a_file_that_is_no_stock_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "stock.csv"
    file.write_text(text)
    status, out, err = await run_cli("import", str(file), "--target", "localhost:1")
    assert (status, out) == (1, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_file_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_csv, "IMPORT_LINES_MAX", 2)
    with pytest.raises(BadFile, match="more than 2 records"):
        read_counted_lines([f"{NEEDED}\n", *(f"shop,s{n},m,1\n" for n in range(3))])


async def test_an_import_reads_a_pipe(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "import", "-", "--json", "--target", f"localhost:{server.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        out, _ = await process.communicate(f"\ufeff{NEEDED}\nshop,mug,madrid,5\n".encode())
        assert json.loads(out)["rows_created"] == 1
        assert await row(client) == (5, 5, 0, 0, 0, 0, "madrid")


async def import_interrupted(tmp_path: Path, reads: str, how: str) -> tuple[int, str]:
    file = tmp_path / "stock.csv"
    # More than gRPC sends without being read, so that a server that reads one message holds the rest up.
    lines = 100_000 if reads == "one" else 3
    file.write_text(f"{NEEDED}\n" + "".join(f"shop,variant-number-{number},madrid,1\n" for number in range(lines)))
    status, said = await interrupted(how, reads, "import", str(file), "--request-id", "count-7")
    return status, said.replace(str(file), "FILE")


async def interrupted(how: str, reads: str, *arguments: str) -> tuple[int, str]:
    """Interrupt the program, or kill its server, once the server has read what it reads.

    Returns the program's exit status and what it said.
    """
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.system.silent_server", reads), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert server.stdout is not None
    try:
        port = int(await asyncio.wait_for(server.stdout.readline(), 30))
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", *arguments, "--target", f"localhost:{port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert await asyncio.wait_for(server.stdout.readline(), 30) == b"has read\n"
        if how == "SIGINT":
            program.send_signal(signal.SIGINT)
        else:
            server.kill()
        out, err = await asyncio.wait_for(program.communicate(), 30)
        assert (out, program.returncode is not None) == (b"", True)
        return program.returncode or 0, err.decode().replace(str(port), "PORT")
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


MAY_HAPPEN = (
    "All lines were sent: the server may have imported them, or may still do so. To find out, run it again under the "
    "same request id, which changes nothing twice:\n"
    "  stockkeeper import FILE --request-id count-7 --target localhost:PORT\n"
)


@pytest.mark.parametrize(
    ("reads", "how", "status", "said"),
    [
        ("one", "SIGINT", 130, "Interrupted. Nothing was imported: not all lines were sent.\n"),
        ("all", "SIGINT", 130, f"Interrupted. {MAY_HAPPEN}"),
        ("one", "kill", 1, "The server does not answer any more. Nothing was imported: not all lines were sent.\n"),
        ("all", "kill", 1, f"The server does not answer any more. {MAY_HAPPEN}"),
    ],
)
async def test_an_import_that_is_cut_off_says_whether_it_can_still_happen(
    tmp_path: Path, reads: str, how: str, status: int, said: str
) -> None:
    assert await import_interrupted(tmp_path, reads, how) == (status, said)


async def test_a_change_that_was_never_sent_leaves_no_doubt() -> None:
    for arguments in (("receive", "shop", "mug:5@madrid"), ("release", "shop", "r-1")):
        answer = await run_cli(*arguments, "--target", "localhost:1")
        assert answer == (1, "", "No server answers at localhost:1. Start one with: stockkeeper serve\n")
    status, _, err = await run_cli("stock", "shop", "--target", "no-such-host.invalid:1")
    assert (status, err.startswith("No server answers at no-such-host.invalid:1: ")) == (1, True)


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [("SIGINT", 130, "Interrupted."), ("kill", 1, "The server at localhost:PORT does not answer any more.")],
)
async def test_a_change_whose_answer_is_lost_says_how_to_find_out(how: str, status: int, said: str) -> None:
    again = "It may have been done all the same. To find out, run it again, with --request-id d-7: it changes nothing"
    arguments = ("receive", "shop", "mug:5@madrid", "--request-id", "d-7")
    assert await interrupted(how, "all", *arguments) == (status, f"{said} {again} twice.\n")

"""The command line against a real server: what it prints, and how it exits."""

import asyncio
import json
import os
import pty
import re
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.system.servers import ORGANIZATION, ROOT, figures, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio

HEADER = (
    "organization_id,variant_id,warehouse_id,warehouse_name,total_quantity,damaged_quantity,in_transit_quantity,"
    "min_stock,max_stock\n"
)
DEAD_PROXY = {
    "https_proxy": "http://127.0.0.1:9",
    "grpc_proxy": "http://127.0.0.1:9",
    "no_proxy": "",
    "no_grpc_proxy": "",
}
NEW_ORGANIZATION = "This is a new organization: org_1 had no stock.\n"
GOOD = """org_1,a,w1,North,10,1,2,3,40
org_1,"b, with a comma",w2,South,5,,,,
org_2,a,w1,,7,0,0,0,0
"""

BAD = """organization_id,variant_id,warehouse_id,total_quantity,damaged_quantity
org_1,a,w1,11,0
org_1,,w1,5,0
org_1,c,w1,many,0
org_1,d,w1,-1,0
org_1,e,w1,5,6
org_1,a,w1,5,0
org_1,f,w1
org_1,g,w1,2147483648,0
"""


async def test_an_import_shows_its_progress_on_a_terminal_alone(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text(HEADER + "".join(f"org_1,v{number},w1,North,5,0,0,0,0\n" for number in range(1_200)))
    async with running_server(tmp_path / "stock.db") as server:
        arguments = ("import", str(file), "--target", f"localhost:{server.port}")
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        )
        os.close(theirs)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        shown = os.read(ours, 65_536).decode()
        os.close(ours)
        assert (process.returncode, out.decode()) == (
            0,
            f"1200 lines: 1200 rows created, 0 changed, 0 unchanged.\n{NEW_ORGANIZATION}",
        )
        for phase in ("Reading", "Sending", "Checking and writing", "1,200 of 1,200 lines"):
            assert phase in shown
        assert await run_cli(*arguments) == (0, "1200 lines: 0 rows created, 0 changed, 1200 unchanged.\n", "")


async def test_an_import_sets_totals_and_repeating_it_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text(HEADER + GOOD)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = ("--target", f"localhost:{server.port}")
        assert await run_cli("import", str(file), *target) == (
            0,
            f"3 lines: 3 rows created, 0 changed, 0 unchanged.\n{NEW_ORGANIZATION}"
            "This is a new organization: org_2 had no stock.\n",
            "",
        )
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 4}])
        assert await run_cli("import", str(file), *target) == (
            0,
            "3 lines: 0 rows created, 0 changed, 3 unchanged.\n",
            "",
        )
        assert await figures(client) == {("a", "w1"): (3, 4), ("b, with a comma", "w2"): (5, 0)}
        [info] = (await client.get_stock_info(ORGANIZATION, "a", "w1")).stock_info
        assert (info.warehouse_name, info.total_quantity, info.damaged_quantity, info.in_transit_quantity) == (
            "North",
            10,
            1,
            2,
        )
        assert (info.min_stock, info.max_stock, info.stock_status) == (3, 40, "low_stock")


async def test_a_file_with_bad_lines_changes_nothing_and_each_is_named(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text(BAD)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        status, out, err = await run_cli("import", str(file), "--target", f"localhost:{server.port}")
        assert (status, out) == (1, "")
        lines = err.splitlines()
        assert [int(re.findall(r"line (\d+):", line)[0]) for line in lines[:-1]] == [3, 4, 5, 6, 7, 8, 9]
        assert lines[-1] == "Nothing was imported: 7 bad lines."
        assert await figures(client) == {}


async def test_a_line_that_only_the_stock_forbids_is_named_too(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = ("--target", f"localhost:{server.port}")
        file.write_text("organization_id,variant_id,warehouse_id,total_quantity\norg_1,a,w1,10\norg_1,b,w1,10\n")
        await run_cli("import", str(file), *target)
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "b", "quantity": 4}])
        file.write_text("organization_id,variant_id,warehouse_id,total_quantity\norg_1,a,w1,20\norg_1,b,w1,3\n")
        status, _, err = await run_cli("import", str(file), *target)
        assert status == 1
        assert err.splitlines()[0].startswith("line 3: total_quantity 3")
        assert await figures(client) == {("a", "w1"): (10, 0), ("b", "w1"): (6, 4)}


async def test_goods_come_in_are_looked_at_reserved_confirmed_and_shipped(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        received = ("receive", "org_1", "mug:10@w1", "--reason", "purchase", "--request-id", "d-1", *target)
        first = await run_cli(*received)
        assert first[1].splitlines() == [
            "10 mug are available in w1, 10 in all.",
            "Stock received; new row: mug@w1; new organization: org_1.",
        ]
        assert await run_cli(*received) == first
        status, out, _ = await run_cli("reserve", "org_1", "order-1", "mug:3@w1", *target)
        assert status == 0
        assert "3 mug from w1: 10 were available, 7 are left" in out
        reservation_id = re.findall(r"Reservation (\S+) holds", out)[0]
        status, out, _ = await run_cli("fulfill", "org_1", reservation_id, "--request-id", "s-0", *target)
        assert status == 1
        assert (await run_cli("confirm", "org_1", reservation_id, "order-1", *target))[0] == 0
        shipped = await run_cli("fulfill", "org_1", reservation_id, "--request-id", "s-1", *target)
        assert shipped[1].startswith("1 item, 3 pieces left at ")
        assert await run_cli("fulfill", "org_1", reservation_id, "--request-id", "s-1", *target) == shipped
        status, out, _ = await run_cli("stock", "org_1", *target)
        assert "mug\tw1\tw1\t7\t7\t0\t" in out
        status, out, _ = await run_cli("reservations", "org_1", "--state", "fulfilled", *target)
        assert reservation_id in out
        status, out, _ = await run_cli("reserve", "org_1", "order-2", "mug:2", *target)
        reservation_id = re.findall(r"Reservation (\S+) holds", out)[0]
        status, out, _ = await run_cli("release", "org_1", reservation_id, "payment_failed", *target)
        assert out == "Reservation released: 1 item, 2 pieces went back.\n"


async def test_a_typing_error_shows_as_a_new_row_or_organization(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:5@w1", *target)
        assert (await run_cli("receive", "shop", "mug:5@w1", *target))[1].splitlines() == [
            "10 mug are available in w1, 10 in all."
        ]
        assert "new row" in (await run_cli("receive", "shop", "mugg:5@w1", *target))[1]
        file.write_text("organization_id,variant_id,warehouse_id,total_quantity\nshop,mug,w1,9\nshp,mug,w1,1\n")
        assert (await run_cli("import", str(file), *target))[1].splitlines() == [
            "2 lines: 1 row created, 1 changed, 0 unchanged.",
            "This is a new organization: shp had no stock.",
        ]


async def test_announced_goods_that_come_in_are_counted_once(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = ("--target", f"localhost:{server.port}")
        columns = "organization_id,variant_id,warehouse_id,total_quantity,in_transit_quantity"
        file.write_text(f"{columns}\norg_1,kettle,w1,112,100\n")
        await run_cli("import", str(file), *target)
        arrived = ("receive", "org_1", "kettle:60@w1", "--from-in-transit", *target)
        assert (await run_cli(*arrived))[1] == "72 kettle are available in w1, 112 in all.\n"
        assert (await run_cli(*arrived))[1] == "132 kettle are available in w1, 132 in all.\n"  # 20 more than announced
        [info] = (await client.get_stock_info("org_1", "kettle")).stock_info
        assert info.in_transit_quantity == 0


async def test_goods_come_in_in_several_lines_and_leave_over_the_counter(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        announced = ("announce", "shop", "mug:5@w1", "pot:2@w2", "--reference", "PO-7", "--request-id", "a-1", *target)
        first = await run_cli(*announced)
        assert first[1].splitlines() == [
            "5 mug are on their way to w1.",
            "2 pot are on their way to w2.",
            "Stock announced; new rows: mug@w1, pot@w2; new organization: shop.",
        ]
        assert await run_cli(*announced) == first
        arrived = await run_cli("receive", "shop", "mug:5@w1", "pot:2@w2", "--from-in-transit", *target)
        assert arrived[1].splitlines() == [
            "5 mug are available in w1, 5 in all.",
            "2 pot are available in w2, 2 in all.",
        ]
        broken = await run_cli("receive", "shop", "mug:3@w1", "--damaged", *target)
        assert broken[1] == "5 mug are available in w1, 8 in all.\n"
        sold = ("deduct", "shop", "mug:2", "pot:1@w2", "--reason", "till", "--request-id", "t-1", *target)
        first = await run_cli(*sold)
        assert first[1].splitlines() == [
            "2 mug left w1.",
            "1 pot left w2.",
            "3 mug are available in w1, 6 in all.",
            "1 pot is available in w2, 1 in all.",
        ]
        assert await run_cli(*sold) == first
        status, out, err = await run_cli("deduct", "shop", "mug:1", "pot:2", *target)
        assert (status, out) == (1, "")
        assert "pot@w2: requested 2, available 1" in err
        assert "mug\tw1\tw1\t6\t3\t" in (await run_cli("stock", "shop", *target))[1]


async def test_a_row_is_set_right(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:10@w1", *target)
        broken = ("adjust", "shop", "mug@w1", "mark-damaged", "3", "--reason", "fell", "--request-id", "a-1", *target)
        first = await run_cli(*broken)
        assert first == (0, "7 mug are available in w1, 10 in all.\n3 are damaged.\n", "")
        assert await run_cli(*broken) == first
        lost = await run_cli("adjust", "shop", "mug@w1", "delta", "-2", *target)
        assert lost[1].startswith("5 mug are available in w1, 8 in all.")
        stale = await run_cli("adjust", "shop", "mug@w1", "count", "9", "--expected-total", "10", *target)
        assert stale[0] == 1
        assert stale[2].splitlines()[0] == (
            "Variant mug in warehouse w1 has 8 in all, and the count expects another total"
        )
        counted = await run_cli("adjust", "shop", "mug@w1", "count", "9", "--expected-total", "8", *target)
        assert counted[1].startswith("6 mug are available in w1, 9 in all.")
        repaired = await run_cli("adjust", "shop", "mug@w1", "repair", "2", *target)
        assert repaired[1] == "8 mug are available in w1, 9 in all.\n1 is damaged.\n"


async def test_a_loss_below_what_is_reserved_is_refused_or_releases(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:5@w1", *target)
        for order in ("o-1", "o-2"):
            assert (await run_cli("reserve", "shop", order, "mug:2", *target))[0] == 0
        lost = ("adjust", "shop", "mug@w1", "delta", "-2", *target)
        status, out, err = await run_cli(*lost)
        assert (status, out) == (1, "")
        assert err.splitlines()[0].endswith("; not covered any more: 1 active reservation")
        assert "1 mug@w1 of order o-2, active" in err
        listed = [
            json.loads(line) for line in (await run_cli("reservations", "shop", "--json", *target))[1].splitlines()
        ]
        newest = next(one["reservation_id"] for one in listed if one["order_id"] == "o-2")
        released = await run_cli(*lost, "--release-uncovered", "--request-id", "loss-1")
        assert released == (
            0,
            f"1 mug is available in w1, 3 in all.\nReservation {newest} of order o-2 is released: 1 mug is gone.\n",
            "",
        )
        assert await run_cli(*lost, "--release-uncovered", "--request-id", "loss-1") == released
        movements = (await run_cli("movements", "shop", "mug", *target))[1]
        assert "stock_lost" in movements


async def test_a_row_that_a_typing_error_made_is_taken_back(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "captypo:3@south", *target)
        status, _, err = await run_cli("delete", "shop", "captypo@south", *target)
        assert (status, err) == (
            1,
            "Variant captypo in warehouse south has 3 available; only an empty row can go\n",
        )
        await run_cli("deduct", "shop", "captypo:3@south", *target)
        gone = ("delete", "shop", "captypo@south", "--request-id", "x-1", *target)
        assert await run_cli(*gone) == (0, "Stock row deleted: captypo@south.\n", "")
        assert await run_cli(*gone) == (0, "Stock row deleted: captypo@south.\n", "")
        assert (await run_cli("stock", "shop", *target))[2] == "shop has no such stock.\n"
        assert (await run_cli("delete", "shop", "captypo@south", *target))[0] == 1
        assert (await run_cli("delete", "shop", "captypo", *target))[0] == 2
    status, out, _ = await run_cli("check", "--database-url", f"sqlite+aiosqlite:///{tmp_path / 'stock.db'}")
    assert (status, "0 stock rows, 3 movements" in out) == (0, True)


async def test_a_longer_time_limit_for_the_same_basket_changes_nothing_and_says_so(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:5@w1", *target)
        first = await run_cli("reserve", "org_1", "o1", "mug:2", "--ttl-minutes", "5", *target)
        assert await run_cli("reserve", "org_1", "o1", "mug:2", "--ttl-minutes", "5", *target) == first
        again = (await run_cli("reserve", "org_1", "o1", "mug:2", "--ttl-minutes", "60", *target))[1]
        assert "Stock was reserved before; its time limit was not changed and is 5 minutes.\n" in again
        assert again.splitlines()[-1] == first[1].splitlines()[-1]


async def test_a_refusal_names_all_that_is_wrong_and_where_else_the_goods_are(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:50@madrid", *target)
        lines = ("cup:1", "mug:1@paris", "mug:51@madrid")
        status, out, err = await run_cli("reserve", "org_1", "o1", *lines, *target)
        assert (status, out) == (1, "")
        assert err.splitlines() == [
            "Stock not found for variant cup (and 2 more)",
            "  cup: no such stock",
            "  mug@paris: no such stock; madrid has 50",
            "  mug@madrid: requested 51, available 50",
        ]


async def test_a_refusal_says_why_and_is_status_1(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        sentence = "Stock not found for variant mug\n  mug: no such stock\n"
        assert await run_cli("reserve", "org_1", "o1", "mug:1", *target) == (1, "", sentence)
        assert await run_cli("stock", "org_1", *target) == (1, "", "org_1 has no such stock.\n")
        assert await run_cli("reservations", "org_1", *target) == (0, "", "org_1 has no such reservation.\n")
        assert await run_cli("reservations", "org_1", "o1", *target) == (1, "", "org_1 has no such reservation.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("serve", "--port", "70000"), 2, "70000"),
        (("serve", "--database-url", "mysql://x"), 2, "must begin with sqlite or postgresql"),
        (("serve", "--database-url", "sqlite+aiosqlite://"), 2, "must name a file"),
        (("serve", "--log-level", "loud"), 2, "loud"),
        (
            ("serve", "--database-url", "sqlite+aiosqlite:////nowhere/at/all/stock.db", "--port", "0"),
            1,
            "/nowhere/at/all",
        ),
        (("stock", "org_1", "--target", "localhost"), 2, "host:port"),
        (("reserve", "org_1", "o1", "mug"), 2, "variant:quantity"),
        (("reserve", "org_1", "o1 ", "mug:1"), 2, "The order id 'o1 ' must have"),
        (("reserve", "org_1", "o\u200b1", "mug:1"), 2, "none of them invisible"),
        (("stock", "org_1", "--target", "localhost:1"), 1, "No server answers at localhost:1"),
        (("import", "nowhere.csv"), 1, "nowhere.csv"),
        (("no-such-command",), 2, "no-such-command"),
        (("stock",), 2, "organization"),
        (("extend", "org_1", "r1", "5"), 2, "There is one argument too many: '5'. --help shows"),
        (
            ("receive", "org_1", "a:5.5@w1"),
            2,
            "The quantity of 'a:5.5@w1' must be a whole number from 1 to 2,147,483,647",
        ),
        (("receive", "org_1", "a:1_000@w1"), 2, "not '1_000'"),
        (("receive", "org_1", "a:0x10@w1"), 2, "not '0x10'"),
        (("receive", "org_1", "a:1.000@w1"), 2, "not '1.000'"),
        (("receive", "org_1", "a:3000000000@w1"), 2, "not '3000000000'"),
        (("receive", "org_1", f"a:{'9' * 5_000}@w1"), 2, "must be a whole number"),
        (("receive", "org_1", "a:-5@w1"), 2, "not '-5'"),
        (("receive", "org_1", "mug:5"), 2, "variant:quantity@warehouse, not 'mug:5'"),
        (("adjust", "org_1", "mug@w1", "repair", "-1"), 2, "not '-1'"),
        (("adjust", "org_1", "mug", "repair", "1"), 2, "variant@warehouse, not 'mug'"),
        (("announce", "org_1", "mug:5"), 2, "variant:quantity@warehouse, not 'mug:5'"),
        (("reserve", "org_1", "o1", "mug:²"), 2, "The quantity of 'mug:²' must be"),
        (("reserve", "org_1", "o1", "mug:99999999999"), 2, "not '99999999999'"),
        (("reserve", "org_1", "o1", "mug:1_0@w1"), 2, "not '1_0'"),
        (("reserve", "org_1", "o1", "mug:1", "--ttl-minutes", "2.5"), 2, "--ttl-minutes: must be"),
        (("stock", "org_1", "--rows", "1e3"), 2, "not '1e3'"),
        (("stock", "org_1", "--target", "localhost:²"), 2, "host:port"),
        (("stock", "org_1", "--target", "localhost:65536"), 2, "65535"),
        (("serve", "--grace-s", "nan"), 2, "--grace-s: must be seconds"),
        (("serve", "--port", "5_0"), 2, "--port: must be"),
        (("simulate", "--seed", "1_0"), 2, "--seed: must be"),
        (("simulate", "--seeds", "5..3"), 2, "is empty"),
        (("simulate", "--seeds", "5..5"), 2, "is empty"),
    ],
)
async def test_mistakes_get_a_sentence_and_the_right_status(
    arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    got, out, err = await run_cli(*arguments)
    assert got == status
    assert sentence.lower() in (err + out).lower()
    assert "Traceback" not in err


async def test_the_environment_sets_the_port_and_both_addresses_of_localhost_answer(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = await start_server(tmp_path / "stock.db", port=None, environment={"GRPC_PORT": str(port)})
    try:
        assert server.port == port
        for host in ("127.0.0.1", "[::1]", "localhost"):
            answer = await run_cli("stock", "org_1", "--target", f"{host}:{port}", environment=DEAD_PROXY)
            assert answer == (1, "", "org_1 has no such stock.\n")
    finally:
        assert await server.terminate() == 0


async def test_the_environment_sets_the_database(tmp_path: Path) -> None:
    status, _, err = await run_cli("serve", "--port", "0", environment={"DATABASE_URL": "oracle://somewhere"})
    assert status == 2
    assert err == "The database URL must begin with sqlite or postgresql.\n"
    assert await run_cli("--version") == (0, f"{version('stockkeeper')}\n", "")

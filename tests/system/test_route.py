"""A router before two cells: programs, sockets and files, as an operator has them."""

import asyncio
import json
import os
import sqlite3
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from stockkeeper_client import Item, WrongCell
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.transport.addresses import free_addresses
from tests.authority import Authority
from tests.system.servers import ROOT, START_TIMEOUT_S, ServerProcess, audit, figures, line, run_cli, start_server

pytestmark = pytest.mark.anyio

ITEMS: list[Item] = [{"variant_id": "a", "quantity": 1}]
NAMES = ("north", "south")


@asynccontextmanager
async def a_router(folder: Path, *options: str) -> AsyncIterator[ServerProcess]:
    log = folder / "router.log"
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "route", "--port", "0", "--cells-map", str(folder / "cells.toml")),
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env=dict(os.environ),
        )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)).decode()
        assert " listens on " in said, said + log.read_text()
        port = int(said.split(" listens on ")[1].split(" ")[0].rstrip(",").rpartition(":")[2])
        server = ServerProcess(process, port, log)
        yield server
        assert await server.terminate() == 0
        assert "Traceback" not in log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def a_cell(folder: Path, name: str, *options: str) -> ServerProcess:
    options = ("--cells-map", str(folder / "cells.toml"), "--cell", name, *options)
    return await start_server(folder / f"{name}.db", *options)


def link_tls(authority: Authority) -> tuple[str, ...]:
    files = authority.files(client_ca=authority.file)
    return ("--link-cert", files.certificate, "--link-key", files.key, "--link-ca", files.client_ca)


def write_map(folder: Path, version: int = 1, organizations: str = "", south: str = "") -> None:
    addresses = {name: f"unix:{folder}/{name}.sock" for name in NAMES} | ({"south": south} if south else {})
    tables = "".join(f'[cells.{name}]\naddress = "{address}"\n' for name, address in addresses.items())
    (folder / "cells.toml").write_text(f"version = {version}\n{tables}[organizations]\n{organizations}")


def held(folder: Path, name: str) -> set[str]:
    connection = sqlite3.connect(folder / f"{name}.db")
    try:
        return {row[0] for row in connection.execute("SELECT organization_id FROM cell_organization")}
    finally:
        connection.close()


async def test_calls_and_streams_go_to_the_cell_of_their_organization_and_a_killed_owner_costs_no_error(
    tmp_path: Path,
) -> None:
    south = f"localhost:{free_addresses('localhost', 0)[0].port}"
    write_map(tmp_path, organizations='o1 = "north"\no2 = "south"', south=south)
    tls = link_tls(Authority(tmp_path, "links"))
    elsewhere = ("--link-listen", south, "--link-name", "localhost", *tls)  # as if on another machine
    cells = {name: await a_cell(tmp_path, name, *(elsewhere if name == "south" else ())) for name in NAMES}
    try:
        async with (
            a_router(tmp_path, "--cell-wait-s", "60", "--metrics-port", "0", *tls) as router,
            router.client(timeout_s=60) as client,
        ):
            for one in ("o1", "o2"):
                await client.stock.import_stock([line("a", 1_000, organization_id=one)])
            assert [held(tmp_path, name) for name in NAMES] == [{"o1"}, {"o2"}]
            async with cells["south"].client() as direct:
                with pytest.raises(WrongCell):
                    await direct.reserve_stock("o1", "x", ITEMS)
            await client.stock.import_stock([line(f"v{n}", 1, organization_id="o2") for n in range(5_001)])

            async def follow() -> None:
                async for _ in client.stock.watch_changes("o1"):
                    return

            following = asyncio.create_task(follow())
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{router.port}", [("grpc.enable_retries", 0)])
            stub, acknowledged = InventoryServiceStub(channel), []

            async def shop(organization_id: str, number: int) -> None:
                for order in range(8):
                    items = [pb.ReservationItem(variant_id="a", quantity=1)]
                    order_id = f"{number}-{order}"
                    request = pb.ReserveStockRequest(organization_id=organization_id, order_id=order_id, items=items)
                    answer = await stub.ReserveStock(request, timeout=60)
                    acknowledged.append((organization_id, answer.reservation_id))

            shopping = [asyncio.create_task(shop(one, n)) for one in ("o1", "o2") for n in range(4)]
            while len(acknowledged) < 10:  # noqa: ASYNC110 - calls do not tell
                await asyncio.sleep(0.005)
            await cells["north"].kill()
            cells["north"] = await a_cell(tmp_path, "north")
            await asyncio.gather(*shopping)
            await asyncio.wait_for(following, 60)
            assert len(set(acknowledged)) == 64
            for organization_id, reservation_id in acknowledged:
                await client.stock.get_reservation(organization_id, reservation_id)
            expected = {
                ("stockkeeper_router_link_up", "north", 1.0),
                ("stockkeeper_router_link_up", "south", 1.0),
                ("stockkeeper_router_link_requests", "south", 0.0),
                ("stockkeeper_router_map_version", "", 1.0),
                ("stockkeeper_router_claims_total", "", 2.0),
                ("rpc_server_call_duration_seconds_count", "OK", 64.0),
            }
            async with asyncio.timeout(60):
                while not await figures_of(router) >= expected:  # noqa: ASYNC110 - an answer is counted when written
                    await asyncio.sleep(0.05)
            assert {value > 0 for name, _, value in await figures_of(router) if "retries_total" in name} == {True}
            await imported_by_both(tmp_path, f"127.0.0.1:{router.port}")
            assert (await figures(client, "o1"))["a", "w1"] == (968, 32)
            await channel.close()
            assert await cells["south"].terminate() == 0  # though a router is connected
    finally:
        for cell in cells.values():
            if cell.process.returncode is None:
                await cell.terminate()
    for name in NAMES:
        audit(tmp_path / f"{name}.db")


async def figures_of(router: ServerProcess) -> set[tuple[str, str, float]]:
    """What its page says of cells and of reservations."""
    [told] = [entry for entry in router.log.read_text().splitlines() if '"metrics_shown"' in entry]
    address = f"http://{json.loads(told)['addresses'][0]}/metrics"
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=20).read().decode())
    return {
        (one.name, one.labels.get("cell") or one.labels.get("rpc_response_status_code", ""), one.value)
        for family in text_string_to_metric_families(page)
        for one in family.samples
        if "router" in one.name or one.labels.get("rpc_method", "").endswith("InventoryService/ReserveStock")
    }


async def imported_by_both(folder: Path, target: str) -> None:
    file, head = folder / "stock.csv", "organization_id,variant_id,warehouse_id,total_quantity\n"
    file.write_text(f"{head}o1,b,w1,1\no2,b,w1,2\no2,c,w1,3\n")
    said = "3 lines: 3 rows created, 0 changed, 0 unchanged.\n"
    said += "Cell north: 1 line, 1 row created, 0 changed, 0 unchanged.\n"
    said += "Cell south: 2 lines, 2 rows created, 0 changed, 0 unchanged.\n"
    assert await run_cli("import", str(file), "--target", target) == (0, said, "")
    file.write_text(f"{head}o1,b,w1,4\no2,a,w1,1\n".replace("o2,a,w1,1", "o2,a,w1,0"))
    status, out, err = await run_cli("import", str(file), "--target", target)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "Only what is in north was imported: 1 bad line."


async def test_a_router_that_cannot_work_says_why(tmp_path: Path) -> None:
    file = tmp_path / "cells.toml"
    assert await run_cli("route") == (2, "", "A router needs the map of the cells: --cells-map.\n")
    file.write_text('version = 1\n[cells.a]\naddress = "192.0.2.1:1"\n')
    clear = "and nothing is encrypted: give --link-cert, --link-key and --link-ca."
    a_map = ("--cells-map", str(file))
    cell = (*a_map, "--cell", "a", "--database-url", f"sqlite:///{tmp_path}/a.db")
    where = "Routers look for the cell a at 192.0.2.1:1, and it listens nowhere for them: give --link-listen."
    for options, said in (
        (("route", *a_map), f"The cell a is at 192.0.2.1:1, {clear}"),
        (("route", *a_map, "--link-ca", "a"), "TLS of links needs all three: --link-cert, --link-key and --link-ca."),
        (("serve", *cell), where),
        (("serve", *cell, "--link-listen", "0.0.0.0:1"), f"Other machines reach --link-listen 0.0.0.0:1, {clear}"),
        (("serve", *cell, "--link-listen", "x"), "--link-listen must be host:port or unix:/path, not 'x'."),
        (("serve", "--link-listen", "h:1"), "Routers reach a cell: --link-listen and its like go with --cell."),
    ):
        assert await run_cli(*options) == (2, "", f"{said}\n")
    write_map(tmp_path)
    status, _, err = await run_cli("route", "--cells-map", str(file), "--host", "0.0.0.0")
    assert (status, "nothing is encrypted" in err) == (2, True)

"""Real servers for tests: the program in a process of its own, on a real file, reached over a real socket."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stockkeeper_client import InventoryClient, StockLine

ORGANIZATION = "org_1"
ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60  # a start takes less than a second of CPU, and a busy machine may give that in many


@dataclass
class ServerProcess:
    """A running `stockkeeper serve`."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    def client(self, *, timeout_s: float = 20.0) -> InventoryClient:
        return InventoryClient("127.0.0.1", self.port, timeout_s=timeout_s, breaker=False)

    async def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """SIGTERM. Returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), START_TIMEOUT_S)


async def start_server(
    database: Path,
    *options: str,
    port: int | None = 0,
    environment: Mapping[str, str] | None = None,
    database_url: str = "",
    program: str = "stockkeeper",
) -> ServerProcess:
    """Start a server and wait until it says that it listens. A port of None leaves it to the environment.

    Without a `database_url` the stock is kept in the file `database`, or where a --config says; the log lies beside it.
    `program` is the module.
    """
    log = database.with_suffix(".log")
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program, "serve"),
            *(() if port is None else ("--port", str(port))),
            *(() if "--config" in options else ("--database-url", database_url or f"sqlite+aiosqlite:///{database}")),
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)).decode()
    if " listens on " not in line:
        await process.wait()
        raise AssertionError(f"the server did not start: {line!r} {log.read_text()}")
    address = line.split(" listens on ")[1].split(" ")[0].rstrip(",")
    return ServerProcess(process, int(address.rpartition(":")[2]), log)


@asynccontextmanager
async def running_server(database: Path, *options: str, port: int = 0) -> AsyncIterator[ServerProcess]:
    """A server for the length of a block, which ends well or fails the test."""
    server = await start_server(database, *options, port=port)
    try:
        yield server
        if server.process.returncode is None:
            assert await server.terminate() == 0
        assert "Traceback" not in server.log.read_text()
    finally:
        if server.process.returncode is None:
            await server.kill()


async def until_logged(server: ServerProcess, event: str) -> None:
    async with asyncio.timeout(60):
        while event not in server.log.read_text():  # noqa: ASYNC110 - other processes do not tell
            await asyncio.sleep(0.02)


async def run_cli(
    *arguments: str, environment: Mapping[str, str] | None = None, patience_s: float = 60.0
) -> tuple[int, str, str]:
    """Run the `stockkeeper` program to its end. Returns its exit status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stockkeeper", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(), patience_s)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def line(variant_id: str, total: int, warehouse_id: str = "w1", organization_id: str = ORGANIZATION) -> StockLine:
    """A line of an import."""
    return {
        "organization_id": organization_id,
        "variant_id": variant_id,
        "warehouse_id": warehouse_id,
        "total_quantity": total,
    }


async def figures(
    client: InventoryClient, organization_id: str = ORGANIZATION
) -> dict[tuple[str, str], tuple[int, int]]:
    """Available and reserved pieces of every row."""
    return {
        (row.variant_id, row.warehouse_id): (row.available_quantity, row.reserved_quantity)
        async for row in client.stock.list_stock(organization_id)
    }


def audit(database: Path) -> None:
    """G1 and G8 on the file of a server that does not run: figures, ledger and reservations agree."""
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute(
            "SELECT organization_id, variant_id, warehouse_id, available, reserved, damaged, in_transit, total"
            " FROM stock"
        ).fetchall()
        states = {tuple(row[:3]): tuple(row[3:7]) for row in rows}
        for row in rows:
            assert min(row[3:7]) >= 0, row
            assert sum(row[3:7]) == row[7], row
        chain: dict[tuple[str, str, str], tuple[int, ...]] = {}
        lsn = -(2**62)  # what came from another database has LSNs below 0
        for movement in connection.execute(
            "SELECT lsn, organization_id, variant_id, warehouse_id, available_before, reserved_before, damaged_before,"
            " in_transit_before, available_after, reserved_after, damaged_after, in_transit_after"
            " FROM stock_movement ORDER BY lsn, position"
        ):
            key, before, after = tuple(movement[1:4]), tuple(movement[4:8]), tuple(movement[8:12])
            assert movement[0] >= lsn
            lsn = movement[0]
            assert before == chain.get(key, (0, 0, 0, 0)), movement
            chain[key] = after
        assert chain == states
        held = connection.execute(
            "SELECT i.organization_id, i.variant_id, i.warehouse_id, sum(i.quantity) FROM reservation_item i"
            " JOIN reservation r USING (organization_id, reservation_id) WHERE r.state IN ('active', 'confirmed')"
            " GROUP BY 1, 2, 3"
        ).fetchall()
        assert {tuple(row[:3]): row[3] for row in held} == {k: s[1] for k, s in states.items() if s[1]}
    finally:
        connection.close()

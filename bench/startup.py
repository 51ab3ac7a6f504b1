"""How fast a server starts on a large file, and how much memory it takes: `python -m bench.startup`.

Writes `bench/results/startup.json`. A file with 1,000,000 stock rows and one with 100,000 active reservations
are made with plain SQL, since the time to make them through the service is not measured.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import grpc
import psutil
from stockkeeper_client import InventoryClient, Item

from bench.machine import describe

ORGANIZATION = "org_1"
RESULTS = Path(__file__).parent / "results"
STOCK_ROWS = 1_000_000
RESERVATIONS = 100_000
CREATED, EXPIRES = "2026-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"


class Server:
    """A server process and how long it took to listen."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, listens_s: float) -> None:
        self.process = process
        self.port = port
        self.listens_s = listens_s

    def __repr__(self) -> str:
        return f"<Server pid={self.process.pid} port={self.port} listens_s={self.listens_s:.3f}>"

    @property
    def memory_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    @property
    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()


def sqlite_url(database: Path) -> str:
    return f"sqlite+aiosqlite:///{database}"


async def start(database_url: str) -> Server:
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stockkeeper", "serve", "--port", "0"),
        *("--database-url", database_url),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    elapsed = time.perf_counter() - begin
    return Server(process, int(line.split(" listens on ")[1].split(" ")[0].rpartition(":")[2]), elapsed)


def fill(database: Path, stock_rows: int, reservations: int) -> None:
    """Rows v0 … each with 10 pieces, and reservations of one piece each, spread over the first 10,000 rows."""
    held = [0] * stock_rows
    for number in range(reservations):
        held[number % min(stock_rows, 10_000)] += 1
    connection = sqlite3.connect(database)
    with connection:
        warehouse = "INSERT INTO warehouse (organization_id, warehouse_id, name) VALUES (?, 'w1', 'One')"
        connection.execute(warehouse, (ORGANIZATION,))
        connection.executemany(
            "INSERT INTO stock (organization_id, variant_id, warehouse_id, stock_id, total, available, reserved,"
            " damaged, in_transit, min_stock, max_stock, version) VALUES (?, ?, 'w1', ?, ?, 10, ?, 0, 0, 0, 0, 1)",
            ((ORGANIZATION, f"v{n:07}", f"stock-{n}", 10 + held[n], held[n]) for n in range(stock_rows)),
        )
        connection.executemany(
            "INSERT INTO reservation (organization_id, reservation_id, order_id, state, created_at, expires_at, reason,"
            " lsn) VALUES (?, ?, ?, 'active', ?, ?, '', 0)",
            ((ORGANIZATION, f"r{n:06}", f"o{n:06}", CREATED, EXPIRES) for n in range(reservations)),
        )
        connection.executemany(
            "INSERT INTO reservation_item (organization_id, reservation_id, line, variant_id, warehouse_id,"
            " requested_warehouse_id, stock_id, quantity, stock_before, stock_after)"
            " VALUES (?, ?, 0, ?, 'w1', '', ?, 1, 11, 10)",
            (
                (ORGANIZATION, f"r{n:06}", f"v{n % min(stock_rows, 10_000):07}", f"stock-{n % 10_000}")
                for n in range(reservations)
            ),
        )
    connection.close()


async def measure_rows(database: Path) -> dict[str, float]:
    """Start on a full file, then use more and more of its rows."""
    server = await start(sqlite_url(database))
    figures = {"listens_s": server.listens_s, "memory_idle_mib": server.memory_mib}
    async with InventoryClient("127.0.0.1", server.port, breaker=False, timeout_s=60) as client:
        begin = time.perf_counter()
        await client.check_availability(ORGANIZATION, "v0500000", "w1", 1)
        figures["first_answer_s"] = time.perf_counter() - begin
        for rows in (1_000, 10_000, 50_000):
            for first in range(0, rows, 1_000):
                lines: list[Item] = [
                    {"variant_id": f"v{n:07}", "warehouse_id": "w1", "quantity": 1} for n in range(first, first + 1_000)
                ]
                await client.check_bulk_availability(ORGANIZATION, lines)
            figures[f"memory_{rows}_rows_in_use_mib"] = server.memory_mib
    await server.stop()
    return figures


async def measure_reservations(database: Path) -> dict[str, float]:
    """Start with many active reservations; the first confirmation and the first repeated order must find theirs."""
    begin = time.perf_counter()
    server = await start(sqlite_url(database))
    async with InventoryClient("127.0.0.1", server.port, breaker=False, timeout_s=60) as client:
        await client.confirm_reservation(ORGANIZATION, f"r{RESERVATIONS - 1:06}", f"o{RESERVATIONS - 1:06}")
        answer = await client.reserve_stock(ORGANIZATION, "o000000", [{"variant_id": "v0000000", "quantity": 1}])
        assert answer.reservation_id == "r000000"
        recovered_s = time.perf_counter() - begin
        try:
            await client.reserve_stock(ORGANIZATION, "too-much", [{"variant_id": "v0000000", "quantity": 11}])
            raise AssertionError("an order for more than there is was served")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    memory_mib = server.memory_mib
    await server.stop()
    return {"listens_s": server.listens_s, "recovered_s": recovered_s, "memory_mib": memory_mib}


async def main() -> None:
    result: dict[str, object] = {"machine": describe()}
    with tempfile.TemporaryDirectory() as directory:
        for name, rows, reservations in (
            ("empty", 1, 0),
            ("rows", STOCK_ROWS, 0),
            ("reservations", 10_000, RESERVATIONS),
        ):
            database = Path(directory) / f"{name}.db"
            await (await start(sqlite_url(database))).stop()  # makes the tables
            fill(database, rows, reservations)
        empty = await start(sqlite_url(Path(directory) / "empty.db"))
        result["empty_file"] = {"listens_s": empty.listens_s, "memory_idle_mib": empty.memory_mib}
        await empty.stop()
        result[f"{STOCK_ROWS}_stock_rows"] = await measure_rows(Path(directory) / "rows.db")
        result[f"{RESERVATIONS}_active_reservations"] = await measure_reservations(Path(directory) / "reservations.db")
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    (RESULTS / "startup.json").write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())

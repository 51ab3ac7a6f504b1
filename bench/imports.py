"""What a large import costs, and what others feel of it: `python -m bench.imports [LINES [postgres]]`.

A server on a new SQLite file, or on a PostgreSQL of its own, takes an import of new rows, then one that changes them
all, while 100 reservations a second of other goods go on. It prints how long each took, what the reservations waited
meanwhile, the CPU time and the most memory that the server had, and the CPU time of PostgreSQL.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
from stockkeeper_client import InventoryClient, StockLine

from bench.databases import Database, running_postgres
from bench.machine import describe
from bench.startup import Server, sqlite_url, start

LINES = 200_000
RESERVATIONS_A_SECOND = 100
GOODS = 50  # of the reservations, and of no line of the import
ORGANIZATION = "org_1"
TIMEOUT_S = 600.0


def lines_of(number: int, pieces: int) -> Iterator[StockLine]:
    for place in range(number):
        yield {
            "organization_id": ORGANIZATION,
            "variant_id": f"v{place:07}",
            "warehouse_id": "w1",
            "total_quantity": pieces,
        }


async def reserve_steadily(client: InventoryClient, is_over: asyncio.Event) -> list[float]:
    """Reserve at a fixed rate, whatever the answers take. Returns how long each waited, in seconds."""
    waited: list[float] = []
    prefix = uuid4().hex

    async def one(number: int) -> None:
        begin = time.perf_counter()
        await client.reserve_stock(
            ORGANIZATION, f"{prefix}-{number}", [{"variant_id": f"g{number % GOODS}", "quantity": 1}]
        )
        waited.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        number = 0
        while not is_over.is_set():
            tasks.create_task(one(number))
            number += 1
            await asyncio.sleep(max(0.0, begin + number / RESERVATIONS_A_SECOND - time.perf_counter()))
    return waited


async def watch_memory(server: Server, is_over: asyncio.Event) -> float:
    """The most that the server had, in MiB."""
    most = 0.0
    while not is_over.is_set():
        most = max(most, server.memory_mib)
        await asyncio.sleep(0.05)
    return most


def cpu_s_of(pid: int | None) -> float:
    """What a database and all its processes have used."""
    if pid is None:
        return 0.0
    main = psutil.Process(pid)
    times = [one.cpu_times() for one in (main, *main.children(recursive=True))]
    return sum(float(one.user + one.system) for one in times)


async def measure_import(
    server: Server, client: InventoryClient, lines: int, pieces: int, database_pid: int | None
) -> dict[str, float]:
    is_over = asyncio.Event()
    others = asyncio.create_task(reserve_steadily(client, is_over))
    memory = asyncio.create_task(watch_memory(server, is_over))
    await asyncio.sleep(2.0)
    begin, cpu_s, database_cpu_s = time.perf_counter(), server.cpu_s, cpu_s_of(database_pid)
    await client.stock.import_stock(lines_of(lines, pieces), timeout_s=TIMEOUT_S)
    took_s, cpu_s = time.perf_counter() - begin, server.cpu_s - cpu_s
    database_cpu_s = cpu_s_of(database_pid) - database_cpu_s
    await asyncio.sleep(1.0)
    is_over.set()
    waited, most_mib = sorted(await others), await memory
    return {
        "import_s": took_s,
        "server_cpu_s": cpu_s,
        "database_cpu_s": database_cpu_s,  # 0 where it is a part of the server
        "server_mib_max": most_mib,
        "reservations": len(waited),
        "reserve_p50_ms": 1_000 * waited[len(waited) // 2],
        "reserve_p99_ms": 1_000 * waited[int(len(waited) * 0.99)],
        "reserve_longest_ms": 1_000 * waited[-1],
    }


async def measure(database: Database, lines: int) -> dict[str, dict[str, float]]:
    server = await start(database.url)
    async with InventoryClient("127.0.0.1", server.port, breaker=False, timeout_s=TIMEOUT_S) as client:
        goods = [{"variant_id": f"g{n}", "warehouse_id": "w1", "quantity": 1_000_000} for n in range(GOODS)]
        await client.stock.receive_stock(ORGANIZATION, goods)  # type: ignore[arg-type]
        figures = {
            "new": await measure_import(server, client, lines, 10, database.pid),
            "changed": await measure_import(server, client, lines, 20, database.pid),
        }
    await server.stop()
    return figures


@contextmanager
def new_database(kind: str) -> Iterator[Database]:
    """One that is gone with the block."""
    if kind == "postgres":
        with running_postgres({}) as postgres:
            yield replace(postgres, url=postgres.url.replace("postgresql://", "postgresql+asyncpg://"))
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield Database(sqlite_url(Path(directory) / "stock.db"), None)


def main(lines: str = str(LINES), kind: str = "sqlite") -> None:
    with new_database(kind) as database:
        figures = asyncio.run(measure(database, int(lines)))
    found = {"machine": describe(), "database": kind, "load_average": psutil.getloadavg()[0], "lines": int(lines)}
    sys.stdout.write(json.dumps({**found, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

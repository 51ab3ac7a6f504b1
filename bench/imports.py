"""What a large import costs, and what others feel of it: `python -m bench.imports [LINES]`.

A server on a new SQLite file takes an import of new rows, then one that changes them all, while 100 reservations a
second of other goods go on. It prints how long each took, what the reservations waited meanwhile, and the CPU time and
the most memory that the server had.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
from stockkeeper_client import InventoryClient, StockLine

from bench.machine import describe
from bench.startup import Server, start

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


async def measure_import(server: Server, client: InventoryClient, lines: int, pieces: int) -> dict[str, float]:
    is_over = asyncio.Event()
    others = asyncio.create_task(reserve_steadily(client, is_over))
    memory = asyncio.create_task(watch_memory(server, is_over))
    await asyncio.sleep(2.0)
    begin, cpu_s = time.perf_counter(), server.cpu_s
    await client.stock.import_stock(lines_of(lines, pieces), timeout_s=TIMEOUT_S)
    took_s, cpu_s = time.perf_counter() - begin, server.cpu_s - cpu_s
    await asyncio.sleep(1.0)
    is_over.set()
    waited, most_mib = sorted(await others), await memory
    return {
        "import_s": took_s,
        "server_cpu_s": cpu_s,
        "server_mib_max": most_mib,
        "reservations": len(waited),
        "reserve_p50_ms": 1_000 * waited[len(waited) // 2],
        "reserve_p99_ms": 1_000 * waited[int(len(waited) * 0.99)],
        "reserve_longest_ms": 1_000 * waited[-1],
    }


async def measure(database: Path, lines: int) -> dict[str, dict[str, float]]:
    server = await start(database)
    async with InventoryClient("127.0.0.1", server.port, breaker=False, timeout_s=TIMEOUT_S) as client:
        goods = [{"variant_id": f"g{n}", "warehouse_id": "w1", "quantity": 1_000_000} for n in range(GOODS)]
        await client.stock.receive_stock(ORGANIZATION, goods)  # type: ignore[arg-type]
        figures = {
            "new": await measure_import(server, client, lines, pieces=10),
            "changed": await measure_import(server, client, lines, pieces=20),
        }
    await server.stop()
    return figures


async def main(lines: int = LINES) -> None:
    with tempfile.TemporaryDirectory() as directory:
        figures = await measure(Path(directory) / "stock.db", lines)
    found = {"machine": describe(), "load_average": psutil.getloadavg()[0], "lines": lines, **figures}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2])))

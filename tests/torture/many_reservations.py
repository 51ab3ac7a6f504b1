"""A million reservations that stay: what they cost in memory, and on the disk."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

import psutil
from stockkeeper_client import InventoryClient, Item

from tests.system.servers import line
from tests.torture.scenario import Database, Finding
from tests.torture.under_attack import MEGABYTE, STAYS_MAX, Held, meanwhile, resident_bytes, watch_memory

ORGANIZATION = "of-many"
MANY, MANY_SHORT = 1_000_000, 2_000
STEPS = 20
CALLERS, CLIENTS = 256, 4
GOODS = [f"m{number}" for number in range(100)]
WARM_STEPS = 4  # until what is bounded is full
TTL_MINUTES = 44_640
CHECK_PATIENCE_S = 1_800.0  # `stockkeeper check` reads them all, and the machine may do something else besides


async def a_million_reservations(database: Database, rounds: int, finding: Finding) -> None:
    """Make a million reservations of a line each; `rounds` of twentieths, or few in one."""
    many = MANY if rounds == STEPS else MANY_SHORT
    server = await database.serve()
    held, sizes = Held(), list[int]()
    process = psutil.Process(server.process.pid)
    numbers = iter(range(many))
    clients = [
        InventoryClient("127.0.0.1", server.port, timeout_s=60, breaker=False, streaming=True) for _ in range(CLIENTS)
    ]
    try:
        await clients[0].stock.import_stock([line(name, 2_000_000_000, "w1", ORGANIZATION) for name in GOODS])
        before_bytes = _size_bytes(database)
        async with meanwhile(watch_memory(process, held)):
            while finding.rounds < rounds:
                step = list(islice(numbers, many // rounds))
                await _reserve(clients, iter(step))
                sizes.append(resident_bytes(process))
                finding.rounds += 1
        finding.problems += await _counted(clients[0], many)
    finally:
        for client in clients:
            await client.close()
    assert await server.terminate() == 0
    each = (_size_bytes(database) - before_bytes) / many
    if len(sizes) > WARM_STEPS and sizes[-1] > sizes[WARM_STEPS] * STAYS_MAX:
        finding.problems.append(f"memory grows: {[size // MEGABYTE for size in sizes]} MB")
    began_s = time.monotonic()
    finding.problems += await database.audit(CHECK_PATIENCE_S)
    check_s = time.monotonic() - began_s
    finding.notes.append(
        f"memory {sizes[-1] // MEGABYTE} MB, {held.peak // MEGABYTE} at the peak; {each:.0f} bytes each;"
        f" the check took {check_s:.0f} s"
    )


async def _reserve(clients: list[InventoryClient], numbers: Iterator[int]) -> None:
    async def call(client: InventoryClient) -> None:
        for number in numbers:
            items: list[Item] = [{"variant_id": GOODS[number % len(GOODS)], "quantity": 1}]
            await client.reserve_stock(ORGANIZATION, f"order-{number}", items, TTL_MINUTES)

    await asyncio.gather(*(call(clients[caller % CLIENTS]) for caller in range(CALLERS)))


def _size_bytes(database: Database) -> int:
    return sum(file.stat().st_size for file in database.directory.glob("stock.db*"))


async def _counted(client: InventoryClient, many: int) -> list[str]:
    reserved = sum([row.reserved_quantity async for row in client.stock.list_stock(ORGANIZATION)])
    return [] if reserved == many else [f"{reserved} pieces are reserved, and not {many}"]

"""Shoppers that keep a server busy for the length of a block, and remember what they were told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import grpc
from stockkeeper_client import InventoryClient, Item

from tests.system.servers import ORGANIZATION, ServerProcess, line

VARIANTS = [f"v{number}" for number in range(5)]


class Load:
    """What was acknowledged so far: reservations by order."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}
        self._more = anyio.Event()

    def note(self, order_id: str, reservation_id: str) -> None:
        self.acknowledged[order_id] = reservation_id
        self._more.set()

    async def wait_for_more(self, reservations: int) -> None:
        """Return when this many more reservations were acknowledged."""
        wanted = len(self.acknowledged) + reservations
        with anyio.fail_after(60):
            while len(self.acknowledged) < wanted:
                self._more = anyio.Event()
                await self._more.wait()


@asynccontextmanager
async def under_load(server: ServerProcess, *, shoppers: int = 8) -> AsyncIterator[Load]:
    """Reserves, confirms, ships and releases until the block ends, whatever becomes of the server meanwhile."""
    load = Load()
    async with server.client() as client:
        await client.stock.import_stock([line(variant, 100_000) for variant in VARIANTS])
        tasks = [asyncio.create_task(_shop(client, load, f"shopper-{number}")) for number in range(shoppers)]
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _shop(client: InventoryClient, load: Load, name: str) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError):
        for number in range(1_000_000):
            order_id = f"{name}-{number}"
            items: list[Item] = [
                {"variant_id": VARIANTS[number % 5], "quantity": 1},
                {"variant_id": "v0", "quantity": 1},
            ]
            reserved = await client.reserve_stock(ORGANIZATION, order_id, items)
            load.note(order_id, reserved.reservation_id)
            if number % 3 == 0:
                await client.release_reservation(ORGANIZATION, reserved.reservation_id, "changed their mind")
            elif number % 3 == 1:
                await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, order_id)
                await client.stock.fulfill_reservation(ORGANIZATION, reserved.reservation_id)

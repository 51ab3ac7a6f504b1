"""The relay as a program, what the ledger says that it must have published, and orders to publish."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stockkeeper_client import InventoryClient

from actors.changes import Point
from events.envelope import OutEvent
from events.fact_events import events_of
from events.server_feed import ServerFeed
from tests.system.servers import ORGANIZATION, ROOT, ServerProcess, line

BEGINNING = "1970-01-02T00:00:00Z"


class Program:
    """`stockkeeper …` in a process of its own, whose log is kept."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> "Program":
        log = folder / f"{arguments[0]}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stockkeeper", *arguments),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr,
                cwd=ROOT,
                env={**os.environ, "RABBITMQ_URL": "", **(environment or {})},
            )
        return cls(process, log)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)

    async def until_it_says(self, word: str, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.log.read_text().count(word) < times:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)


async def relay(folder: Path, server: ServerProcess, url: str, *options: str) -> Program:
    """A relay that begins at the beginning the first time, and goes on where it was after that."""
    return await Program.start(folder, "relay", "--target", f"127.0.0.1:{server.port}", "--to", url, *options)


async def facts_of(server: ServerProcess) -> list[OutEvent]:
    """The events of all that the server's ledger says."""
    feed = ServerFeed(f"127.0.0.1:{server.port}")
    try:
        found, point = list[OutEvent](), Point(0)
        while True:
            page = await feed.read(point, 1_000, 0)
            found += [event for entry in page.entries() for event in events_of(entry, page.database_id)]
            if page.upto == point:
                return found
            point = page.upto
    finally:
        await feed.close()


async def orders(client: InventoryClient, first: int, count: int) -> None:
    """Orders of every fate, from different rows."""
    for number in range(first, first + count):
        items: list[Any] = [{"variant_id": f"v{number % 7}", "warehouse_id": "w1", "quantity": 1 + number % 2}]
        reserved = await client.reserve_stock(ORGANIZATION, f"order-{number}", items)
        if number % 3 == 0:
            await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, f"order-{number}")
            await client.stock.fulfill_reservation(ORGANIZATION, reserved.reservation_id)
        elif number % 3 == 1:
            await client.release_reservation(ORGANIZATION, reserved.reservation_id, "changed my mind")


async def lay_in(client: InventoryClient) -> None:
    await client.stock.import_stock([line(f"v{number}", 1_000) for number in range(7)])

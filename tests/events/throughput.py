"""`python -m tests.events.throughput nats|rabbit`: what a relay costs reservations, and how much it gets through.

Reservations of two lines by 64 callers, with a relay following and without, in turns; then a relay alone with all that
happened. On a machine without a core to spare the first figure says how the core is shared, and no more.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from stockkeeper_client import InventoryClient

from tests.events.heard import bind_rabbit
from tests.events.programs import BEGINNING, Program, relay
from tests.events.real_brokers import BrokerProcess, running_broker
from tests.system.servers import ORGANIZATION, ServerProcess, line, running_server

CALLERS, TURNS, TURN_S = 64, 3, 5.0
VARIANTS = 200


async def lay_in(client: InventoryClient) -> None:
    await client.stock.import_stock([line(f"v{number}", 1_000_000) for number in range(VARIANTS)])


async def reserve(client: InventoryClient, name: str, until_s: float) -> int:
    """How many one caller makes."""
    count = 0
    while time.monotonic() < until_s:
        rows = [(hash(name) + count) % VARIANTS, (hash(name) + count + 7) % VARIANTS]
        items: list[Any] = [{"variant_id": f"v{row}", "warehouse_id": "w1", "quantity": 1} for row in rows]
        await client.reserve_stock(ORGANIZATION, f"{name}-{count}", items)
        count += 1
    return count


async def turn(server: ServerProcess, name: str) -> float:
    """Reservations a second."""
    async with server.client() as client:
        until_s = time.monotonic() + TURN_S
        counts = await asyncio.gather(*[reserve(client, f"{name}-{number}", until_s) for number in range(CALLERS)])
    return sum(counts) / TURN_S


async def until_passed_on(server: ServerProcess) -> int:
    """How many events there were."""
    from events.server_feed import ServerFeed

    feed = ServerFeed(f"127.0.0.1:{server.port}")
    try:
        while True:
            [state, *_] = [one for one in (await feed.cursors()).cursors if one.cursor.name == "all"]
            if not state.behind:
                return int(state.cursor.published)
            await asyncio.sleep(0.2)
    finally:
        await feed.close()


def cpu_s(process: asyncio.subprocess.Process) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


async def measure(kind: str, folder: Path, broker: BrokerProcess) -> None:
    if kind == "rabbit":
        await bind_rabbit(broker.url)
    async with running_server(folder / "stock.db") as server:
        async with server.client() as client:
            await lay_in(client)
        alone, followed = [], []
        for number in range(TURNS):
            alone.append(await turn(server, f"alone-{number}"))
            program = await relay(folder, server, broker.url, "--name", f"turn-{number}")
            await program.until_it_says("relaying", times=number + 1)
            followed.append(await turn(server, f"followed-{number}"))
            await program.terminate()
        tell(f"reservations a second: {median(alone):.0f} alone, {median(followed):.0f} with a relay to {kind}")
        await backlog(kind, folder, server, broker)


async def backlog(kind: str, folder: Path, server: ServerProcess, broker: BrokerProcess) -> None:
    began_s, server_s = time.monotonic(), cpu_s(server.process)
    program: Program = await relay(
        folder, server, broker.url, "--name", "all", "--from", BEGINNING, "--in-flight", "2000"
    )
    await program.until_it_says("relaying", times=TURNS + 1)
    events = await until_passed_on(server)
    took_s, relay_s = time.monotonic() - began_s, cpu_s(program.process)
    server_s = cpu_s(server.process) - server_s
    await program.terminate()
    figures = f"{relay_s / events * 1_000:.3f} CPU s of the relay and {server_s / events * 1_000:.3f} of the server"
    tell(f"{kind}: {events} events in {took_s:.1f} s, {events / took_s:.0f} a second; for 1,000: {figures}")


def tell(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder, running_broker(kind, Path(folder) / "broker") as broker:
        asyncio.run(measure(kind, Path(folder), broker))


if __name__ == "__main__":
    main(sys.argv[1])

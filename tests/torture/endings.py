"""SIGTERM and SIGINT while clients work, and while imports come in: what was acknowledged is kept, and no caller hears
CANCELLED, which no client tries again.
"""

import asyncio
import signal
import time
from collections import Counter

import grpc
from stockkeeper_client import InventoryClient

from tests.system.servers import START_TIMEOUT_S, ServerProcess, line
from tests.torture.attack import ATTACKER
from tests.torture.load import Load
from tests.torture.scenario import Database, Finding, acknowledged, take_stock, under_load

SIGNALS = (signal.SIGTERM, signal.SIGINT)
IMPORTERS = 2
LINES = 1_000
SLEEP_S, SLEEP_SHORT_S, SLEEPS_SHORT = 20.0, 1.0, 1


async def ended_by_a_signal(database: Database, rounds: int, finding: Finding) -> None:
    """End a server under a mixed load and imports, start it again, and repeat every question."""
    load, heard = Load(), Counter[str]()
    server = await database.serve()
    async with server.client() as client:
        await load.prepare(client)
    while finding.rounds < rounds:
        ended_by = SIGNALS[finding.rounds % 2]
        imports = [asyncio.create_task(_import_on(server, finding.rounds, one, heard)) for one in range(IMPORTERS)]
        async with under_load(load, server):
            await acknowledged(load, 150 + 37 * (finding.rounds % 7))
            server.process.send_signal(ended_by)
            status = await asyncio.wait_for(server.process.wait(), START_TIMEOUT_S)
        await asyncio.gather(*imports)
        if status != 0:
            finding.problems.append(f"after {ended_by.name} the server ends with {status}")
        server = await database.serve()
        finding.problems += await take_stock(database, server, load)
        finding.rounds += 1
    await server.terminate()
    finding.problems += [f"an import heard {word}" for word in heard if word not in ("OK", "UNAVAILABLE")]
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} calls without one; imports heard {dict(heard)}"
    )


async def _import_on(server: ServerProcess, number: int, importer: int, heard: Counter[str]) -> None:
    """Import again and again until the server is gone."""
    lines = [line(f"x{n}", number + 1, f"w{importer}", ATTACKER) for n in range(LINES)]
    async with InventoryClient("127.0.0.1", server.port, timeout_s=15, retry=None, breaker=False) as client:
        while server.process.returncode is None:
            try:
                await client.stock.import_stock(lines)
                heard["OK"] += 1
            except grpc.aio.AioRpcError as error:
                heard[error.code().name] += 1
                return


async def sleeps_for_long(database: Database, rounds: int, finding: Finding) -> None:
    """Stop a server under load with SIGSTOP, for a second in the first rounds and then for 20 s, and wake it."""
    load = Load()
    server = await database.serve()
    async with server.client() as client:
        await load.prepare(client)
    longest_s = 0.0
    async with InventoryClient("127.0.0.1", server.port, timeout_s=60, retry=None, breaker=False) as client:
        while finding.rounds < rounds:
            running = asyncio.create_task(load.run(client, goes_on=True))
            await acknowledged(load, 100)
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(SLEEP_SHORT_S if finding.rounds < SLEEPS_SHORT else SLEEP_S)
            server.process.send_signal(signal.SIGCONT)
            began_s = time.monotonic()
            await acknowledged(load, 100)
            longest_s = max(longest_s, time.monotonic() - began_s)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            finding.problems += await take_stock(database, server, load)
            finding.rounds += 1
    assert await server.terminate() == 0
    finding.problems += [f"{word}: {times}" for word, times in load.statuses.items()]
    finding.notes.append(f"{load.acknowledged:,} answers acknowledged; the first hundred within {longest_s:.1f} s")

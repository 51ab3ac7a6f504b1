"""Postgres falls, is stopped or hangs while the server works."""

import asyncio
import time
from collections.abc import Callable

import grpc
from stockkeeper_client import InventoryClient
from stockkeeper_client.errors import error_details

from tests.postgres import EmbeddedPostgres
from tests.system.servers import ORGANIZATION, ServerProcess
from tests.torture.load import GOODS, Load
from tests.torture.scenario import HASTY, Database, Finding, acknowledged, is_serving, take_stock, under_load, until

FALLS: tuple[Callable[[EmbeddedPostgres], None], ...] = (EmbeddedPostgres.kill, EmbeddedPostgres.stop_immediately)


async def postgres_falls(database: Database, rounds: int, finding: Finding) -> None:
    """Kill all of Postgres, or stop it with `-m immediate`, in turn; then start it on the same data."""
    postgres = database.postgres
    assert postgres is not None
    load = Load()
    server = await database.serve()
    recoveries_s = []
    async with server.client() as client:
        await load.prepare(client)
        while finding.rounds < rounds:
            async with under_load(load, server, goes_on=True):
                await acknowledged(load, 100)
                await asyncio.to_thread(FALLS[finding.rounds % len(FALLS)], postgres)
                await until(lambda: is_serving(client, False), "health says NOT_SERVING")
                finding.problems += await refusal_problems(server)
                await asyncio.to_thread(postgres.start)
                back_s = time.monotonic()
                await until(lambda: is_serving(client), "health says SERVING again")
                recoveries_s.append(time.monotonic() - back_s)
                await acknowledged(load, 100)
            finding.problems += await take_stock(database, server, load)
            finding.rounds += 1
    finding.problems += [] if server.process.returncode is None else ["the server ended"]
    finding.problems += log_problems(server)
    await server.terminate()
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again; "
        f"serving again {max(recoveries_s):.1f} s after Postgres at the latest"
    )


async def postgres_hangs(database: Database, rounds: int, finding: Finding) -> None:
    """Stop all of Postgres by SIGSTOP for longer than the server waits, then send SIGCONT."""
    postgres = database.postgres
    assert postgres is not None
    load = Load()
    server = await database.serve(HASTY)
    backs_s = []
    async with server.client() as client:
        await load.prepare(client)
        while finding.rounds < rounds:
            async with under_load(load, server, goes_on=True):
                if finding.rounds % 2 == 0:
                    await acknowledged(load, 100)
                postgres.freeze()
                try:
                    await until(lambda: is_serving(client, False), "health says NOT_SERVING")
                    finding.problems += await refusal_problems(server)
                finally:
                    postgres.thaw()
                back_s = time.monotonic()
                await until(lambda: is_serving(client), "health says SERVING again")
                backs_s.append(time.monotonic() - back_s)
                await acknowledged(load, 100)
            finding.problems += await take_stock(database, server, load)
            finding.rounds += 1
    finding.problems += log_problems(server)
    await server.terminate()
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again; "
        f"serving again within {max(backs_s):.1f} s"
    )


async def refusal_problems(server: ServerProcess) -> list[str]:
    """Check the answers of a server whose database is away: each must be UNAVAILABLE with RetryInfo."""
    problems = []
    async with InventoryClient("127.0.0.1", server.port, timeout_s=15, retry=None, breaker=False) as client:
        for name, call in (
            ("ReserveStock", client.reserve_stock(ORGANIZATION, "away", [{"variant_id": GOODS[0], "quantity": 1}])),
            ("GetStockInfo", client.get_stock_info(ORGANIZATION, GOODS[0])),
        ):
            try:
                await call
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE and error_details(error).retry_delay_s:
                    continue
                problems.append(f"{name} without a database ends with {error.code().name}: {error.details()}")
            else:
                problems.append(f"{name} is answered without a database")
    return problems


def log_problems(server: ServerProcess) -> list[str]:
    """The first traceback in the server's log: what it was logged as, its last frame, and its error."""
    text = server.log.read_text()
    at = text.find("Traceback")
    if at < 0:
        return []
    head, *lines = text[text.rfind("\n", 0, at) + 1 :].replace("\\n", "\n").splitlines()
    last = next((place for place, line in enumerate(lines) if not line.startswith((" ", "|"))), len(lines) - 1)
    return [f"there is a traceback in the log: {head[:150]} … {' '.join(lines[max(0, last - 2) : last + 1])[:400]}"]

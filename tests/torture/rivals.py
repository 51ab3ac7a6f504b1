"""Two servers for one database: started at the same instant, or one that slept while the other took over."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import grpc
from stockkeeper_client import InventoryClient, Item
from stockkeeper_client.v1 import inventory_pb2 as pb

from tests.system.servers import ORGANIZATION, START_TIMEOUT_S, ServerProcess, figures, line
from tests.torture.load import Load
from tests.torture.postgres_away import log_problems
from tests.torture.scenario import PATIENCE_S, Database, Finding, acknowledged, take_stock, under_load

LOCK_IS_LOST = "SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'"
WAITING_MAX = 30  # times six calls: more than gRPC takes in before the sleeper knows that it lost its database
ALL_IS_LOST = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name = 'stockkeeper'"


async def two_start_together(database: Database, rounds: int, finding: Finding) -> None:
    """Start two servers at once, on a new database and on one with stock: one serves, the other exits with 3."""
    while finding.rounds < rounds:
        if finding.rounds % 2 == 0:
            _empty(database)
        processes = [await database.start() for _ in range(2)]
        lines = [await _first_line(process) for process in processes]
        winners = [p for p, said in zip(processes, lines, strict=True) if " listens on " in said]
        for process, said in zip(processes, lines, strict=True):
            if " listens on " not in said:
                finding.problems += await _refusal_problems(process)
        if len(winners) != 1:
            finding.problems.append(f"{len(winners)} servers serve: {lines}")
        for winner, said in [(p, s) for p, s in zip(processes, lines, strict=True) if p in winners]:
            port = int(said.split(" listens on ")[1].split(",")[0].split(" ")[0].rpartition(":")[2])
            async with InventoryClient("127.0.0.1", port, timeout_s=15) as client:
                await client.stock.import_stock([line("a", 5)])
            winner.send_signal(signal.SIGTERM)
            if status := await asyncio.wait_for(winner.wait(), START_TIMEOUT_S):
                finding.problems.append(f"the server that served ends with status {status}")
        finding.problems += await database.audit()
        finding.rounds += 1


def _empty(database: Database) -> None:
    if database.postgres is not None:
        database.postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    else:
        for file in database.directory.glob("stock.db*"):
            file.unlink()


async def _first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)).decode()


async def _refusal_problems(process: asyncio.subprocess.Process) -> list[str]:
    out, err = await asyncio.wait_for(process.communicate(), START_TIMEOUT_S)
    if process.returncode == 3 and not out and len(err.decode().strip().splitlines()) == 1 and b"owns the data" in err:
        return []
    return [f"the server that was too late ends with status {process.returncode}: {out.decode()}{err.decode()}"]


async def sleeper_wakes_after_a_takeover(database: Database, rounds: int, finding: Finding) -> None:
    """Stop a server, let a successor change everything while calls queue at the sleeper, and wake it."""
    postgres = database.postgres
    assert postgres is not None
    load = Load()
    sleeper = await database.serve()
    async with sleeper.client() as client:
        await load.prepare(client)
    while finding.rounds < rounds:
        async with InventoryClient("127.0.0.1", sleeper.port, timeout_s=60, retry=None, breaker=False) as client:
            prefix = f"sleep-{finding.rounds}"
            await client.stock.import_stock([line(prefix, 10)])
            held = await client.reserve_stock(ORGANIZATION, prefix, [{"variant_id": prefix, "quantity": 4}])
            async with under_load(load, sleeper, goes_on=True):
                await acknowledged(load, 50)
                sleeper.process.send_signal(signal.SIGSTOP)
                match finding.rounds % 3:
                    case 0:
                        postgres.psql(LOCK_IS_LOST)
                    case 1:
                        postgres.psql(ALL_IS_LOST)
                    case _:
                        await asyncio.to_thread(postgres.stop_immediately)
                        await asyncio.to_thread(postgres.start)
                successor = await database.serve(log=f"successor-{finding.rounds}")
                async with successor.client() as other:
                    await other.release_reservation(ORGANIZATION, held.reservation_id, "by the successor")
                    await other.reserve_stock(ORGANIZATION, f"{prefix}-b", [{"variant_id": prefix, "quantity": 9}])
                waiting = [
                    asyncio.create_task(call) for _ in range(WAITING_MAX) for call in _calls(client, prefix, held)
                ]
                await asyncio.sleep(0)
                sleeper.process.send_signal(signal.SIGCONT)
                answers = await asyncio.gather(*waiting, return_exceptions=True)
                status = await asyncio.wait_for(sleeper.process.wait(), PATIENCE_S)
        finding.problems += _waking_problems(answers, status, sleeper)
        async with successor.client() as other:
            if (found := (await figures(other))[prefix, "w1"]) != (1, 9):
                finding.problems.append(f"{prefix} has {found} available and reserved, not what the successor has left")
        finding.problems += await take_stock(database, successor, load)
        finding.rounds += 1
        sleeper = successor
    await sleeper.terminate()
    finding.notes.append(f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again")


def _calls(client: InventoryClient, prefix: str, held: pb.ReserveStockResponse) -> list[Coroutine[Any, Any, object]]:
    """Calls that a sleeper must not answer: each answer from its memory would be wrong."""
    items: list[Item] = [{"variant_id": prefix, "quantity": 4}]
    return [
        client.get_stock_info(ORGANIZATION, prefix),
        client.check_availability(ORGANIZATION, prefix, "", 6),
        client.check_bulk_availability(ORGANIZATION, items),
        client.reserve_stock(ORGANIZATION, prefix, items),
        client.reserve_stock(ORGANIZATION, f"{prefix}-c", [{"variant_id": prefix, "quantity": 6}]),
        client.confirm_reservation(ORGANIZATION, held.reservation_id, prefix),
    ]


def _waking_problems(answers: list[Any], status: int, sleeper: ServerProcess) -> list[str]:
    problems = [] if status == 3 else [f"the sleeper ends with status {status}"]
    for answer in answers:
        if not isinstance(answer, grpc.aio.AioRpcError):
            problems.append(f"the sleeper answers {answer!r}")
        elif answer.code() is not grpc.StatusCode.UNAVAILABLE:
            problems.append(f"the sleeper answers {answer.code().name}: {answer.details()}")
    last = sleeper.log.read_text().strip().splitlines()[-1:]
    if not last or "owns the database" not in last[0]:
        problems.append(f"the sleeper does not say why it ends: {last}")
    return problems + log_problems(sleeper)


async def sleeper_keeps_its_file(database: Database, rounds: int, finding: Finding) -> None:
    """Stop a server on SQLite: the kernel keeps its lock, so a successor is refused; woken, it goes on."""
    load = Load()
    server = await database.serve()
    async with server.client() as client:
        await load.prepare(client)
    while finding.rounds < rounds:
        async with under_load(load, server, goes_on=True):
            await acknowledged(load, 50)
            server.process.send_signal(signal.SIGSTOP)
            successor = await database.start()
            said = await _first_line(successor)
            finding.problems += await _refusal_problems(successor) if not said else [f"the successor says {said}"]
            server.process.send_signal(signal.SIGCONT)
            await acknowledged(load, 50)
        finding.problems += await take_stock(database, server, load)
        finding.rounds += 1
    await server.terminate()
    finding.notes.append(f"{load.acknowledged:,} answers acknowledged")

"""Very many reservations whose time is over at one instant, while others are made.

They are written into the file before the server starts, by the store itself: making 200,000 over the network takes
longer than anyone waits. When the stock of each came back is read from the file: `ended_at` is the moment of its
decision, and the answers that rest on it follow within a batch.
"""

import asyncio
import sqlite3
import sys
import time
from pathlib import Path

import psutil
from stockkeeper_client import StockLine

from storage.sql.instant_text import ms_to_text, text_to_ms
from storage.sql.sql_store import SqlStore
from tests.storage.scribe import Scribe
from tests.system.servers import ROOT, ServerProcess, line, start_server
from tests.torture.attack import ATTACKER, BASKET
from tests.torture.scenario import Database, Finding, until
from tests.torture.under_attack import BYSTANDER, GOODS, Held, Seen, meanwhile, resident_bytes, stand_by, watch_memory

KEPT_A_SECOND = 1_000  # what README.md promises
MANY = (2_000, 60_000, 200_000)
RESERVATIONS_A_SECOND = (100, 1_000, 1_000)
START_S = 2.0  # for the server and what is reserved beside
BATCH = 1_000
OWNER = "due-at-once"


async def expire_in_bulk(database: Database, rounds: int, finding: Finding) -> None:
    """60,000 and 200,000 reservations that are due at one instant, beside 1,000 reservations a second."""
    for many, rate in list(zip(MANY, RESERVATIONS_A_SECOND, strict=True))[:rounds]:
        home = database.directory / str(many)
        home.mkdir()
        finding.problems += await _expire(Database(home, processes=database.processes), many, rate, finding)
        finding.rounds += 1


async def _expire(database: Database, many: int, rate: int, finding: Finding) -> list[str]:
    due_ms = await _write_reservations(database.url, many)
    server = await start_server(database.directory / "server", database_url=database.url)
    database.processes.append(server.process)
    seen, held, took_s = await _under_load(server, database.file, rate, due_ms)
    late_s, expired = _lateness(database.file, due_ms)
    problems = [f"{error}" for error in seen.errors[:2]]
    if expired != many:
        problems.append(f"{expired} of {many} expired")
    if many != MANY[0]:
        finding.notes.append(
            f"{many:,} at once: the last {late_s:.1f} s late, {many / late_s:,.0f} a second; bystander {seen};"
            f" memory {held}"
        )
        if late_s > 1 + many / KEPT_A_SECOND:
            problems.append(f"{many} due at once: the last {late_s:.1f} s late, seen after {took_s:.1f} s")
        if seen.p99_s > 0.1:
            problems.append(f"the bystander's p99 is over 100 ms: {seen}")
    assert await server.terminate() == 0
    return problems + await database.audit()


async def _write_reservations(url: str, many: int) -> int:
    """Make the reservations of an organization of their own, of a line each. Returns when all are due."""
    store, scribe = SqlStore(url), Scribe()
    await store.open()
    try:
        scribe.at_ms = time.time_ns() // 1_000_000
        due_ms = scribe.at_ms + int(START_S * 1_000) + many // 4
        await store.write([scribe.receive(variant, "w1", 1_000_000, organization=OWNER) for variant in BASKET])
        for begin in range(0, many, BATCH):
            transactions = [
                scribe.reserve(
                    f"due-{number}",
                    ((BASKET[number % len(BASKET)], "w1", 1),),
                    ttl_ms=due_ms - scribe.at_ms,
                    organization=OWNER,
                )
                for number in range(begin, min(begin + BATCH, many))
            ]
            await store.write(transactions)
    finally:
        await store.close()
    return due_ms


async def _under_load(server: ServerProcess, file: Path, rate: int, due_ms: int) -> tuple[Seen, Held, float]:
    """Returns what a bystander saw from the instant on, what the server held, and how long it took."""
    seen, held = Seen(), Held()
    process = psutil.Process(server.process.pid)
    stock: list[StockLine] = [line(GOODS, 1_000_000, organization_id=BYSTANDER)]
    stock += [line(variant, 2_000_000, organization_id=ATTACKER) for variant in BASKET]
    async with server.client() as client:
        await client.stock.import_stock(stock)
    command = (sys.executable, "-m", "tests.torture.steady_load", str(server.port), str(rate))
    load = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL)
    try:
        await asyncio.sleep(due_ms / 1_000 - time.time())
        held.before = resident_bytes(process)
        async with meanwhile(stand_by(server.port, seen), watch_memory(process, held)):
            took_s = await until(lambda: _is_over(file, due_ms), "all have expired", patience_s=180)
            await asyncio.sleep(0.2)
        held.after = resident_bytes(process)
    finally:
        load.kill()
        await load.wait()
    return seen, held, took_s


def _is_over(file: Path, due_ms: int) -> bool:
    query = "SELECT 1 FROM reservation WHERE state = 'active' AND expires_at <= ? LIMIT 1"
    return not _read(file, query, ms_to_text(due_ms))


def _lateness(file: Path, due_ms: int) -> tuple[float, int]:
    """How late the last one was, in seconds, and how many there are."""
    query = "SELECT max(ended_at), count(*) FROM reservation WHERE organization_id = ? AND state = 'expired'"
    [(last, expired)] = _read(file, query, OWNER)
    return (text_to_ms(last) - due_ms) / 1_000, expired


def _read(file: Path, query: str, parameter: str) -> list[tuple[str, int]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return connection.execute(query, (parameter,)).fetchall()
    finally:
        connection.close()

"""An attack on a server, and what becomes of a bystander.

The bystander is of another organization and comes from another loopback address. It makes 20 calls a second, checks
and reservations in turn, each of which must be answered within 10 s.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import psutil
from stockkeeper_client import InventoryClient, Item, ShippedPieces, StockLine
from stockkeeper_client.v1 import inventory_pb2 as pb

import tests.torture.attackers  # noqa: F401 - so that all attacks are known
from tests.system.servers import ROOT, ServerProcess, line, start_server
from tests.torture.attack import ATTACKER, ATTACKS, BASKET, CHECK, RESERVE, WAREHOUSES
from tests.torture.attacks_by_size import ORDER, OTHER_WAREHOUSE
from tests.torture.scenario import Database, Finding, Scenario, until

BYSTANDER, GOODS = "bystander", "calm"
CALLS_A_SECOND = 20
DEADLINE_S = 10.0
ATTACK_S, ATTACK_SHORT_S = 12.0, 0.5
WIDE, WIDE_SHORT = 200, 8  # reservations of 1,000 lines: a page has 4 MB at most, which is fewer
RECOVERY_S = 30.0
SPARE_BYTES = 1024 * 1024 * 1024  # beyond the address space that the server has when the attack begins
CORE, GRPC_AIO = "core", "grpc-aio"  # the transports
MESSAGE_BYTES_MAX = 4 * 1024 * 1024  # what docs/operations.md recommends on a network
MEGABYTE = 1024 * 1024
STAYS_MAX = 1.2
WARM, WARM_CALLERS = 2_000, 16  # orders of the bystander before: a server in use has them and its filters in memory
FAIR = ("hot_rows", "large_baskets", "imports_in_a_loop")  # a flood of one organization, which is for turns to part
QUIET_S = 12.0
FAIR_TIMES, FAIR_MORE_S = 2.0, 0.01  # the bystander's p99 against that of the same server before; the larger counts


@dataclass
class Seen:
    """What a bystander saw."""

    took_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    during: str = ""  # the attack that is under way

    def __str__(self) -> str:
        p50_ms, p99_ms = statistics.median(self.took_s or [0.0]) * 1_000, self.p99_s * 1_000
        return f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, {len(self.errors)} of {len(self.took_s)} calls failed"

    @property
    def p99_s(self) -> float:
        ordered = sorted(self.took_s) or [0.0]
        return ordered[int(len(ordered) * 0.99)]


@dataclass
class Held:
    """What a server held, in bytes and descriptors."""

    before: int = 0
    peak: int = 0
    after: int = 0
    descriptors: int = 0

    def __str__(self) -> str:
        before, peak, after = (size // MEGABYTE for size in (self.before, self.peak, self.after))
        return f"{before} → {peak} → {after} MB, {self.descriptors} descriptors"


async def stand_by(port: int, seen: Seen) -> None:
    """Call 20 times a second until cancelled."""
    check = pb.CheckBulkAvailabilityRequest(
        organization_id=BYSTANDER, items=[pb.AvailabilityItem(variant_id=GOODS, quantity=1)]
    ).SerializeToString()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:

        async def call(number: int) -> None:
            items = [pb.ReservationItem(variant_id=GOODS, quantity=1)]
            order = pb.ReserveStockRequest(organization_id=BYSTANDER, order_id=f"{id(seen)}-{number}", items=items)
            path, message = (RESERVE, order.SerializeToString()) if number % 2 else (CHECK, check)
            multi: Any = channel.unary_unary(path)
            began_s, during = time.monotonic(), seen.during
            try:
                await multi(message, timeout=DEADLINE_S)
            except grpc.aio.AioRpcError as error:
                seen.errors.append(f"{during}: {error.code().name}: {error.details()}")
            seen.took_s.append(time.monotonic() - began_s)

        async with asyncio.TaskGroup() as tasks:
            for number in range(1_000_000):
                tasks.create_task(call(number))
                await asyncio.sleep(1 / CALLS_A_SECOND)


def resident_bytes(process: psutil.Process) -> int:
    """What a server holds in memory, with the processes that it has started.

    Those are asked of the kernel: psutil looks at all that run, which takes the bystander's event loop a millisecond.
    """
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process.memory_info().rss + sum(psutil.Process(int(pid)).memory_info().rss for pid in started)


async def watch_memory(process: psutil.Process, held: Held) -> None:
    while True:
        with suppress(psutil.Error, OSError):
            held.peak = max(held.peak, resident_bytes(process))
            held.descriptors = max(held.descriptors, process.num_fds())
        await asyncio.sleep(0.05)


@asynccontextmanager
async def meanwhile(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def attack(server: ServerProcess, *names: str, seconds: float) -> tuple[Seen, Held]:
    """Attack a server, one after another. Returns what a bystander saw, and what the server held."""
    process, seen, held = psutil.Process(server.process.pid), Seen(), Held()
    held.before = resident_bytes(process)
    async with meanwhile(stand_by(server.port, seen), watch_memory(process, held)):
        command = (sys.executable, "-m", "tests.torture.attackers", ",".join(names), str(server.port), f"{seconds:g}")
        attacker = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert attacker.stdout is not None
        async for name in attacker.stdout:
            seen.during = name.decode().strip()
            if seen.during in ("stalled_imports", "imports_without_a_line"):
                await import_beside(server)
        await attacker.wait()
        await asyncio.sleep(1.0)
    held.after = resident_bytes(process)
    return seen, held


async def import_beside(server: ServerProcess) -> None:
    """An import of the bystander's finds room beside those that are stalled."""
    await asyncio.sleep(0.5)
    async with server.client(timeout_s=DEADLINE_S) as client:
        await client.stock.import_stock([line(f"{GOODS}-too", 1, organization_id=BYSTANDER)])


async def prepare(client: InventoryClient, *names: str, wide: int = WIDE) -> None:
    """The stock of both organizations."""
    lines: list[StockLine] = [line(GOODS, 1_000_000, organization_id=BYSTANDER)]
    lines += [line(variant, 2_000_000_000, organization_id=ATTACKER) for variant in BASKET]
    if {"baskets_that_cannot_be_packed", "goods_in_very_many_warehouses"} & set(names):
        lines += [line("packed", 3, f"w{number}", ATTACKER) for number in range(999)]
        lines += [line("packed", 0, f"x{number}", ATTACKER) for number in range(WAREHOUSES)]
    if "wide_transfers" in names:
        lines.append(line("there", 1, OTHER_WAREHOUSE, ATTACKER))
    await client.stock.import_stock(lines)
    basket: list[Item] = [{"variant_id": variant, "quantity": 1} for variant in BASKET]
    if "wide_lists" in names:
        for number in range(wide):
            await client.reserve_stock(ATTACKER, f"wide-{number}", basket, 44_640)
    if "more_for_a_large_order" in names:
        await client.reserve_stock(ATTACKER, ORDER, basket, 44_640)
    if "wide_transfers" in names:
        pieces: list[ShippedPieces] = [{"variant_id": variant, "quantity": 1} for variant in BASKET]
        for number in range(wide):
            await client.stock.ship_transfer(ATTACKER, "w1", OTHER_WAREHOUSE, pieces, transfer_id=f"wide-{number}")


async def warm_up(client: InventoryClient) -> None:
    """Make the server one that is in use."""
    numbers = iter(range(WARM))

    async def reserve() -> None:
        for number in numbers:
            await client.reserve_stock(BYSTANDER, f"warm-{number}", [{"variant_id": GOODS, "quantity": 1}])

    await asyncio.gather(*(reserve() for _ in range(WARM_CALLERS)))


async def undisturbed(server: ServerProcess) -> Seen:
    """What the bystander sees when it is alone."""
    seen = Seen()
    async with meanwhile(stand_by(server.port, seen)):
        await asyncio.sleep(QUIET_S)
    return seen


def attacked_by(name: str, transport: str = CORE) -> Scenario:
    """The scenario of an attack."""

    async def scenario(database: Database, rounds: int, finding: Finding) -> None:
        server = await served(database, transport)
        async with server.client(timeout_s=60.0) as client:
            await prepare(client, name)
            await warm_up(client)
        leave_to_spare(server, SPARE_BYTES)
        quiet = await undisturbed(server) if name in FAIR else None
        seen, held = await attack(server, name, seconds=ATTACK_S)
        await remembers(server, held)
        before = "" if quiet is None else f", p99 {quiet.p99_s * 1_000:.0f} ms before"
        finding.notes.append(f"bystander {seen}{before}; memory {held}")
        finding.problems += [f"the bystander's call failed: {error}" for error in seen.errors[:2]]
        finding.problems += judged(seen, held, quiet)
        if transport == CORE:
            finding.notes.append(await beside(database, name))
        assert await server.terminate() == 0
        finding.problems += await database.audit()
        finding.rounds = rounds

    scenario.__name__ = name
    scenario.__doc__ = ATTACKS[name].__doc__
    return scenario


async def attacked_by_each(database: Database, names: Sequence[str], transport: str) -> list[str]:
    """The short form, for `make test`: all of these on one server, half a second each. Nothing is judged by the clock.

    Returns what is wrong.
    """
    server = await served(database, transport)
    async with server.client(timeout_s=60.0) as client:
        await prepare(client, *names, wide=WIDE_SHORT)
    leave_to_spare(server, SPARE_BYTES)
    seen, _ = await attack(server, *names, seconds=ATTACK_SHORT_S)
    problems = [f"the bystander's call failed: {error}" for error in seen.errors[:3]]
    assert await server.terminate() == 0
    return problems + await database.audit()


async def served(database: Database, transport: str) -> ServerProcess:
    options = ("--message-bytes-max", str(MESSAGE_BYTES_MAX), "--transport", transport)
    server = await start_server(database.directory / "server", *options, database_url=database.url)
    database.processes.append(server.process)
    return server


def leave_to_spare(server: ServerProcess, size_bytes: int) -> None:
    """Let the server have this much more of address space from now on: what goes beyond ends it."""
    process = psutil.Process(server.process.pid)
    limit = process.memory_info().vms + size_bytes
    process.rlimit(psutil.RLIMIT_AS, (limit, limit))


def judged(seen: Seen, held: Held, quiet: Seen | None) -> list[str]:
    """What the limits say. Times are judged in the full run alone, on a machine that does nothing else.

    Args:
        quiet: what the bystander saw before, where a flood may do no more than double it.
    """
    problems = []
    if seen.p99_s > 0.1:
        problems.append(f"the bystander's p99 is over 100 ms: {seen}")
    if quiet is not None and seen.p99_s > (limit_s := max(quiet.p99_s * FAIR_TIMES, quiet.p99_s + FAIR_MORE_S)):
        problems.append(f"the bystander's p99 is over {limit_s * 1_000:.0f} ms: {seen}")
    if held.peak > 600 * MEGABYTE:
        problems.append(f"memory went over 600 MB: {held}")
    if held.after > held.before * STAYS_MAX:
        problems.append(f"memory stays: {held}")
    return problems


async def remembers(server: ServerProcess, held: Held) -> None:
    """Wait until the memory is back, at most as long as it may take."""
    process = psutil.Process(server.process.pid)

    def is_back() -> bool:
        held.after = resident_bytes(process)
        return held.after <= held.before * STAYS_MAX

    with suppress(AssertionError):
        await until(is_back, "memory is back", RECOVERY_S)


async def beside(database: Database, name: str) -> str:
    """The same attack on a plain `grpc.aio` server that does nothing for a call."""
    server = await start_server(database.directory / "plain", program="tests.torture.plain_server", port=None)
    try:
        seen, held = await attack(server, name, seconds=ATTACK_S / 2)
        return f"a plain grpc.aio server: {seen}; {held}"
    except psutil.Error:
        return "a plain grpc.aio server ends"
    finally:
        if server.process.returncode is None:
            await server.kill()

"""The parts that all scenarios share: a database, progress and findings, and the usual questions."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockkeeper_client import InventoryClient

from tests.postgres import EmbeddedPostgres, embedded_postgres
from tests.system.servers import ROOT, ServerProcess, run_cli, start_server
from tests.torture.load import Load

HASTY = "tests.torture.hasty_server"
PATIENCE_S = 30.0  # a machine may be busy: what is measured is told, and asserted with this


@dataclass
class Finding:
    """The progress and the findings of a scenario."""

    rounds: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Database:
    """The database of a scenario."""

    directory: Path
    postgres: EmbeddedPostgres | None = None
    given_url: str = ""  # of another one than the one of `postgres` or the file
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)  # all that were ever started

    @property
    def kind(self) -> str:
        return "SQLite" if self.postgres is None else "Postgres"

    @property
    def file(self) -> Path:
        return self.directory / "stock.db"

    @property
    def url(self) -> str:
        if self.given_url:
            return self.given_url
        if self.postgres is None:
            return f"sqlite+aiosqlite:///{self.file}"
        return self.postgres.get_uri().replace("postgresql://", "postgresql+asyncpg://")

    async def serve(
        self,
        program: str = "stockkeeper",
        *,
        log: str = "server",
        url: str = "",
        options: Sequence[str] = (),
        port: int = 0,
    ) -> ServerProcess:
        """Start a server, and wait until it listens.

        Args:
            log: names its log.
            url: another way to the database.
            options: what else it is told.
        """
        where, url = self.directory / log, url or self.url
        server = await start_server(where, *options, port=port, database_url=url, program=program)
        self.processes.append(server.process)
        return server

    async def start(self) -> asyncio.subprocess.Process:
        """Start a server, and do not wait."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--database-url", self.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        self.processes.append(process)
        return process

    async def audit(self, patience_s: float = 60.0) -> list[str]:
        """Run `stockkeeper check`. Returns what it finds wrong."""
        status, _, err = await run_cli("check", "--database-url", self.url, patience_s=patience_s)
        return [] if status == 0 else [f"stockkeeper check exits with {status}: {err.strip()}"]


Scenario = Callable[[Database, int, Finding], Awaitable[None]]


@contextmanager
def database(kind: str, directory: Path) -> Iterator[Database]:
    """An empty database of that kind for the length of a block."""
    with ExitStack() as stack:
        postgres = stack.enter_context(embedded_postgres()) if kind == "Postgres" else None
        made = Database(directory, postgres)
        try:
            yield made
        finally:
            for process in made.processes:
                if process.returncode is None:  # the scenario failed
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)


@asynccontextmanager
async def under_load(load: Load, server: ServerProcess, *, goes_on: bool = False) -> AsyncIterator[None]:
    """Clients that work while the block runs; afterwards they have all ended."""
    async with InventoryClient("127.0.0.1", server.port, timeout_s=15, retry=None, breaker=False) as client:
        running = asyncio.create_task(load.run(client, goes_on=goes_on))
        try:
            yield
            if not goes_on:
                await asyncio.wait_for(running, PATIENCE_S)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if not running.cancelled() and (error := running.exception()) is not None:
            raise error


async def acknowledged(load: Load, more: int) -> None:
    """Wait until the given number of further answers came."""
    wanted = load.acknowledged + more
    await until(lambda: load.acknowledged >= wanted, f"{more} more answers")


async def take_stock(database: Database, server: ServerProcess, load: Load) -> list[str]:
    """Ask again what had no answer, then look for what was lost, doubled or does not add up."""
    async with server.client() as client:
        await load.settle(client)
        problems = await load.problems(client)
    return problems + await database.audit()


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str, patience_s: float = PATIENCE_S) -> float:
    """Wait for a condition. Returns the seconds it took.

    Raises:
        AssertionError: it took too long.
    """
    start_s = time.monotonic()
    while not (answer if isinstance(answer := holds(), bool) else await answer):
        assert time.monotonic() - start_s < patience_s, f"not within {patience_s:g} s: {what}"
        await asyncio.sleep(0.01)
    return time.monotonic() - start_s


async def is_serving(client: InventoryClient, expected: bool = True) -> bool:
    """Whether the health service says what is expected.

    Raises:
        AioRpcError: it does not answer.
    """
    stub: Any = health_pb2_grpc.HealthStub(client.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    return bool((answer.status == health_pb2.HealthCheckResponse.SERVING) is expected)

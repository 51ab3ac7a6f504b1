"""The systems that are compared, each with a database of its own: started, filled, driven, stopped, then audited."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stockkeeper_client import InventoryClient

from bench import fill
from bench.databases import Database, running_postgres, running_redis
from bench.orders import ORGANIZATION, PIECES, WAREHOUSE, Workload
from bench.processes import Program, memory_mib, peak_memory_mib, python
from bench.rivals import redis_lua, tables


class Held(NamedTuple):
    """What a database holds: reservations, the pieces of their items, the pieces of each variant's row."""

    reservations: int
    pieces: int
    reserved: Counter[str]


@dataclass
class Running:
    """A system that serves.

    Args:
        name: its name in the results and on the page.
        server: the process that answers.
        database: the process of its database, if it has one of its own.
        held: reads the database; None for a system that keeps nothing.
        next_number: the number of the next order; no order is sent twice.
        accepted: the orders that were acknowledged.
        released: those of them whose end was acknowledged too.
        peak_memory_mib: the server's most, known when it has ended.
        memory_mib: what the server and its database had in the end.
    """

    name: str
    server: Program
    database: Database | None = None
    held: Callable[[], Held] | None = None
    next_number: int = 0
    accepted: list[tuple[Workload, list[int]]] = field(default_factory=list)
    released: list[tuple[Workload, list[int]]] = field(default_factory=list)
    peak_memory_mib: float = 0.0
    memory_mib: float = 0.0

    @property
    def pids(self) -> list[int]:
        database = None if self.database is None else self.database.pid
        return [self.server.pid] if database is None else [self.server.pid, database]

    def numbers(self, count: int) -> range:
        """Take numbers of orders that were not sent yet."""
        first, self.next_number = self.next_number, self.next_number + count
        return range(first, self.next_number)

    def audit(self) -> None:
        """Check that the database has what was acknowledged, to the piece, and nothing else.

        Raises:
            AssertionError: it is not.
        """
        if self.held is None:
            return
        expected: Counter[str] = Counter()
        reservations = 0
        for workload, numbers in self.accepted:
            expected.update(workload.taken(numbers))
            reservations += len(numbers)
        for workload, numbers in self.released:
            expected.subtract(workload.taken(numbers))
            reservations -= len(numbers)
        expected = +expected  # without zeros
        held = self.held()
        assert held.reservations == reservations, (self.name, held.reservations, reservations)
        assert held.pieces == expected.total(), (self.name, held.pieces, expected.total())
        assert held.reserved == expected, (self.name, (held.reserved - expected) + (expected - held.reserved))


@dataclass(frozen=True)
class Setting:
    """The arguments that a system starts with.

    Args:
        directory: for its files; its own.
        variants: what is in stock, PIECES of each.
        environment: for the server and its database.
        pool: connections of a rival to its database; 0 for its default.
    """

    directory: Path
    variants: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pool: int = 0


@contextmanager
def noop(setting: Setting) -> Iterator[Running]:
    """The ceiling."""
    yield from _serving("no-op", python("bench.noop"), setting)


@contextmanager
def noop_bare(setting: Setting) -> Iterator[Running]:
    """The ceiling of the service's own way into gRPC."""
    yield from _serving("no-op, bare core", python("bench.noop", "--bare"), setting)


@contextmanager
def sqlite(setting: Setting) -> Iterator[Running]:
    """stockkeeper on a SQLite file."""
    file = setting.directory / "stock.db"
    command = python("stockkeeper", "serve", "--port", "0", "--database-url", f"sqlite+aiosqlite:///{file}")
    large = len(setting.variants) > fill.IMPORT_ROWS_MAX
    if large:
        Program(command, setting.directory / "first.log").stop()  # makes the tables
        fill.sqlite_file(file, setting.variants)
    yield from _serving("stockkeeper, SQLite", command, setting, None, lambda: _held_in_file(file), not large)


@contextmanager
def postgres(setting: Setting) -> Iterator[Running]:
    """stockkeeper on PostgreSQL."""
    with running_postgres(setting.environment) as database:
        url = database.url.replace("postgresql://", "postgresql+asyncpg://")
        command = python("stockkeeper", "serve", "--port", "0", "--database-url", url)
        held = lambda: Held(*tables.held(database.url))  # noqa: E731
        yield from _serving("stockkeeper, Postgres", command, setting, database, held, load=True)


@contextmanager
def orm(setting: Setting) -> Iterator[Running]:
    """SQLAlchemy's ORM with SELECT … FOR UPDATE."""
    with _tables(setting) as database:
        yield from _rival("orm", "ORM, FOR UPDATE", "bench.rivals.orm", setting, database)


@contextmanager
def plpgsql(setting: Setting) -> Iterator[Running]:
    """One call of a PL/pgSQL function."""
    with _tables(setting) as database:
        yield from _rival("plpgsql", "PL/pgSQL function", "bench.rivals.plpgsql", setting, database)


@contextmanager
def redis(setting: Setting) -> Iterator[Running]:
    """Redis with a Lua script, its client as it comes."""
    with _redis(setting) as database:
        yield from _rival("redis", "Redis, Lua", "bench.rivals.redis_lua", setting, database)


@contextmanager
def redis_coalesced(setting: Setting) -> Iterator[Running]:
    """Redis with a Lua script, orders that come together in one pipeline."""
    with _redis(setting) as database:
        yield from _rival(
            "redis_coalesced", "Redis, Lua, coalesced", "bench.rivals.redis_lua", setting, database, "--coalesce"
        )


System = Callable[[Setting], AbstractContextManager[Running]]
OURS: Mapping[str, System] = {"noop": noop, "sqlite": sqlite, "postgres": postgres}
RIVALS: Mapping[str, System] = {
    "orm": orm,
    "plpgsql": plpgsql,
    "redis": redis,
    "redis_coalesced": redis_coalesced,
}
SYSTEMS = {**OURS, "noop_bare": noop_bare, **RIVALS}
# Connections to the database: the first is the default, and the best one counts.
POOLS = {"orm": (16, 8, 32), "plpgsql": (8, 4, 16), "redis": (16, 64), "redis_coalesced": (1, 4, 16)}


@contextmanager
def _tables(setting: Setting) -> Iterator[Database]:
    with running_postgres(setting.environment) as database:
        tables.make(database.url, ORGANIZATION, WAREHOUSE, setting.variants, PIECES)
        yield database


@contextmanager
def _redis(setting: Setting) -> Iterator[Database]:
    with running_redis(setting.directory, setting.environment) as database:
        redis_lua.make(database.url, ORGANIZATION, WAREHOUSE, setting.variants, PIECES)
        yield database


def _rival(key: str, name: str, module: str, setting: Setting, database: Database, *options: str) -> Iterator[Running]:
    pool = setting.pool or POOLS[key][0]
    command = python(module, "--url", database.url, "--pool", str(pool), *options)
    held = redis_lua.held if module == "bench.rivals.redis_lua" else tables.held
    yield from _serving(name, command, setting, database, lambda: Held(*held(database.url)))


def _serving(
    name: str,
    command: Sequence[str],
    setting: Setting,
    database: Database | None = None,
    held: Callable[[], Held] | None = None,
    load: bool = False,
) -> Iterator[Running]:
    server = Program(command, setting.directory / "server.log", setting.environment)
    try:
        if load:
            asyncio.run(_import(server.port, setting.variants))
        running = Running(name, server, database, held)
        yield running
        running.peak_memory_mib, running.memory_mib = peak_memory_mib(server.pid), memory_mib(running.pids)
    finally:
        server.stop()
    running.audit()


async def _import(port: int, variants: Sequence[str]) -> None:
    async with InventoryClient("127.0.0.1", port, breaker=False, timeout_s=120) as client:
        await client.stock.import_stock(
            {
                "organization_id": ORGANIZATION,
                "variant_id": variant_id,
                "warehouse_id": WAREHOUSE,
                "total_quantity": PIECES,
            }
            for variant_id in variants
        )


def _held_in_file(file: Path) -> Held:
    connection = sqlite3.connect(file)
    try:
        [(reservations,)] = connection.execute(
            "SELECT count(*) FROM reservation WHERE state IN ('active', 'confirmed')"
        )
        [(pieces,)] = connection.execute(
            "SELECT coalesce(sum(quantity), 0) FROM reservation_item JOIN reservation"
            " USING (organization_id, reservation_id) WHERE state IN ('active', 'confirmed')"
        )
        reserved = Counter(dict(connection.execute("SELECT variant_id, reserved FROM stock WHERE reserved > 0")))
        return Held(reservations, pieces, reserved)
    finally:
        connection.close()

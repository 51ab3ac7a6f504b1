"""Postgres behind the store: a connection that holds the lock, one that writes, and a few that read.

The lock is an advisory one, held by a session: Postgres takes it back when the session's connection ends. It
keeps two servers apart that mean well. What keeps them apart in truth is the epoch, which every batch checks. A
free lock does not say that its last holder is dead: it may sleep, or have lost a connection, and go on answering
until its lease ends. So a successor waits for that. A lock that was lost fails reads, and with them the heartbeat.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]
from anyio import move_on_after, sleep
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from actors.records import Transaction
from storage.latecomers import Latecomers
from storage.sql.archive import move_out
from storage.sql.batch_postgres import write_batch
from storage.sql.epoch import pass_fence, raise_epoch
from storage.sql.postgres_address import PostgresAddress
from storage.sql.postgres_lock import OF_A_SERVER, SignsOfLife, lock_key, take_lock
from storage.sql.postgres_session import check_sessions, connect, own_schema, set_up
from storage.sql.postgres_standby import wait_for_lock
from storage.sql.replication_risk import say_what_can_be_lost
from storage.sql.schema_check import check_and_mend
from storage.sql.schema_upkeep import bring_up_to_date
from storage.store import LEASE_S, MovedOut, Ownership

T = TypeVar("T")

READERS_MAX = 4
CLOSE_TIMEOUT_S = 2

# A step that a crash loses is done again, so it need not keep the journal's batches waiting, at the fence, for a sync.
# A lock that an operator holds on the archive makes a step fail, and nothing else.
HOUSEKEEPING_SETTINGS = ("synchronous_commit = off", "lock_timeout = 2000")


class PostgresBackend:
    """A Postgres database, which it shares with no other server.

    Args:
        address: where it is.
    """

    errors = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        self._engine: AsyncEngine | None = None
        self._holder: asyncpg.Connection | None = None
        self._writer: asyncpg.Connection | None = None
        self._signs: SignsOfLife | None = None  # once the lock is ours
        self._generation = ""  # of our epoch
        self._has_said_risk = False
        self._batches = 0

    def __repr__(self) -> str:
        return f"<PostgresBackend {self.name} open={self._engine is not None} batches={self._batches}>"

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def connections(self) -> str:
        return f"one holds the lock, one writes, {READERS_MAX} read"

    @property
    def writes_aside(self) -> bool:
        return False

    async def stand_by(self, on_waiting: Callable[[str], None]) -> None:
        holder, writer, key = await self._connect()
        await wait_for_lock(holder, writer, key, on_waiting)
        self._give_signs(holder)

    async def open(self, owner: str) -> Ownership:
        if self._signs is None:
            holder, _, key = await self._connect()
            await take_lock(holder, key, OF_A_SERVER)
            self._give_signs(holder)
        assert self._writer is not None
        await self._writer.execute("SET plan_cache_mode = auto")
        self._batches = 0
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect_reader,
            pool_size=READERS_MAX,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
        )
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                await connection.run_sync(bring_up_to_date)
                await connection.run_sync(check_and_mend)
                ownership = await connection.run_sync(raise_epoch, owner)
        self._generation = ownership.generation
        if not self._has_said_risk:
            await say_what_can_be_lost(self._writer)
            self._has_said_risk = True
        if ownership.epoch > 1:
            await sleep(LEASE_S)
        return ownership

    async def write(
        self, epoch: int, transactions: Sequence[Transaction], latecomers: Latecomers
    ) -> Sequence[Transaction]:
        assert self._writer is not None
        written = await write_batch(self._writer, (epoch, self._generation), transactions, latecomers)
        self._batches += 1
        if self._batches & (self._batches - 1) == 0:
            # Planning a batch anew costs as much as writing a small one, so plans are kept; but not those that were
            # made when the tables were half as large.
            await self._writer.execute("DISCARD PLANS")
        return written

    async def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        def step(connection: Connection) -> MovedOut:
            for setting in HOUSEKEEPING_SETTINGS:
                connection.execute(text(f"SET LOCAL {setting}"))
            moved = move_out(connection, before_ms, rows_max)
            if moved.rows:
                pass_fence(connection, epoch, self._generation)
            return moved

        assert self._engine is not None
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                return await connection.run_sync(step)

    async def change(self, epoch: int, function: Callable[[Connection], None]) -> None:
        def fenced(connection: Connection) -> None:
            function(connection)
            pass_fence(connection, epoch, self._generation)

        assert self._engine is not None
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                await connection.run_sync(fenced)

    async def read(self, function: Callable[[Connection], T]) -> T:
        assert self._engine is not None
        assert self._holder is not None
        if self._holder.is_closed():
            raise asyncpg.InterfaceError("the connection that held the lock is gone")
        async with self._engine.connect() as connection:
            return await connection.run_sync(function)

    async def let_go(self) -> bool:
        return False  # its caches are its own

    async def catch_up(self) -> None:
        pass  # it has processes of its own for it

    async def _connect(self) -> tuple[asyncpg.Connection, asyncpg.Connection, int]:
        """The lock's connection, the writer's, and the number of the lock."""
        self._holder = holder = await connect(self._address)
        self._writer = writer = await connect(self._address)
        await check_sessions(holder, writer)
        await set_up(holder)
        await set_up(writer)
        return holder, writer, lock_key(await own_schema(holder))

    def _give_signs(self, holder: asyncpg.Connection) -> None:
        self._signs = SignsOfLife(holder)
        self._signs.start()

    async def close(self) -> None:
        signs, self._signs = self._signs, None
        if signs is not None:
            await signs.stop()
        engine, self._engine = self._engine, None
        held = [connection for connection in (self._writer, self._holder) if connection is not None]
        self._holder = self._writer = None
        # A server that does not answer must not keep us: its side of the connections ends by its own keepalives.
        if engine is not None:
            with move_on_after(CLOSE_TIMEOUT_S, shield=True):
                await engine.dispose()
        for connection in held:  # the lock's last
            with move_on_after(CLOSE_TIMEOUT_S / 2, shield=True) as scope:
                await connection.close()
            if scope.cancelled_caught:
                connection.terminate()

    async def _connect_reader(self) -> asyncpg.Connection:
        return await set_up(await connect(self._address))

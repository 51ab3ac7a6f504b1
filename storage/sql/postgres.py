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
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from actors.records import Transaction
from storage.sql.archive import move_out
from storage.sql.batch_postgres import write_batch
from storage.sql.epoch import pass_fence, raise_epoch
from storage.sql.migrate import migrate
from storage.store import LEASE_S, MovedOut, Ownership, OwnershipLost

T = TypeVar("T")

READERS_MAX = 4
LOCK_KEY = int.from_bytes(b"stockkpr")  # any number, as long as it is always the same; locks are per database
# A server that was killed a moment ago may not be gone yet for Postgres.
LOCK_WAIT_MS = 2_000
CONNECT_TIMEOUT_S = 10
COMMAND_TIMEOUT_S = 60
CLOSE_TIMEOUT_S = 2

SESSION_SETTINGS = {
    "application_name": "stockkeeper",
    "timezone": "UTC",
    # Every statement here follows an index. Over a small table the planner would not, nor care which index it is, and
    # would keep that plan while the table grows. Compiling such a plan would cost more than running it.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
    # A server that falls asleep in the middle of a batch must not keep the ownership row from its successor.
    "idle_in_transaction_session_timeout": "5000",
    # The lock's connection is idle for months: notice within half a minute if the other side is gone.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

# A step that a crash loses is done again, so it need not keep the journal's batches waiting, at the fence, for a sync.
# An operator who locks the archive for long makes a step fail, and nothing else.
HOUSEKEEPING_SETTINGS = ("synchronous_commit = off", "lock_timeout = 2000")

# Weaker settings than `on` that an administrator chose knowingly (`local`, `remote_write`) keep what was acknowledged
# over a crash of this machine's Postgres; `off` does not.
SYNCHRONOUS = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
HOLDER = """
    SELECT activity.application_name, coalesce(host(activity.client_addr), 'this machine'), activity.pid
    FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid::int8 << 32 | objid::int8 = $1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def driver_url(url: URL) -> URL:
    """The URL as asyncpg's dialect takes it, whichever driver it names."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


class PostgresBackend:
    """A Postgres database, which it shares with no other server.

    Args:
        url: of SQLAlchemy's kind. `sslmode` is understood as libpq does.
    """

    errors = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

    def __init__(self, url: URL) -> None:
        self._url = driver_url(url)
        self._engine: AsyncEngine | None = None
        self._held: list[AsyncConnection] = []
        self._holder: asyncpg.Connection | None = None
        self._writer: asyncpg.Connection | None = None
        self._batches = 0

    @property
    def name(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    @property
    def connections(self) -> str:
        return f"one holds the lock, one writes, {READERS_MAX} read"

    async def open(self, owner: str) -> Ownership:
        self._engine = create_async_engine(
            self._url,
            pool_size=READERS_MAX + 2,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": COMMAND_TIMEOUT_S,
                "server_settings": SESSION_SETTINGS,
            },
        )
        self._holder = await self._hold(self._engine)
        await self._lock(self._holder)
        self._writer = await self._hold(self._engine)
        await self._writer.execute(SYNCHRONOUS)
        await self._writer.execute("SET plan_cache_mode = auto")
        self._batches = 0
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                await connection.run_sync(migrate)
                ownership = await connection.run_sync(raise_epoch, owner)
        if ownership.epoch > 1:
            await sleep(LEASE_S)
        return ownership

    async def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        assert self._writer is not None
        await write_batch(self._writer, epoch, transactions)
        self._batches += 1
        if self._batches & (self._batches - 1) == 0:
            # Planning a batch anew costs as much as writing a small one, so plans are kept; but not those that were
            # made when the tables were half as large.
            await self._writer.execute("DISCARD PLANS")

    async def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        def step(connection: Connection) -> MovedOut:
            for setting in HOUSEKEEPING_SETTINGS:
                connection.execute(text(f"SET LOCAL {setting}"))
            moved = move_out(connection, before_ms, rows_max)
            if moved.rows:
                pass_fence(connection, epoch)
            return moved

        assert self._engine is not None
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                return await connection.run_sync(step)

    async def read(self, function: Callable[[Connection], T]) -> T:
        assert self._engine is not None
        assert self._holder is not None
        if self._holder.is_closed():
            raise asyncpg.InterfaceError("the connection that held the lock is gone")
        async with self._engine.connect() as connection:
            return await connection.run_sync(function)

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        held, self._held = self._held, []
        self._holder = self._writer = None
        if engine is None:
            return
        # A server that does not answer must not keep us: its side of the connections ends by its own keepalives.
        with move_on_after(CLOSE_TIMEOUT_S, shield=True):
            for connection in reversed(held):
                await connection.close()
        with move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await engine.dispose()

    async def _hold(self, engine: AsyncEngine) -> asyncpg.Connection:
        """A connection of the driver's, taken out of the pool until the backend closes."""
        connection = await engine.connect()
        self._held.append(connection)
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        return driver

    async def _lock(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.execute(f"SET lock_timeout = {LOCK_WAIT_MS}")
            await connection.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
        except asyncpg.LockNotAvailableError:
            holder = await connection.fetchrow(HOLDER, LOCK_KEY)
            who = "another session" if holder is None else "{} on {}, Postgres process {}".format(*holder)
            raise OwnershipLost(f"another server owns the database: {who} holds its lock") from None

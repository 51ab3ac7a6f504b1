"""The lock on the tables of a Postgres schema, and the signs of life that the server which holds it gives.

The lock is an advisory one, held by a session. Postgres takes it back when the session's connection ends, and that is
too late twice: the connection of a stopped process stays open for as long as the process is there, and one whose
network was cut stays open until keepalives or time limits find out. So a server says something in that very session,
at least every `BEAT_S`. `pg_stat_activity` shows when a session was last asked for something, and a standby sees
whether that moves (`postgres_standby.py`).

Turned down: a row that the owner updates, since an idle server would write to the log of Postgres twice a second for
ever, and a heartbeat that a server writes through another session says nothing of the one that has the lock.
"""

import asyncio
from contextlib import suppress
from hashlib import blake2b

import asyncpg  # type: ignore[import-untyped]
from msgspec import Struct

from storage.store import OwnershipLost

LOCK_KEY = int.from_bytes(b"stockkpr")  # any number, as long as it is always the same; locks are per database
USUAL_SCHEMA = "public"
# A server that was killed a moment ago may not be gone yet for Postgres.
LOCK_WAIT_MS = 2_000

# What a server says in the session of its lock begins so. A program that holds the lock and is no server, `move`, gives
# no signs of life, and is waited for.
OF_A_SERVER = "/* stockkeeper server */"
BEAT = f"{OF_A_SERVER} SELECT 1"
BEAT_S = 0.4
STOP_S = 1.0  # a Postgres that does not answer must not keep us

# All sessions that have the lock or wait for it. A role that may not see a session's doings finds NULL for them.
LOCK_SESSIONS = f"""
    SELECT pid, granted, backend_start, query_start, query LIKE '{OF_A_SERVER}%' AS is_server, usename AS role,
        application_name || ' on ' || coalesce(host(client_addr), 'this machine') || ', Postgres process ' || pid
            AS name
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid::int8 << 32 | objid::int8 = $1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def lock_key(schema: str) -> int:
    """The number of the lock on the tables of a schema: one database may have the stock of several servers."""
    if schema == USUAL_SCHEMA:
        return LOCK_KEY
    return int.from_bytes(blake2b(schema.encode(), digest_size=8, key=b"stockkpr").digest(), signed=True)


async def take_lock(connection: asyncpg.Connection, key: int, mark: str = "") -> None:
    """Take the lock for as long as the connection lasts.

    Args:
        mark: `OF_A_SERVER` from one that gives signs of life from then on.

    Raises:
        OwnershipLost: another session has it.
    """
    try:
        await connection.execute(f"SET lock_timeout = {LOCK_WAIT_MS}")
        await connection.execute(f"{mark} SELECT pg_advisory_lock({key})")
    except asyncpg.LockNotAvailableError:
        sessions = await connection.fetch(LOCK_SESSIONS, key)
        session = next((one["name"] for one in sessions if one["granted"] and one["name"]), "another session")
        raise OwnershipLost(f"another server owns the database: {session} holds its lock") from None


class SignsOfLifeStatistics(Struct, frozen=True):
    """How many signs were given."""

    given: int


class SignsOfLife:
    """Says something in the session that holds the lock, from `start` to `stop`.

    A connection in which that fails is ended: what reads then finds the lock lost, and the server starts over.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._task: asyncio.Task[None] | None = None
        self._given = 0

    def __repr__(self) -> str:
        return f"<SignsOfLife given={self._given}>"

    def statistics(self) -> SignsOfLifeStatistics:
        return SignsOfLifeStatistics(self._given)

    def start(self) -> None:
        self._task = asyncio.create_task(self._give())

    async def stop(self) -> None:
        """May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=STOP_S)

    async def _give(self) -> None:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            while True:
                await self._connection.execute(BEAT)
                self._given += 1
                await asyncio.sleep(BEAT_S)
        self._connection.terminate()

"""One session of Postgres: connected, set up, and found to be a session of our own.

Settings go by SQL and not with the connection's start: a pooler in session mode passes them on that way, and it
needs no list of them in its configuration.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from storage.sql.dead_peers import notice_a_dead_peer
from storage.sql.first_host import first_of
from storage.sql.postgres_address import PostgresAddress
from storage.sql.postgres_authorities import check_files, system_context
from storage.store import StorageError

COMMAND_TIMEOUT_S = 60
POOLER_TRIES = 5

SESSION_SETTINGS = {
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
# What an administrator set for everybody else: it would end the session that holds the lock, or a large batch. Not
# every version of Postgres has all of them.
TIMEOUTS = ("idle_session_timeout", "transaction_timeout", "statement_timeout", "lock_timeout")

# Weaker settings than `on` that an administrator chose knowingly (`local`, `remote_write`) keep what was acknowledged
# over a crash of this machine's Postgres; `off` does not.
SYNCHRONOUS = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
NO_TIMEOUTS = f"""
    SELECT set_config(name, '0', false) FROM unnest(ARRAY{list(TIMEOUTS)}) AS name
    WHERE current_setting(name, true) <> '0'"""


async def connect(address: PostgresAddress) -> asyncpg.Connection:
    """A connection without settings.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: it cannot be made.
        TimeoutError: it took longer than the address allows.
    """
    check_files(address.files)
    if not address.hosts:
        return await _connect_to(address, address.dsn)
    return await first_of([partial(_connect_to, address, dsn) for dsn in address.hosts])


async def _connect_to(address: PostgresAddress, dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        dsn,
        timeout=address.connect_timeout_s,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=dict(address.settings),
        **({"ssl": system_context()} if address.trusts_system else {}),
        **(_bound() if address.is_bound else {}),
    )
    return notice_a_dead_peer(connection)


def _bound() -> Mapping[str, Any]:
    from storage.sql.bound_connection import BoundConnection, LoginLoop

    return {"loop": LoginLoop(asyncio.get_running_loop()), "connection_class": BoundConnection}


async def set_up(connection: asyncpg.Connection) -> asyncpg.Connection:
    """Give a session the settings that the store relies on. Returns the connection."""
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION_SETTINGS.items())
    await connection.execute(f"SELECT {settings}; {NO_TIMEOUTS}; {SYNCHRONOUS}")
    return connection


async def own_schema(connection: asyncpg.Connection) -> str:
    """The schema where the tables are: the first of the search path. One that is missing is made.

    Raises:
        StorageError: the search path names none.
    """
    schema = await connection.fetchval("SELECT current_schema()")
    if schema is None:
        path = await connection.fetchval("SELECT current_setting('search_path')")
        named = [name.strip().strip('"') for name in path.split(",")]
        schema = next((name for name in named if name and name != "$user"), None)
        if schema is None:
            raise StorageError("the database's search path names no schema: give one with --database-schema")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    return str(schema)


async def check_sessions(one: asyncpg.Connection, other: asyncpg.Connection) -> None:
    """See that each connection has a session to itself. It changes nothing, which would stay in a shared one.

    A pooler in transaction mode lends a session for the length of a transaction. Settings reach other programs, and a
    lock stays with a session that its owner cannot ask for it.

    Raises:
        StorageError: there is such a pooler between us and Postgres.
    """
    try:
        shared = await _are_shared(one, other)
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        shared = True  # a statement was prepared in one session and asked for in the next
    if shared:
        raise StorageError(
            "a pooler in transaction mode (PgBouncer's pool_mode) stands before the database, and no server can keep"
            " the lock of an owner through it: connect to Postgres itself, or through a pooler in session mode"
        )


async def _are_shared(one: asyncpg.Connection, other: asyncpg.Connection) -> bool:
    process = await one.fetchval("SELECT pg_backend_pid()")
    if process == one.get_server_pid():
        return False  # Postgres itself introduced the session; a pooler makes the number up
    for _ in range(POOLER_TRIES):
        async with other.transaction():  # takes the session that was given back last
            rival = await other.fetchval("SELECT pg_backend_pid()")
            if rival == process or await one.fetchval("SELECT pg_backend_pid()") != process:
                return True
    return False

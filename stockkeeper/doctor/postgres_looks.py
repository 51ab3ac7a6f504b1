"""Looks at a Postgres database: what keeps an acknowledged reservation, and what stands before it."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from statistics import median
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from stockkeeper.doctor.clock_look import look_at_clock, look_at_other_clock
from stockkeeper.doctor.disk_looks import SYNC_S_MAX
from stockkeeper.doctor.finding import Finding, advise, ok, problem
from storage.sql.database_url import parse_url
from storage.sql.file_state import FAILURES, JournalEnd, journal_end
from storage.sql.postgres_address import PostgresAddress, read_address
from storage.sql.postgres_session import TIMEOUTS, check_sessions, connect
from storage.sql.replication_risk import WITHOUT_STANDBYS
from storage.sql.snapshot import read_snapshot
from storage.store import StorageError

COMMITS = 10
CONNECTIONS_WANTED = 8  # one holds the lock, one writes, four read; one for check and one for doctor
OLDEST_VERSION_NUMBER = 140_000
NAMES = (
    *("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "server_version_num"),
    *("max_connections", "superuser_reserved_connections", *TIMEOUTS),
)
COUNTS = """
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS standbys,
        (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS ssl,
        pg_is_in_recovery() AS is_standby, host(inet_server_addr()) AS address, clock_timestamp() AS now"""


async def look_at_postgres(database_url: str) -> Sequence[Finding]:
    """All of it."""
    address = read_address(parse_url(database_url))
    try:
        one, other = await connect(address), await connect(address)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        cause = (str(error).splitlines() or ["it did not answer in time"])[0]
        advice = "See that the server runs, and that the URL and the password are right."
        return [problem("database", f"{address.name} cannot be reached: {cause}", advice)]
    try:
        return [await look_at_pooler(one, other), *await _look(one, address, database_url)]
    finally:
        for connection in (one, other):
            connection.terminate()


async def look_at_pooler(one: asyncpg.Connection, other: asyncpg.Connection) -> Finding:
    try:
        await check_sessions(one, other)
    except StorageError as error:
        what, _, advice = str(error).rpartition(": ")
        return problem("pooler", what, f"{advice[:1].upper()}{advice[1:]}.")
    if await one.fetchval("SELECT pg_backend_pid()") != one.get_server_pid():
        return ok("pooler", "a pooler in session mode stands before the database")
    return ok("pooler", "no pooler stands before the database")


async def _look(connection: asyncpg.Connection, address: PostgresAddress, database_url: str) -> Sequence[Finding]:
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(NAMES))
    settings, facts = {row["name"]: row["setting"] for row in rows}, dict(await connection.fetchrow(COUNTS))
    now_ms = time.time_ns() // 1_000_000
    return [
        look_at_postgres_version(settings),
        look_at_standby(facts["is_standby"]),
        look_at_durability(settings),
        look_at_replication(settings, facts["standbys"]),
        look_at_timeouts(settings),
        look_at_connections(settings, facts["connections"]),
        look_at_encryption(facts["ssl"], facts["address"], address.is_bound, address.is_verified),
        look_at_other_clock(now_ms, _ms(facts["now"])),
        look_at_commit(None if facts["is_standby"] else await commit_s(connection)),
        *await look_at_tables(address, database_url, now_ms),
    ]


def _ms(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1_000)


def look_at_postgres_version(settings: Mapping[str, Any]) -> Finding:
    number = int(settings["server_version_num"])
    text = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number < OLDEST_VERSION_NUMBER:
        return advise("Postgres", f"{text} gets no more repairs", "Upgrade it.")
    return ok("Postgres", text)


def look_at_standby(is_standby: bool) -> Finding:
    if is_standby:
        advice = "Name the primary too: several hosts, and target_session_attrs=read-write."
        return problem("primary", "this server is a standby, which takes no writes", advice)
    return ok("primary", "this server takes writes")


def look_at_durability(settings: Mapping[str, Any]) -> Finding:
    off = [name for name in ("fsync", "full_page_writes") if settings[name] == "off"]
    if off:
        advice = "Turn it on: a power cut takes what was acknowledged, or ruins the database."
        return problem("durability", f"{' and '.join(off)} is off", advice)
    return ok("durability", "fsync and full_page_writes are on")


def look_at_replication(settings: Mapping[str, Any], standbys: int) -> Finding:
    """Whether what is acknowledged is on another machine too."""
    name, commit, wanted = "replication", settings["synchronous_commit"], settings["synchronous_standby_names"]
    if not wanted:
        return advise(
            name,
            "what is acknowledged is on this Postgres alone",
            "If its disk is lost, so is what came after the last backup. Set synchronous_standby_names.",
        )
    if commit in WITHOUT_STANDBYS:
        advice = "Set it to on for this role, or a lost disk takes what was acknowledged."
        return advise(name, f"synchronous_commit is {commit}, so that no commit waits for a standby", advice)
    if not standbys:
        advice = "Start a standby: until then no reservation is acknowledged. (Without pg_monitor this role sees none.)"
        return advise(name, f"synchronous_standby_names is {wanted}, and no such standby is seen", advice)
    return ok(name, f"commits wait for a standby (synchronous_commit is {commit}; {standbys} follow)")


def look_at_timeouts(settings: Mapping[str, Any]) -> Finding:
    set_by_others = [f"{name} is {settings[name]} ms" for name in TIMEOUTS if settings.get(name, "0") != "0"]
    if set_by_others:
        return ok("time limits", f"{', '.join(set_by_others)} for this role; a server takes them from its own sessions")
    return ok("time limits", "none is set for this role")


def look_at_connections(settings: Mapping[str, Any], used: int) -> Finding:
    free = int(settings["max_connections"]) - int(settings["superuser_reserved_connections"]) - used
    found = f"{max(free, 0)} more connections are possible, and {CONNECTIONS_WANTED} are wanted"
    if free < CONNECTIONS_WANTED:
        return advise("connections", found, "Raise max_connections, or close what others hold.")
    return ok("connections", found)


def look_at_encryption(ssl: bool | None, address: str | None, is_bound: bool, is_verified: bool) -> Finding:
    if is_bound:
        return ok("encryption", "the connection is encrypted, and the login is bound to it")
    if ssl and is_verified:
        return ok("encryption", "the connection is encrypted, and the server's certificate is verified")
    if address is None or ip_address(address).is_loopback:
        return ok("encryption", f"the connection {'is encrypted' if ssl else 'stays on this machine'}")
    if ssl:
        advice = "Add channel_binding=require to the URL, or sslmode=verify-full and sslrootcert."
        return advise("encryption", f"the connection to {address} is encrypted, perhaps to one in the middle", advice)
    advice = "Add sslmode=verify-full to the URL, and sslrootcert if its authority is your own."
    return advise("encryption", f"the connection to {address} is not encrypted", advice)


async def commit_s(connection: asyncpg.Connection) -> float | None:
    """How long a small commit takes, at the median, in seconds; None where this role may not make one so."""
    took: list[float] = []
    await connection.execute("SET synchronous_commit = on")
    for _ in range(COMMITS):
        began = time.perf_counter()
        try:
            await connection.execute("SELECT pg_logical_emit_message(true, 'stockkeeper', 'doctor')")
        except asyncpg.PostgresError:
            return None
        took.append(time.perf_counter() - began)
    return median(took)


def look_at_commit(took_s: float | None) -> Finding:
    if took_s is None:
        return ok("commit", "how long a commit takes could not be measured")
    found = f"a commit takes {took_s * 1_000:.2f} ms, the way there and back too"
    if took_s > SYNC_S_MAX:
        return advise(
            "commit", found, "Every reservation waits for one: bring the server nearer, or take a faster disk."
        )
    return ok("commit", found)


async def look_at_tables(address: PostgresAddress, database_url: str, now_ms: int) -> Sequence[Finding]:
    """What is in the database."""
    try:
        end = await read_snapshot(database_url, journal_end)
    except FAILURES as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        return [problem("database", f"{address.name} cannot be read: {cause}", "Grant this role its own tables.")]
    return [look_at_contents(address.name, end), look_at_clock(now_ms, end.last_at_ms)]


def look_at_contents(name: str, end: JournalEnd) -> Finding:
    """An empty database is told from one that has lost something by the epoch of its servers."""
    if end.epoch < 0:
        return ok("database", f"{name} has no tables yet: the first start makes them")
    if end.last_lsn:
        return ok("database", f"{name} ends at {end}")
    return ok("database", f"{name} is empty: {end.epoch} starts, and nothing was ever written to it")

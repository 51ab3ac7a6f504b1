"""How a standby waits for the lock of a Postgres database, and takes it from an owner that gives no sign of life.

It waits in Postgres' own queue. When the owner ends in order or is killed, its connection ends, and the lock is the
standby's in the same moment. A stopped process and a cut network leave the connection open, and Postgres the lock with
it. So the standby looks, in a second session, whether the owner still says something in the session that has the lock
(`postgres_lock.py`). After `LOOKS_MAX` looks in a row that found the same last word it has Postgres end that session.

*No clock is trusted.* The last word's time is compared with itself alone: it moved or it did not. What is counted is
looks that Postgres has answered. A standby that itself slept for an hour has made one look in that time, and a Postgres
that hangs answers neither the owner nor the standby, so nothing is counted. A standby whose clock runs too fast takes
over too soon, from an owner that lives; that costs a restart, and no more:

*Why a takeover is safe whatever the owner does.* The lock keeps servers apart that mean well; ending a session of an
owner that lives is no worse than a lock that was lost in any other way. What the owner may do from then on:

- It writes a batch. Every batch passes the fence, an UPDATE of the row `ownership` under its epoch. If it commits
  before the successor has raised the epoch, which waits for that row, the successor reads it; if not, the fence finds
  another epoch and the batch is nothing. A batch in the middle of which the owner was stopped holds that row, so its
  session is ended with the lock's: Postgres rolls it back, or it was about to commit, and then that is what is read.
- It answers from memory. It may do so until its lease ends, and the successor waits for as long after it has raised
  the epoch (`supervisor/ownership/lease.py`).
- It connects anew and asks for the lock. It stands behind the standby in the queue, and then gives way or stands by.

*Which sessions are ended.* The one that had given no sign, by its process id, its start and its last word together, so
that neither a session that took over the process id nor an owner that has just woken is met; and, in the same
statement, those in the midst of a write to `ownership`, which are that owner's as long as it has the lock. Two
standbys may do this at once: Postgres hands the lock to one of them, and for the other the last word is a new one.

What holds the lock and is no server (`stockkeeper move`, a server of an older version) is waited for, however long.

Turned down: time limits of Postgres for a session that says nothing (`idle_session_timeout`), which would be a clock,
end the session of a server that was suspended with its machine and that no caller waits for, and write an error to
Postgres' log; polling for the lock, which leaves it free for as long as the poll's pause.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-untyped]
from anyio import CancelScope
from msgspec import Struct

from storage.sql.postgres_lock import LOCK_SESSIONS, OF_A_SERVER
from storage.store import StorageError

log = logging.getLogger(__name__)

LOOK_S = 0.4
LOOKS_MAX = 5
LOOK_TIMEOUT_S = 5.0
FOREVER_S = 10 * 365 * 86_400.0

END_SESSIONS = """
    WITH silent AS (
        SELECT pid FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND query_start = $3
    ), sessions AS MATERIALIZED (
        SELECT pid FROM silent
        UNION SELECT pg_locks.pid FROM pg_locks, silent
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = to_regclass('ownership')
            AND pg_locks.pid <> pg_backend_pid()
            AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT count(*) FROM sessions WHERE pg_terminate_backend(pid)"""


class LastWord(NamedTuple):
    """What tells a session, and the moment at which it last said something, from any other."""

    pid: int
    session_began: object
    said: object


class OwnerWatchStatistics(Struct, frozen=True):
    """Looks at an owner since the wait began, and how many of the last ones found it silent."""

    looks: int
    silent_looks: int


class OwnerWatch:
    """Counts the looks in a row that found the same last word. It knows no clock."""

    def __init__(self) -> None:
        self._word: LastWord | None = None
        self._looks = 0
        self._silent_looks = 0

    def __repr__(self) -> str:
        return f"<OwnerWatch silent for {self._silent_looks} looks>"

    def statistics(self) -> OwnerWatchStatistics:
        return OwnerWatchStatistics(self._looks, self._silent_looks)

    def is_silent(self, word: LastWord | None) -> bool:
        """Whether this look was one too many. The count begins anew then.

        Args:
            word: the last one of a server that has the lock; None: no server has it.
        """
        self._looks += 1
        self._silent_looks = self._silent_looks + 1 if word is not None and word == self._word else 0
        self._word = word
        if self._silent_looks < LOOKS_MAX:
            return False
        self._silent_looks = 0
        return True


async def wait_for_lock(
    holder: asyncpg.Connection, observer: asyncpg.Connection, key: int, on_waiting: Callable[[str], None]
) -> None:
    """Take the lock for as long as `holder` lasts, when it is free or its owner gives no sign of life.

    Cancelled or failed, it ends both connections: the lock may have been granted meanwhile.

    Args:
        observer: another connection of the same role.
        on_waiting: told once, whom it waits for.

    Raises:
        StorageError: the owner's signs of life cannot be seen.
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the database is away.
    """
    if await observer.fetchval("SHOW track_activities") == "off":
        raise StorageError("track_activities is off, so a standby cannot see whether the owner lives: turn it on")
    pid = await holder.fetchval("SELECT pg_backend_pid()")  # a pooler makes up what the connection says
    if await holder.fetchval(f"{OF_A_SERVER} SELECT pg_try_advisory_lock({key})"):
        return
    queued = f"{OF_A_SERVER} SELECT pg_advisory_lock({key})"
    waiting = asyncio.ensure_future(holder.execute(queued, timeout=FOREVER_S))
    try:
        await _watch_owner(waiting, observer, key, pid, on_waiting)
        await waiting
    except BaseException:
        holder.terminate()
        observer.terminate()
        with CancelScope(shield=True):
            await asyncio.gather(waiting, return_exceptions=True)
        raise


async def _watch_owner(
    waiting: "asyncio.Future[Any]", observer: asyncpg.Connection, key: int, pid: int, on_waiting: Callable[[str], None]
) -> None:
    """Until the lock is ours, or cannot be waited for."""
    watch, is_told, is_queued = OwnerWatch(), False, False
    while not waiting.done():
        sessions = await observer.fetch(LOCK_SESSIONS, key, timeout=LOOK_TIMEOUT_S)
        owner = next((one for one in sessions if one["granted"]), None)
        if owner is not None and owner["pid"] != pid:
            if not is_told:
                is_told = True
                on_waiting(owner["name"] or f"a session of {owner['role']}")
            if watch.is_silent(_last_word(owner)):
                await _end_owner(observer, owner)
        is_seen = any(one["pid"] == pid for one in sessions)
        if is_queued and not is_seen:
            raise StorageError("the session that waits for the lock is gone")
        is_queued |= is_seen
        await asyncio.wait([waiting], timeout=LOOK_S)


def _last_word(owner: asyncpg.Record) -> LastWord | None:
    if owner["query_start"] is None:
        raise StorageError(
            f"the server that owns the database is known to it as {owner['role']}, and a standby of another role may"
            " neither see nor end its sessions: give both the same one"
        )
    return LastWord(owner["pid"], owner["backend_start"], owner["query_start"]) if owner["is_server"] else None


async def _end_owner(observer: asyncpg.Connection, owner: asyncpg.Record) -> None:
    word = owner["pid"], owner["backend_start"], owner["query_start"]
    if ended := await observer.fetchval(END_SESSIONS, *word, timeout=LOOK_TIMEOUT_S):
        log.warning("owner_is_silent", extra={"owner": owner["name"], "looks": LOOKS_MAX, "sessions_ended": ended})

"""How every connection to SQLite is set."""

import sqlite3
from typing import Any

from storage.store import StorageError

# For every connection: autocommit, so that a transaction is what says BEGIN; room for all statements that are written
# and read all the time; and handed from thread to thread, though never used by two at once.
CONNECT_ARGUMENTS: dict[str, Any] = {"isolation_level": None, "cached_statements": 256, "check_same_thread": False}

# FULL: with NORMAL a power cut takes acknowledged commits. fullfsync: without it, macOS only tells the drive.
# A checkpoint every 16 MB instead of every 4: a hot page is then copied to the file a quarter as often.
PRAGMAS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "fullfsync": 1,
    "busy_timeout": 5_000,
    "wal_autocheckpoint": 4_000,
    "journal_size_limit": 67_108_864,
    "cache_size": -65_536,
    "temp_store": 2,
}


def set_pragma(raw: sqlite3.Connection, name: str, value: str | int) -> None:
    """Set one of `PRAGMAS`.

    Raises:
        StorageError: SQLite does not take it.
    """
    raw.execute(f"PRAGMA {name} = {value}").close()
    if (found := raw.execute(f"PRAGMA {name}").fetchone()[0]) != value:
        raise StorageError(f"SQLite keeps {name} at {found} where {value} is needed")

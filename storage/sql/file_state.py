"""Whether a SQLite file is what the last server had: an empty database looks the same as one that was lost.

The witness is the lock file, which stays when a server ends and says its epoch and which file it had.
"""

import sqlite3
from pathlib import Path
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from storage.sql.instant_text import ms_to_text
from storage.sql.lock_file import LastOwner, last_owner
from storage.sql.schema import ownership
from storage.sql.schema_version import is_empty
from storage.sql.snapshot import read_file
from storage.sql.sqlite_files import check_wal, lock_path
from storage.sql.sqlite_files import is_empty as has_no_bytes
from storage.store import StorageError

FileKind = Literal["none", "empty", "whole", "older", "suspect", "lost"]


class FileState(Struct, frozen=True):
    """What a file is, in a sentence, and what to do about it; that is empty where nothing need be done."""

    kind: FileKind
    found: str
    advice: str = ""
    last_at_ms: int = 0


class JournalEnd(Struct, frozen=True):
    """Where a database's journal ends; epoch -1: there are no tables of ours."""

    epoch: int
    last_lsn: int = 0
    last_at_ms: int = 0

    def __str__(self) -> str:
        return f"LSN {self.last_lsn}" + (f" of {ms_to_text(self.last_at_ms)}" if self.last_at_ms else "")


def journal_end(connection: Connection) -> JournalEnd:
    """Where the journal ends in an open database."""
    if is_empty(connection):
        return JournalEnd(-1)
    row = connection.execute(select(ownership.c.epoch, ownership.c.last_lsn, ownership.c.last_at)).one()
    return JournalEnd(row.epoch, row.last_lsn, row.last_at or 0)


def look_at_file(path: Path) -> FileState:
    """What a SQLite file is. Takes no lock and changes nothing; a server may be using it.

    Raises:
        sqlite3.Error, SQLAlchemyError, OSError: it is no database that can be read.
    """
    last = last_owner(path)
    if has_no_bytes(path):
        return _without_bytes(path, last)
    try:
        suspect = check_wal(path, last.inode)
    except StorageError as error:
        return FileState("lost", str(error).partition(":")[0], str(error).partition(": ")[2])
    end = read_file(path, journal_end)
    if suspect:
        advice = "What the last server acknowledged may be missing: put the file back, or restore a backup."
        return FileState("suspect", suspect, advice, end.last_at_ms)
    return _with_bytes(path, last, end)


def _without_bytes(path: Path, last: LastOwner) -> FileState:
    what = "has no bytes" if path.exists() else "does not exist"
    if not last.epoch:
        return FileState("none", f"{path} {what}, and no server has had it: the first start makes a database")
    return FileState(
        "lost",
        f"{path} {what}, though a server had it in epoch {last.epoch}",
        f"Put it back, or restore a backup; to begin with an empty one, remove {lock_path(path)}.",
    )


def _with_bytes(path: Path, last: LastOwner, end: JournalEnd) -> FileState:
    if last.epoch > max(end.epoch, 0):
        had = f"the last server here had it in epoch {last.epoch}"
        if end.last_lsn == 0:
            advice = "It is not the database that the server had: put that back, or restore a backup."
            return FileState("lost", f"{path} is empty, though {had}", advice)
        return FileState(
            "older",
            f"{path} ends at {end} in epoch {end.epoch}, and {had}",
            "If you have restored a backup, that is why. If not, it is an older copy: find the newer file.",
            end.last_at_ms,
        )
    if end.last_lsn == 0:
        return FileState("empty", f"{path} is empty: nothing was ever written to it")
    return FileState("whole", f"{path} ends at {end}", last_at_ms=end.last_at_ms)


FAILURES = (SQLAlchemyError, sqlite3.Error, OSError)

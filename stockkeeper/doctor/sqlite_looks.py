"""Looks at a SQLite database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stockkeeper.doctor.clock_look import look_at_clock
from stockkeeper.doctor.disk_looks import look_at_disk, look_at_permissions
from stockkeeper.doctor.finding import Finding, Level, advise, ok, problem
from storage.sql.file_state import FAILURES, FileState, look_at_file
from storage.sql.lock_file import is_in_use
from storage.sql.sqlite_session import OLDEST_VERSION, survives_many_connections

LEVELS: dict[str, Level] = {"older": "advice", "suspect": "problem", "lost": "problem"}


def look_at_sqlite(path: Path, now_ms: int) -> Iterator[Finding]:
    """All of it.

    Args:
        path: the database, which need not exist.
        now_ms: the time.
    """
    yield look_at_version(sqlite3.sqlite_version_info)
    yield from look_at_disk(path)
    if not path.parent.is_dir():
        return
    try:
        state = look_at_file(path)
        yield finding_of(state)
        yield look_at_clock(now_ms, state.last_at_ms)
    except FAILURES as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        yield problem("database", f"{path} cannot be read: {cause}", "Restore a backup; keep this file as it is.")
    if path.exists():
        yield look_at_permissions(path)
        yield ok("server", "a server runs on it" if is_in_use(path) else "no server runs on it")


def look_at_version(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        return problem("SQLite", f"SQLite {text} is too old", f"Use a Python with SQLite {oldest} or newer.")
    if not survives_many_connections(version):
        return advise(
            "SQLite",
            f"SQLite {text} can corrupt a WAL that several connections checkpoint, so that a server uses only one",
            "Use a Python with SQLite 3.51.3 or newer. Let no other program write to the file.",
        )
    return ok("SQLite", f"SQLite {text} was tried")


def finding_of(state: FileState) -> Finding:
    return Finding("database", LEVELS.get(state.kind, "ok"), state.found, state.advice)

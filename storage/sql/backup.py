"""A copy of a SQLite database that is in use: one file that is whole by itself, checked before it gets its name.

SQLite's own backup API copies the database as one connection sees it, pages that are still in the WAL included. It
runs in one step: between steps the source would be let go, and the copy would begin anew with every batch that a
busy server writes, so that it might never end. In one step it is one read transaction, which keeps no writer waiting
(https://sqlite.org/backup.html, https://sqlite.org/wal.html#concurrency). The source is opened as
`storage.sql.snapshot` says, which argues why this second connection is safe in every version of SQLite: it never
checkpoints, not even when it is the last one to close.

Turned down: copying the file (what is in the WAL would be missing, and what a checkpoint writes meanwhile would be
torn); `VACUUM INTO` (smaller files, but it builds every index anew, reads the fixed statistics into new ones, and
takes several times as long while it pins the WAL).
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from storage.schema_errors import SchemaTooOld
from storage.sql.audit import Audit, audit
from storage.sql.snapshot import open_read_only, read_file
from storage.sql.sqlite_files import NOT_IN_USE


class BackupFailed(Exception):
    """There is no copy; the sentence says why."""


class Backup(Struct, frozen=True):
    """What was copied. There is no audit of a schema that is older than this program's, as just before an upgrade."""

    audit: Audit | None
    last_lsn: int
    size_bytes: int


def back_up(source: Path, target: Path, *, replace: bool = False) -> Backup:
    """Copy a database that a server may be using, check the copy, and only then give it its name.

    Args:
        source: a SQLite database.
        target: the copy. Its directory must exist.
        replace: whether a file of that name may be replaced.

    Raises:
        FileExistsError: there is a file of that name; it was left as it is.
        BackupFailed: the copy is damaged or does not agree with itself. Its Audit is the second argument, if it got
            that far.
        SchemaTooNew: the copy cannot be audited by this program.
        sqlite3.Error, SQLAlchemyError, OSError: the source cannot be read, or the copy cannot be written.
    """
    if target.exists() and not replace:
        raise FileExistsError(target)
    with _partial(target) as partial:
        _copy(source, partial)
        found = _audited(partial)
        if found is not None and found.disagreements:
            raise BackupFailed(f"the copy of {source} does not agree with itself", found)
        backup = Backup(found, _last_lsn(partial), partial.stat().st_size)
        partial.chmod(source.stat().st_mode & 0o777)
        _sync(partial)
        _name(partial, target, replace=replace)
    _sync(target.parent)
    return backup


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """An empty file beside the target, which is gone after the block, unless it has got another name by then."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _copy(source: Path, partial: Path) -> None:
    with open_read_only(source) as read, closing(sqlite3.connect(partial, isolation_level=None)) as written:
        written.execute("PRAGMA synchronous = 0")  # it is synced as a whole, before it gets its name
        read.backup(written)
        written.execute(f"PRAGMA user_version = {NOT_IN_USE}")  # a server may use the source, none uses the copy
        # The source's WAL mode came along. Without it the copy can be looked at where nothing can be written.
        if (mode := written.execute("PRAGMA journal_mode = delete").fetchone()[0]) != "delete":
            raise BackupFailed(f"SQLite keeps the copy in journal mode {mode}")
        problems = [row[0] for row in written.execute("PRAGMA integrity_check(1)")]
        if problems != ["ok"]:
            raise BackupFailed(f"the copy of {source} is damaged: {problems[0]}")


def _audited(partial: Path) -> Audit | None:
    try:
        return read_file(partial, audit)
    except SchemaTooOld:
        return None


def _last_lsn(partial: Path) -> int:
    with open_read_only(partial) as raw:
        return int(raw.execute("SELECT last_lsn FROM ownership").fetchone()[0])


def _name(partial: Path, target: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(target)
        return
    try:
        target.hardlink_to(partial)  # unlike a rename, it replaces nothing that came meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        partial.rename(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

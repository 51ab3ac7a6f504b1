"""The files of an open SQLite database, known by their inodes: whether its path still names them.

A process goes on writing to a file that was removed, or that another file was renamed over, and SQLite says that all
is well. What was acknowledged is gone when the process ends. So a store looks at the names again after every commit
and every read: four calls of `stat`, 7 µs, where a batch takes a millisecond or more.

Not seen: a file that is written over in place (`cp backup.db stockkeeper.db`), which keeps its inode.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from storage.store import DatabaseGone, StorageError

Identity = tuple[int, int]  # device and inode

# SQLite's user_version: whether a server has the database. One that is killed leaves it in use, and a WAL beside it.
NOT_IN_USE, IN_USE = 0, 1
USER_VERSION = slice(60, 64)  # in the file's header: https://sqlite.org/fileformat.html


def identity(path: Path | str) -> Identity | None:
    """Which file a path names now; None if none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path's own method takes three times as long, in every commit
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def is_empty(database: Path) -> bool:
    """Whether there is nothing in the file, or no file."""
    try:
        return database.stat().st_size == 0
    except FileNotFoundError:
        return True


def is_marked(database: Path) -> bool:
    """Whether a server has the database or was killed while it had it, as the file itself says, without its WAL."""
    with database.open("rb") as file:
        return int.from_bytes(file.read(100)[USER_VERSION]) == IN_USE


def check_wal(database: Path, last_inode: int) -> str:
    """See, before anything opens them, whether the file and the WAL beside it belong together.

    A server marks the file when it takes it over, and removes the mark and the WAL at its end.

    Args:
        database: the file.
        last_inode: of the file that the last server had; 0 if that is not known.

    Returns:
        Why something may be lost; empty if nothing points to it.

    Raises:
        StorageError: the WAL is another file's, and to open the database would ruin it.
    """
    if is_empty(database):
        return ""
    wal = files_of(database)[1]
    if is_marked(database):
        if is_empty(wal):  # a program that only read may have made an empty one
            return f"{wal} is {'empty' if wal.exists() else 'missing'}, though the last server was killed"
        return ""
    if not is_empty(wal) and last_inode not in (0, database.stat().st_ino):
        raise StorageError(
            f"{wal} was written for the file that was {database} before, and would ruin the one that is there now:"
            f" remove {wal}, or put the other file back"
        )
    return ""


def make_private(path: Path) -> None:
    """Make a database that does not exist for its owner's eyes only. SQLite gives its WAL the same mode."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # follows no link


def lock_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def files_of(database: Path) -> tuple[Path, ...]:
    """All files of a database that a server has open: itself, the WAL, the WAL's index, the lock."""
    wal, index = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm"))
    return database, wal, index, lock_path(database)


class SqliteFiles:
    """What the names of a database and of its companions stand for while a connection has them open.

    Args:
        database: the file, in WAL mode, after its first commit.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._opened = {str(path): identity(path) for path in files_of(database)}

    def __repr__(self) -> str:
        return f"<SqliteFiles of {self._database} gone={[one for one in self._opened if not self._is_ours(one)]}>"

    @property
    def database(self) -> Identity | None:
        """The database as it was opened."""
        return self._opened[str(self._database)]

    @property
    def are_ours(self) -> bool:
        """Whether every name still stands for the file that was opened."""
        return all(map(self._is_ours, self._opened))

    def check(self) -> None:
        """See that every name still stands for the file that was opened.

        Raises:
            DatabaseGone: one does not.
        """
        for path in self._opened:
            if not self._is_ours(path):
                raise gone(path)

    def leave_no_wal(self, raw: sqlite3.Connection) -> None:
        """Called before the last connection is closed. SQLite leaves the WAL of a database that has moved where it is,
        and the next program would play it into the file that has the name now, and ruin it.
        """
        if self._is_ours(str(self._database)):
            return
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()  # so that a file that was moved away has all of it
        _, wal, index, _ = files_of(self._database)
        for path in (wal, index):
            if self._is_ours(str(path)):
                with suppress(FileNotFoundError):
                    path.unlink()

    def _is_ours(self, path: str) -> bool:
        return identity(path) == self._opened[path]


def gone(path: Path | str) -> DatabaseGone:
    return DatabaseGone(
        f"{path} was removed or replaced while the server ran: what is written now would be lost, so the server ends"
    )

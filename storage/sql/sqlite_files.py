"""The files of an open SQLite database, known by their inodes: whether its path still names them.

A process goes on writing to a file that was removed, or that another file was renamed over, and SQLite says that all
is well. What was acknowledged is gone when the process ends. So a store looks at the names again after every commit
and every read: four calls of `stat`, 7 µs, where a batch takes a millisecond or more.

Not seen: a file that is written over in place (`cp backup.db stockkeeper.db`), which keeps its inode.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from storage.store import DatabaseGone

Identity = tuple[int, int]  # device and inode


def identity(path: Path) -> Identity | None:
    """Which file a path names now; None if none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


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
        self._opened = {path: identity(path) for path in files_of(database)}

    def __repr__(self) -> str:
        return (
            f"<SqliteFiles of {self._database} gone={[path.name for path in self._opened if not self._is_ours(path)]}>"
        )

    @property
    def database(self) -> Identity | None:
        """The database as it was opened."""
        return self._opened[self._database]

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
        if self._is_ours(self._database):
            return
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()  # so that a file that was moved away has all of it
        _, wal, index, _ = files_of(self._database)
        for path in (wal, index):
            if self._is_ours(path):
                with suppress(FileNotFoundError):
                    path.unlink()

    def _is_ours(self, path: Path) -> bool:
        return identity(path) == self._opened[path]


def gone(path: Path) -> DatabaseGone:
    return DatabaseGone(
        f"{path} was removed or replaced while the server ran: what is written now would be lost, so the server ends"
    )

"""One server for a file: a lock that the kernel takes back when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import Self

from storage.sql.sqlite_files import lock_path
from storage.store import OwnershipLost


class LockFile:
    """An exclusive `flock` on a file beside the database, with the holder's process id in it.

    The file stays when the lock goes: removing it would let two processes lock two files of the same name.
    """

    def __init__(self, path: Path, descriptor: int, *, is_new: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self.is_new = is_new  # no server has left it here: perhaps somebody removed the file that one still holds

    def __repr__(self) -> str:
        return f"<LockFile {self._path} is_new={self.is_new}>"

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock or fail at once.

        Raises:
            OwnershipLost: another process, or another store in this one, has it.
            OSError: the file cannot be made or opened.
        """
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise OwnershipLost(f"another server owns the database: process {holder} holds {path}") from None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, is_new=is_new)

    def release(self) -> None:
        """Give the lock back. Called once."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def is_in_use(database: Path) -> bool:
    """Whether a server holds the lock of a SQLite database now. Takes and changes nothing."""
    try:
        descriptor = os.open(lock_path(database.resolve()), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

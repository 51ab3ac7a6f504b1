"""One server for a file: a lock that the kernel takes back when its holder dies, however it dies.

The file says which process holds the lock, and stays when the lock goes: removing it would let two processes lock two
files of the same name. What stays in it is the last holder's epoch and the database's inode, the witness of which file
there was.
"""

import fcntl
import os
import re
from pathlib import Path
from typing import NamedTuple, Self

from storage.sql.sqlite_files import lock_path
from storage.store import OwnershipLost


class LockFile:
    """An exclusive `flock` on a file beside the database."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor
        # Of the last server that had the database to itself; 0: none that is known, or the file was removed while one
        # still holds it.
        self.epoch = _number("epoch", descriptor)
        self.inode = _number("inode", descriptor)  # of the file that it had

    def __repr__(self) -> str:
        return f"<LockFile {self._path} epoch={self.epoch}>"

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Take the lock or fail at once.

        Raises:
            OwnershipLost: another process, or another store in this one, has it.
            OSError: the file cannot be made or opened.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock = cls(path, descriptor)
            lock._write(f"process {os.getpid()}\n")
        except BlockingIOError:
            holder = _number("process", descriptor) or "unknown"
            os.close(descriptor)
            raise OwnershipLost(f"another server owns the database: process {holder} holds {path}") from None
        except BaseException:
            os.close(descriptor)
            raise
        return lock

    def note(self, epoch: int, inode: int) -> None:
        """The database is there, in this epoch, in this file."""
        self.epoch, self.inode = epoch, inode
        self._write(f"process {os.getpid()}\n")

    def release(self) -> None:
        """Give the lock back. Called once."""
        self._write("")
        os.close(self.descriptor)

    def _write(self, holder: str) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{holder}epoch {self.epoch}\ninode {self.inode}\n".encode(), 0)


def _number(name: str, descriptor: int) -> int:
    found = re.search(rf"^{name} ([0-9]+)$", os.pread(descriptor, 100, 0).decode(errors="replace"), re.MULTILINE)
    return int(found[1]) if found else 0


class LastOwner(NamedTuple):
    """The last server that had a database, as its lock file says; zeros where that is not known."""

    epoch: int
    inode: int


def last_owner(database: Path) -> LastOwner:
    """Who had a SQLite database last. Takes and changes nothing."""
    try:
        descriptor = os.open(lock_path(database.resolve()), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return LastOwner(0, 0)
    try:
        return LastOwner(_number("epoch", descriptor), _number("inode", descriptor))
    finally:
        os.close(descriptor)


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

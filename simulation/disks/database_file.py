"""A database file of the server's as the simulation uses it, and the plain one in a directory of its own."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from actors.records import Transaction
from storage.sql.epoch import raise_epoch
from storage.sql.sqlite_session import SqliteSession
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS
from storage.store import MovedOut, Ownership

T = TypeVar("T")


class Database(Protocol):
    """What the simulation does with a database file."""

    def reopen(self) -> None:
        """Open the file as a new process does."""

    def take_over(self, owner: str) -> Ownership:
        """Raise the epoch, as `SqliteSession.take_over` does once the schema is up to date."""

    def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Write a batch: see `write_batch`."""

    def write_torn(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Begin to write a batch, and lose power on the way."""

    def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        """One step of housekeeping: see `Store.move_out`."""

    def move_out_torn(self, epoch: int, before_ms: int, rows_max: int) -> bool:
        """Begin a step and lose power on the way. Returns whether it was done."""

    def change(self, epoch: int, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.staged_lines` in a transaction of its own, behind the fence."""

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads`."""

    @property
    def last_lsn(self) -> int: ...

    def close(self) -> None: ...


class PlainDatabase:
    """A real file in a directory of its own."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="stockkeeper-")
        self._path = Path(self._directory.name) / "simulated.db"
        self._path.write_bytes(empty_database())
        self._session = self._connect()

    def __repr__(self) -> str:
        return f"<PlainDatabase {self._path}>"

    def _connect(self) -> SqliteSession:
        return SqliteSession(sqlite3.connect(self._path, **CONNECT_ARGUMENTS))

    def reopen(self) -> None:
        self._session.close()
        self._session.raw.close()
        self._session = self._connect()

    def take_over(self, owner: str) -> Ownership:
        self._session.raw.execute("BEGIN IMMEDIATE")
        # The model that this is compared with knows no names.
        ownership = replace(raise_epoch(self._session._connection, owner), previous_owner="", generation="")
        self._session.raw.execute("COMMIT")
        self._session._connection.rollback()
        return ownership

    def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        self._session.write(epoch, transactions)

    def write_torn(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        raise NotImplementedError("a real file has no power to lose")

    def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        return self._session.move_out(epoch, before_ms, rows_max)

    def move_out_torn(self, epoch: int, before_ms: int, rows_max: int) -> bool:
        raise NotImplementedError("a real file has no power to lose")

    def change(self, epoch: int, function: Callable[[Connection], T]) -> T:
        said: list[T] = []
        self._session.change(epoch, lambda connection: said.append(function(connection)))
        return said[0]

    def read(self, function: Callable[[Connection], T]) -> T:
        return self._session.read(function)

    @property
    def last_lsn(self) -> int:
        return int(self._session.raw.execute("SELECT last_lsn FROM ownership").fetchone()[0])

    def close(self) -> None:
        self._session.close()
        self._session.raw.close()
        self._directory.cleanup()


@cache
def empty_database() -> bytes:
    """A migrated file, made once: migrations take longer than a run."""
    with TemporaryDirectory(prefix="stockkeeper-") as directory:
        path = Path(directory) / "empty.db"
        session = SqliteSession(sqlite3.connect(path, **CONNECT_ARGUMENTS))
        session.take_over("template")
        session.raw.execute("UPDATE ownership SET epoch = 0, owner = ''")
        session.close()
        session.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        session.raw.close()
        return path.read_bytes()

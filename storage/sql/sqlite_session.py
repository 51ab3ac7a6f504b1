"""One SQLite connection, as the driver has it and as SQLAlchemy has it. Plain code, which its caller waits for."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from actors.records import Transaction
from storage.latecomers import Latecomers, no_latecomers
from storage.sql.archive import move_out
from storage.sql.batch_sqlite import write_batch
from storage.sql.epoch import pass_fence, raise_epoch
from storage.sql.instant_text import ms_to_text, text_to_ms
from storage.sql.schema_check import check_and_mend
from storage.sql.schema_upkeep import bring_up_to_date
from storage.sql.sqlite_files import IN_USE, NOT_IN_USE
from storage.sql.sqlite_settings import PRAGMAS, set_pragma
from storage.store import MovedOut, Ownership, StorageError

T = TypeVar("T")

APPLICATION_ID = int.from_bytes(b"stkp")  # in the file's header, where `file` and any SQLite tool find it

READ_WHOLE_BYTES_MAX = 64 << 20  # 0.6 s
TABLES_READ_SOON = ("ownership", "warehouse")

MANY_CHANGES = 10_000  # rows: some megabytes of pages

FREE_BYTES_MIN = 1 << 20  # less is full: a store that opens but cannot write would be opened again for ever

OLDEST_VERSION = (3, 37, 0)  # the first with STRICT tables


class SqliteSession:
    """The functions that a store runs on one connection, each of them whole.

    Args:
        raw: a connection made with `CONNECT_ARGUMENTS`. It stays open when the session is closed.
        reads_only: refuse everything that writes.
    """

    def __init__(self, raw: sqlite3.Connection, *, reads_only: bool = False) -> None:
        self.raw = raw
        # The pool hands out the one connection there is, and must not give it a thread of its own.
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        self._connection = engine.connect()
        try:
            for name, value in PRAGMAS.items():
                set_pragma(raw, name, value)
            if reads_only:
                raw.execute("PRAGMA query_only = 1")
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<SqliteSession in_transaction={self.raw.in_transaction}>"

    def check_ours(self) -> None:
        """See that no other program has made the database.

        Raises:
            StorageError: one has.
        """
        found = self._get("application_id")
        if found not in (0, APPLICATION_ID):
            raise StorageError(f"the database belongs to another program: its application_id is {found}")

    def check_whole(self) -> None:
        """Read all of the database, 10 ms for a megabyte, and see that its pages fit together.

        Raises:
            StorageError: they do not.
        """
        if (problem := self._get("quick_check(1)")) != "ok":
            raise StorageError(f"the database is damaged, restore a backup: {str(problem).splitlines()[-1]}")

    def check_soon(self) -> None:
        """As `check_whole`, after a server was killed: of a large database only the tables that tell what there is.

        Raises:
            StorageError: as it does.
        """
        if self._get("page_count") * self._get("page_size") <= READ_WHOLE_BYTES_MAX:
            self.check_whole()
            return
        there = {name for (name,) in self.raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in TABLES_READ_SOON:
            if table in there and (problem := self._get(f"quick_check('{table}')")) != "ok":
                raise StorageError(f"the table {table} is damaged, restore a backup: {str(problem).splitlines()[-1]}")

    def take_over(self, owner: str) -> Ownership:
        """Bring the schema up to date, raise the epoch and mark the database as in use, in one transaction.

        Raises:
            SchemaTooNew, DatabaseGone: nothing was changed.
        """

        def take_over(connection: Connection) -> Ownership:
            bring_up_to_date(connection)
            check_and_mend(connection)
            self.raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.raw.execute(f"PRAGMA user_version = {IN_USE}")
            return raise_epoch(connection, owner)

        return self.in_transaction(take_over)

    def check_in(self) -> None:
        """Copy what is in the WAL into the database, so that a WAL that is lost cannot make it look empty."""
        self.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").close()

    def let_go(self, changes_before: int) -> int:
        """Free the pages that are in memory, up to 64 MB, if many have come.

        The texts of instants go too: they lie between what came with them, whose memory could not be given back.

        Args:
            changes_before: of rows, when this was last done.

        Returns:
            The same for the next time.
        """
        changes = self.raw.total_changes
        if changes - changes_before < MANY_CHANGES:
            return changes_before
        for kept in (ms_to_text, text_to_ms):
            kept.cache_clear()
        self.raw.execute("PRAGMA shrink_memory").close()
        return changes

    def mark_unused(self) -> None:
        """Called at the end, when nothing more is written."""
        self.raw.execute(f"PRAGMA user_version = {NOT_IN_USE}").close()

    def leave_in_order(self) -> int:
        """What a server does at its end, for a program that was none. Returns the epoch."""
        self.raw.execute(f"PRAGMA application_id = {APPLICATION_ID}").close()
        self.mark_unused()
        return int(self.raw.execute("SELECT epoch FROM ownership").fetchone()[0])

    def _get(self, pragma: str) -> Any:
        return self.raw.execute(f"PRAGMA {pragma}").fetchone()[0]

    def write(
        self, epoch: int, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        """Write a batch of the journal: see `write_batch`."""
        return write_batch(self.raw, epoch, transactions, latecomers)

    def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        """One step of housekeeping: see `Store.move_out`."""

        def step(connection: Connection) -> MovedOut:
            moved = move_out(connection, before_ms, rows_max)
            if moved.rows:
                pass_fence(connection, epoch)
            return moved

        return self.in_transaction(step)

    def change(self, epoch: int, function: Callable[[Connection], None]) -> None:
        """Write what is no part of the inventory, behind the fence."""

        def fenced(connection: Connection) -> None:
            function(connection)
            pass_fence(connection, epoch)

        self.in_transaction(fenced)

    def in_transaction(self, function: Callable[[Connection], T]) -> T:
        """Run a function that writes, all or nothing."""
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            value = function(self._connection)
            self.raw.execute("COMMIT")
        finally:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
            self._connection.rollback()
        return value

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads`."""
        try:
            return function(self._connection)
        finally:
            self._connection.rollback()

    def close(self) -> None:
        """Close SQLAlchemy's connection. The driver's stays open."""
        self._connection.close()


def check_version(version: tuple[int, ...], text: str) -> None:
    """Raise `StorageError` where SQLite lacks what the schema needs."""
    if version < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise StorageError(f"SQLite {oldest} or newer is needed, and this Python has {text}")


def survives_many_connections(version: tuple[int, ...]) -> bool:
    """Whether several connections may share a WAL. Before the fix their checkpoints could corrupt it.

    https://sqlite.org/wal.html#walresetbug
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def describe_path(path: Path) -> str | None:
    """What is wrong with a database's path, as one sentence; None if nothing is plainly wrong."""
    if path.is_dir():
        return f"the database {path} is a directory"
    if not path.parent.is_dir():
        return f"the directory {path.parent} of the database does not exist"
    disk = disk_usage(path.parent)
    if disk.free < min(FREE_BYTES_MIN, disk.total):
        return f"the disk of the database {path} is full"
    return None

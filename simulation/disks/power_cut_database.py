"""The server's database on a disk that loses power. It needs apsw, which brings an SQLite of its own."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, TypeVar, cast

import apsw
from sqlalchemy import ClauseElement, Connection, create_engine
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.pool import NullPool

from actors.records import Transaction
from simulation.disks.database_file import empty_database
from simulation.disks.power_cut_disk import PowerCut, PowerCutDisk
from storage.sql.archive import move_out
from storage.sql.batch_sqlite import write_batch
from storage.sql.epoch import pass_fence
from storage.sql.instant_text import text_to_ms
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS, PRAGMAS
from storage.store import MovedOut, Ownership, StorageError

T = TypeVar("T")

NAME = "simulated.db"


class ApswResult:
    """The result of a statement: its rows, all fetched, and how many rows it changed."""

    def __init__(self, names: list[str], found: list[Any], rowcount: int) -> None:
        self._names = names
        self._found = iter(found)
        self.rowcount = rowcount

    def __repr__(self) -> str:
        return f"<ApswResult of {len(self._names)} columns rowcount={self.rowcount}>"

    def fetchone(self) -> Any:
        return next(self._found, None)

    def fetchall(self) -> list[Any]:
        return list(self._found)

    def mappings(self) -> list[dict[str, Any]]:
        return [dict(zip(self._names, row, strict=True)) for row in self._found]


class ApswConnection:
    """As much of an `sqlite3.Connection` in autocommit mode as `write_batch` uses, on a `PowerCutDisk`.

    Args:
        synchronous: the server's is FULL.
        checkpoint_pages: SQLite copies the log to the database file when it has this many pages.

    Raises:
        PowerCut: by every method once the power is off, even if SQLite reports success.
        sqlite3.Error: by every method.
    """

    def __init__(self, disk: PowerCutDisk, *, synchronous: str = "FULL", checkpoint_pages: int = 4_000) -> None:
        self._disk = disk
        self.raw = apsw.Connection(NAME, vfs=disk.vfs_name, statementcachesize=256)
        try:
            # This comes first: the log needs no shared memory then, which this disk does not have.
            self.execute("PRAGMA locking_mode = EXCLUSIVE")
            changed = {"synchronous": synchronous, "wal_autocheckpoint": checkpoint_pages}
            for name, value in {**PRAGMAS, **changed}.items():
                self.execute(f"PRAGMA {name} = {value}")
            if self.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                raise StorageError("SQLite does not keep a write-ahead log")
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<ApswConnection on {self._disk!r}>"

    @property
    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> ApswResult:
        return self._run(lambda: self.raw.execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> ApswResult:
        return self._run(lambda: self.raw.executemany(sql, parameters))

    def _run(self, function: Callable[[], apsw.Cursor]) -> ApswResult:
        before = self.raw.total_changes()
        try:
            cursor = function()
            names = _names_of(cursor)
            result = ApswResult(names, cursor.fetchall(), 0)
        except apsw.Error as error:
            if not self._disk.is_on:
                raise PowerCut("the power is off") from error
            raise _translated(error) from error
        if not self._disk.is_on:
            raise PowerCut("the power is off")
        result.rowcount = self.raw.total_changes() - before
        return result

    def close(self) -> None:
        try:
            self.raw.close(True)
        except apsw.Error as error:
            raise _translated(error) from error


def _names_of(cursor: apsw.Cursor) -> list[str]:
    try:
        return [column[0] for column in cursor.get_description()]
    except apsw.ExecutionCompleteError:
        return []  # there are no rows


def _translated(error: apsw.Error) -> sqlite3.Error:
    if isinstance(error, apsw.ConstraintError):
        return sqlite3.IntegrityError(str(error))
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return sqlite3.DatabaseError(str(error))
    return sqlite3.OperationalError(str(error))


class ApswSession:
    """As much of SQLAlchemy's `Connection` as housekeeping uses, on an `ApswConnection`: statements with named
    parameters, compiled by SQLAlchemy's own dialect, and rows by name.
    """

    def __init__(self, connection: ApswConnection) -> None:
        self._connection = connection
        self.dialect = SQLiteDialect(paramstyle="named")

    def __repr__(self) -> str:
        return f"<ApswSession on {self._connection!r}>"

    def execute(self, statement: ClauseElement, parameters: Any = None) -> ApswResult:
        compiled: Any = statement.compile(dialect=self.dialect)
        rowcount = 0
        for one in parameters if isinstance(parameters, list) else [parameters or {}]:
            bound = compiled.construct_params(one)
            for bind, name in compiled.bind_names.items():
                process = bind.type.dialect_impl(self.dialect).bind_processor(self.dialect)
                bound[name] = process(bound[name]) if process is not None else bound[name]
            result = self._connection.execute(compiled.string, bound)
            rowcount += result.rowcount
        result.rowcount = rowcount
        return result

    def exec_driver_sql(self, sql: str, parameters: Sequence[Any]) -> ApswResult:
        return self._connection.execute(sql, parameters)


class PowerCutDatabase:
    """The server's database on a `PowerCutDisk`, for the simulation: every process begins after a power cut.

    Reads go to a copy in memory of what SQLite sees, since SQLAlchemy speaks to Python's own SQLite only.

    Args:
        random: decides when the power goes and what it leaves.
    """

    synchronous = "FULL"

    def __init__(self, random: Random) -> None:
        self._random = random
        self._disk = PowerCutDisk({NAME: empty_database()}, random)
        self._connection = self._connect()
        # One engine: all copies share its compiled statements.
        self._engine = create_engine(
            "sqlite://", creator=self._copied, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._reader = self._engine.connect()
        self._is_copied = True
        self._calls_of_a_batch = 1
        self._calls_of_a_move = 10

    def __repr__(self) -> str:
        return f"<PowerCutDatabase on {self._disk!r}>"

    def _connect(self) -> ApswConnection:
        # Mostly smaller than the server's own number, which a run is too short to reach.
        pages = self._random.choice((10, 100, 4_000))
        return ApswConnection(self._disk, synchronous=self.synchronous, checkpoint_pages=pages)

    def reopen(self) -> None:
        """Lose power, and be opened by a new process."""
        if self._disk.is_on:
            self._disk.cut()
        self._connection.close()
        self._disk.switch_on()
        self._connection = self._connect()
        self._is_copied = False

    def take_over(self, owner: str) -> Ownership:
        """Raise the epoch."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        sql = "UPDATE ownership SET epoch = epoch + 1, owner = ? RETURNING epoch, last_lsn, last_at"
        epoch, last_lsn, last_at = connection.execute(sql, (owner,)).fetchone()
        connection.execute("COMMIT")
        self._is_copied = False
        return Ownership(epoch=epoch, last_lsn=last_lsn, last_at_ms=text_to_ms(last_at) if last_at else 0)

    def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Write a batch: see `write_batch`."""
        self._is_copied = False
        before = self._disk.calls
        write_batch(cast(sqlite3.Connection, self._connection), epoch, transactions)
        self._calls_of_a_batch = self._disk.calls - before

    def write_torn(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Begin to write a batch, lose power on the way or just after, and be opened by a new process."""
        self._disk.cut_after(self._random.randint(1, self._calls_of_a_batch + 1))
        try:
            self.write(epoch, transactions)
        except PowerCut:
            pass
        finally:
            self.reopen()

    def change(self, epoch: int, function: Callable[[Connection], T]) -> T:
        """Run a function in a transaction of its own, behind the fence."""
        self._is_copied = False
        session = cast(Connection, ApswSession(self._connection))
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            value = function(session)
            pass_fence(session, epoch)
            self._connection.execute("COMMIT")
        finally:
            if self._disk.is_on and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return value

    def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        """One step of housekeeping, as `SqliteSession` does it."""
        self._is_copied = False
        before = self._disk.calls
        session = cast(Connection, ApswSession(self._connection))
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            moved = move_out(session, before_ms, rows_max)
            if moved.rows:
                pass_fence(session, epoch)
            self._connection.execute("COMMIT")
        finally:
            if self._disk.is_on and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._calls_of_a_move = self._disk.calls - before
        return moved

    def move_out_torn(self, epoch: int, before_ms: int, rows_max: int) -> bool:
        """Begin a step, lose power on the way or just after, and be opened by a new process."""
        before = self._rows_left
        self._disk.cut_after(self._random.randint(1, self._calls_of_a_move + 1))
        try:
            self.move_out(epoch, before_ms, rows_max)
        except PowerCut:
            pass
        finally:
            self.reopen()
        return self._rows_left != before

    @property
    def _rows_left(self) -> int:
        tables = ("request", "reservation", "reservation_item", "stock_movement", "journal_entry")
        return sum(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads`."""
        if not self._is_copied:
            self._reader.close()
            self._reader = self._engine.connect()
            self._is_copied = True
        try:
            return function(self._reader)
        finally:
            self._reader.rollback()

    def _copied(self) -> sqlite3.Connection:
        # A new connection each time: SQLite 3.40 crashes when one of them is given image after image.
        image = bytearray(self._connection.raw.serialize("main"))
        image[18:20] = b"\1\1"  # not in WAL mode: there is no log in memory
        copy: sqlite3.Connection = sqlite3.connect(":memory:", **CONNECT_ARGUMENTS)
        copy.deserialize(bytes(image))
        return copy

    @property
    def last_lsn(self) -> int:
        return int(self._connection.execute("SELECT last_lsn FROM ownership").fetchone()[0])

    def close(self) -> None:
        self._reader.close()
        self._connection.close()
        self._disk.close()

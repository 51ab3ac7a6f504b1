"""SQLite on a disk that loses power: a VFS, in memory, that keeps nothing but what was synced.

What is written is volatile until `xSync`. When the power goes, every 512-byte sector of every write since then is
there or not, as the seed says, and so is every truncation, creation and deletion that no sync has made durable.
The power can go at any write, truncation, sync or deletion, so that a sync that is missing, or comes too early,
loses what was acknowledged.

`cut_power` writes the journals of simulated runs with the server's own `write_batch`, and cuts again and again.
The simulation itself uses `PowerCutDatabase`. Both need apsw, which brings an SQLite of its own.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from random import Random
from typing import Any, TypeVar, cast

import apsw
from msgspec import Struct
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from actors.records import Transaction
from simulation.runner import run_seed
from simulation.sqlite_disk import SECTOR_BYTES, empty_database
from storage.batch import fold
from storage.sql import rows
from storage.sql.batch_sqlite import write_batch
from storage.sql.instants import ms_to_text, text_to_ms
from storage.sql.rows import COLUMNS, Row
from storage.sql.sqlite_session import CONNECT_ARGUMENTS, PRAGMAS
from storage.store import Ownership, StorageError

T = TypeVar("T")

NAME = "simulated.db"

SECTORS_KEPT = (0.0, 0.5, 0.9, 1.0)  # a cut draws one: each of its sectors is kept with that probability

_numbers = count(1)


class PowerCut(sqlite3.OperationalError):
    """The power went during this call. What it was to do may be done, or done in part."""


class SimulatedFile:
    """One file: what is durable, what a process sees, and the writes and truncations between the two."""

    def __init__(self, durable: bytes = b"") -> None:
        self._durable = bytearray(durable)
        self._pending: list[tuple[int, bytes | None]] = []  # None: a truncation to that size
        self.contents = bytearray(durable)

    def write(self, offset: int, data: bytes) -> None:
        self._pending.append((offset, data))
        _put(self.contents, offset, data)

    def truncate(self, size: int) -> None:
        self._pending.append((size, None))
        _resize(self.contents, size)

    def sync(self) -> None:
        for offset, data in self._pending:
            if data is None:
                _resize(self._durable, offset)
            else:
                _put(self._durable, offset, data)
        self._pending.clear()

    def after_cut(self, random: Random, kept: float) -> "SimulatedFile":
        """What the next process finds: each unsynced sector and truncation there with the probability `kept`."""
        found = bytearray(self._durable)
        for offset, data in self._pending:
            if data is not None:
                for begin, end in _sectors(offset, len(data)):
                    if random.random() < kept:
                        _put(found, begin, data[begin - offset : end - offset])
            elif random.random() < kept:
                _resize(found, offset)
        return SimulatedFile(bytes(found))


def _put(contents: bytearray, offset: int, data: bytes) -> None:
    if len(contents) < offset:
        _resize(contents, offset)
    contents[offset : offset + len(data)] = data


def _resize(contents: bytearray, size: int) -> None:
    del contents[size:]
    contents.extend(bytes(size - len(contents)))


def _sectors(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in one sector each."""
    begin, end = offset, offset + size
    while begin < end:
        border = min(end, begin - begin % SECTOR_BYTES + SECTOR_BYTES)
        yield begin, border
        begin = border


class PowerCutDisk:
    """A directory of files, and the power that they run on.

    After a cut a process goes on with what it saw, so that it can be closed; nothing it does is kept. The next one
    starts after `switch_on`.

    Args:
        files: what is durable at first, by name.
        random: what a cut leaves.
    """

    def __init__(self, files: dict[str, bytes], random: Random) -> None:
        self.vfs_name = f"power-cut-{next(_numbers)}"
        self.calls = 0
        self.is_on = True
        self._random = random
        self._files = {name: SimulatedFile(durable) for name, durable in files.items()}
        self._linked = set(self._files)  # whose directory entries are durable
        self._deleted: dict[str, SimulatedFile] = {}  # durable entries whose deletion is not
        self._survivors: dict[str, SimulatedFile] = {}
        self._cut_at: int | None = None
        self._vfs = _Vfs(self)

    def cut_after(self, calls: int) -> None:
        """Cut the power at the call with this number from now on; 1 is the next one."""
        self._cut_at = self.calls + calls

    def cut_no_more(self) -> None:
        """Take back `cut_after`."""
        self._cut_at = None

    def cut(self) -> None:
        """Decide what is left."""
        assert self.is_on
        self.is_on, self._cut_at = False, None
        kept = self._random.choice(SECTORS_KEPT)
        self._survivors = {}
        for name, file in self._deleted.items():
            if self._random.random() >= kept:
                self._survivors[name] = file.after_cut(self._random, kept)
        for name, file in self._files.items():
            if name in self._linked or self._random.random() < kept:
                self._survivors[name] = file.after_cut(self._random, kept)

    def switch_on(self) -> None:
        """Every process of before has to be gone."""
        assert not self.is_on
        self.is_on = True
        self._files, self._linked, self._deleted = self._survivors, set(self._survivors), {}

    def exists(self, name: str) -> bool:
        return name in self._files

    def open(self, name: str) -> SimulatedFile:
        return self._files.setdefault(name, SimulatedFile())

    def sync(self, name: str, file: SimulatedFile) -> None:
        """As SQLite does on Unix, the first sync of a new file is one of its directory entry too."""
        self.count_call()
        file.sync()
        self._linked.add(name)
        self._deleted.pop(name, None)

    def delete(self, name: str, *, is_durable: bool) -> None:
        file = self._files.pop(name)
        if name in self._linked:
            self._linked.remove(name)
            self._deleted[name] = file
        self.count_call()
        if is_durable:
            self._deleted.pop(name, None)

    def count_call(self) -> None:
        """Called once in every call that changes something: here the power goes."""
        self.calls += 1
        if self.is_on and self.calls == self._cut_at:
            self.cut()
            raise PowerCut("the power went")

    def close(self) -> None:
        self._vfs.unregister()


class _Vfs(apsw.VFS):
    def __init__(self, disk: PowerCutDisk) -> None:
        super().__init__(disk.vfs_name, base="")
        self._disk = disk

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        flags[1] = flags[0]
        if name is None:
            return _OpenFile(None, "", SimulatedFile())
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _OpenFile(self._disk, path, self._disk.open(path))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return self._disk.exists(pathname)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if self._disk.exists(filename):
            self._disk.delete(filename, is_durable=syncdir)

    def xFullPathname(self, name: str) -> str:
        return name


class _OpenFile:
    """What SQLite holds. A temporary file has no disk, and no calls of its are counted."""

    def __init__(self, disk: PowerCutDisk | None, name: str, file: SimulatedFile) -> None:
        self._disk = disk
        self._name = name
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.contents[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._file.write(offset, bytes(data))
        self._count()

    def xTruncate(self, newsize: int) -> None:
        self._file.truncate(newsize)
        self._count()

    def xSync(self, flags: int) -> None:
        if self._disk is not None:
            self._disk.sync(self._name, self._file)

    def _count(self) -> None:
        if self._disk is not None:
            self._disk.count_call()

    def xFileSize(self) -> int:
        return len(self._file.contents)

    def xSectorSize(self) -> int:
        return 4096  # this and the next as SQLite has them on Unix

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xClose(self) -> None:
        pass


class ApswResult:
    """What a statement gave: its rows, all fetched, and how many it changed."""

    def __init__(self, found: list[Any], rowcount: int) -> None:
        self._found = iter(found)
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return next(self._found, None)

    def fetchall(self) -> list[Any]:
        return list(self._found)


class ApswConnection:
    """As much of an `sqlite3.Connection` in autocommit mode as `write_batch` uses, on a `PowerCutDisk`.

    Args:
        synchronous: the server's is FULL.
        checkpoint_pages: after how many pages in the log they are copied to the database file.

    Raises:
        PowerCut: by every method; once the power is off, whatever SQLite says.
        sqlite3.Error: by every method.
    """

    def __init__(self, disk: PowerCutDisk, *, synchronous: str = "FULL", checkpoint_pages: int = 4_000) -> None:
        self._disk = disk
        self.raw = apsw.Connection(NAME, vfs=disk.vfs_name, statementcachesize=256)
        try:
            # First of all: a log without shared memory, which this disk has not.
            self.execute("PRAGMA locking_mode = EXCLUSIVE")
            changed = {"synchronous": synchronous, "wal_autocheckpoint": checkpoint_pages}
            for name, value in {**PRAGMAS, **changed}.items():
                self.execute(f"PRAGMA {name} = {value}")
            if self.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                raise StorageError("SQLite does not keep a write-ahead log")
        except BaseException:
            self.close()
            raise

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
            result = ApswResult(function().fetchall(), 0)
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


def _translated(error: apsw.Error) -> sqlite3.Error:
    if isinstance(error, apsw.ConstraintError):
        return sqlite3.IntegrityError(str(error))
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return sqlite3.DatabaseError(str(error))
    return sqlite3.OperationalError(str(error))


class PowerCutDatabase:
    """A database of the server's on a `PowerCutDisk`, for the simulation: every process begins after a power cut.

    Reads go to a copy in memory of what SQLite sees, since SQLAlchemy speaks to Python's own SQLite only.

    Args:
        random: when the power goes, and what it leaves.
    """

    synchronous = "FULL"

    def __init__(self, random: Random) -> None:
        self._random = random
        self._disk = PowerCutDisk({NAME: empty_database()}, random)
        self._connection = self._connect()
        # One engine, whose compiled statements all copies share.
        self._engine = create_engine(
            "sqlite://", creator=self._copied, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._reader = self._engine.connect()
        self._is_copied = True
        self._calls_of_a_batch = 1

    def _connect(self) -> ApswConnection:
        # Seldom the server's own number: a run is too short for it.
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


class Report(Struct, frozen=True):
    """What came of many cuts.

    Args:
        interrupted: how many came while a batch was being written.
        kept: in how many of these the batch was there afterwards, though nobody had been told.
        lost: how many took something that was acknowledged.
        violations: what must not be whatever `synchronous` says: a broken file, half a batch, tables that are not
            what the journal says.
    """

    cuts: int
    interrupted: int
    kept: int
    lost: int
    violations: tuple[str, ...]


class _Cutter:
    """One journal after the other, each on a disk of its own."""

    def __init__(self, seed: int, synchronous: str) -> None:
        self._seed = seed
        self._random = Random(f"{seed}/power-cut")
        self._synchronous = synchronous
        self.cuts = self.interrupted = self.kept = self.lost = 0
        self.violations: list[str] = []

    def run(self, cuts: int) -> None:
        for seed in count(self._seed):
            self._run_journal(f"seed {seed}", run_seed(seed).journal, cuts)
            if self.cuts >= cuts:
                return

    def _run_journal(self, name: str, journal: Sequence[Transaction], cuts: int) -> None:
        random = self._random
        disk = PowerCutDisk({NAME: empty_database()}, random)
        connection = self._connect(disk)
        acknowledged, ends = 0, {0}  # LSNs; where a batch ended, or would have
        violations = len(self.violations)
        disk.cut_after(self._moment())
        while acknowledged < len(journal) and self.cuts < cuts:
            batch = journal[acknowledged : acknowledged + random.choice((1, 1, 2, 4, 16))]
            in_flight = 0
            try:
                if random.random() < 0.05:
                    connection.close()
                    if disk.is_on:
                        connection = self._connect(disk)
                if disk.is_on:
                    in_flight = batch[-1].lsn
                    ends.add(in_flight)
                    write_batch(cast(sqlite3.Connection, connection), 0, batch)
                    acknowledged = in_flight
            except PowerCut:
                pass
            except (sqlite3.Error, StorageError) as error:
                self.violations.append(f"{name}, after cut {self.cuts}: {error!r}")
                break
            if not disk.is_on:
                self.cuts += 1
                self.interrupted += in_flight > acknowledged
                where = f"{name}, cut {self.cuts}"
                connection.close()
                disk.switch_on()
                try:
                    connection = self._connect(disk)
                    found = self._check(where, connection, journal)
                except sqlite3.Error as error:
                    self.violations.append(f"{where}: {error!r}")
                    break
                self.kept += acknowledged < found == in_flight
                self.lost += found < acknowledged
                if found not in ends or found > max(acknowledged, in_flight):
                    self.violations.append(f"{where}: LSN {found} after {acknowledged}, with {in_flight} in flight")
                if len(self.violations) > violations:
                    break  # no use in writing on
                acknowledged = found
                ends = {end for end in ends if end <= found}
                disk.cut_after(self._moment())
        disk.cut_no_more()
        connection.close()
        disk.close()

    def _moment(self) -> int:
        return self._random.randint(1, self._random.choice((10, 40, 160)))

    def _connect(self, disk: PowerCutDisk) -> ApswConnection:
        pages = self._random.choice((5, 40, 4_000))
        return ApswConnection(disk, synchronous=self._synchronous, checkpoint_pages=pages)

    def _check(self, where: str, connection: ApswConnection, journal: Sequence[Transaction]) -> int:
        said = connection.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            self.violations.append(f"{where}: {said}")
        [lsn] = connection.execute("SELECT last_lsn FROM ownership").fetchone()
        for table, wanted in _tables(journal[:lsn]).items():
            found = connection.execute(f"SELECT {', '.join(COLUMNS[table].split())} FROM {table}").fetchall()
            if set(found) != wanted or len(found) != len(wanted):
                self.violations.append(f"{where}: {table} is not what {lsn} transactions make of it")
        return int(lsn)


def _tables(journal: Sequence[Transaction]) -> dict[str, set[Row]]:
    """Every table's rows after a journal, from its first transaction on."""
    if not journal:
        return {table: set() for table in COLUMNS}
    batch = fold(journal)
    new, changed = rows.stock(batch)
    assert not changed
    return {
        "warehouse": set(rows.warehouses(batch)),
        "stock": set(new),
        "reservation": set(rows.reservations(batch, ms_to_text)),
        "reservation_item": set(rows.items(batch)),
        "stock_movement": set(rows.movements(batch, ms_to_text)),
        "request": set(rows.requests(batch, ms_to_text)),
    }


def cut_power(seed: int, cuts: int, synchronous: str = "FULL") -> Report:
    """Write the journals of simulated runs, cut the power so many times, and look after each cut at what is left."""
    cutter = _Cutter(seed, synchronous)
    cutter.run(cuts)
    return Report(cutter.cuts, cutter.interrupted, cutter.kept, cutter.lost, tuple(cutter.violations))

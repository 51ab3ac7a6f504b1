"""Real SQLite under the seed: the server's own SQL, inline on one connection, in a file of its own.

The memory disk stays beside it as the model: every batch goes to both, every read is answered by SQLite and
compared with what the model says, and whatever one accepts the other must. So the auditor needs to know nothing
of it.

With `power-cut` the file is on a disk of `simulation.disks.power_cut_disk`, which keeps only what was synced: every
process begins after a power cut, and a kill in the middle of a commit is one at a random call of SQLite's.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, text

from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    ReservationState,
    StockKey,
    StockRecord,
    Transaction,
    VariantKey,
    WarehouseRecord,
)
from simulation.disks.faulty_store import FaultyStore, InjectedError
from simulation.disks.watched_disk import WatchedDisk
from storage.batch import fold
from storage.sql import reads, rows
from storage.sql.audit import audit
from storage.sql.epoch import raise_epoch
from storage.sql.instants import ms_to_text
from storage.sql.rows import COLUMNS, Row
from storage.sql.sqlite_session import CONNECT_ARGUMENTS, SqliteSession
from storage.store import Due, MovedOut, Ownership, OwnershipLost, StorageError

T = TypeVar("T")

SECTOR_BYTES = 512


class Database(Protocol):
    """What a file of SQLite's can be asked to do."""

    def reopen(self) -> None:
        """As a new process does."""

    def take_over(self, owner: str) -> Ownership:
        """What `SqliteSession.take_over` does once the schema is up to date."""

    def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Write a batch: see `write_batch`."""

    def write_torn(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Begin to write a batch, and lose power on the way."""

    def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        """One step of housekeeping: see `Store.move_out`."""

    def move_out_torn(self, epoch: int, before_ms: int, rows_max: int) -> bool:
        """Begin a step and lose power on the way. Returns whether it was done."""

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

    def _connect(self) -> SqliteSession:
        return SqliteSession(sqlite3.connect(self._path, **CONNECT_ARGUMENTS))

    def reopen(self) -> None:
        self._session.close()
        self._session.raw.close()
        self._session = self._connect()

    def take_over(self, owner: str) -> Ownership:
        self._session.raw.execute("BEGIN IMMEDIATE")
        ownership = raise_epoch(self._session._connection, owner)
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

    def read(self, function: Callable[[Connection], T]) -> T:
        return self._session.read(function)

    @property
    def last_lsn(self) -> int:
        return int(self._session.raw.execute("SELECT last_lsn FROM ownership").fetchone()[0])

    def close(self) -> None:
        self._session.close()
        self._session.raw.close()
        self._directory.cleanup()


class SqliteFile:
    """A database file and the connection to it.

    Args:
        is_torn_by_cuts: whether the file is on a disk that loses power; this needs apsw.
        random: when it does, and what is left.
    """

    def __init__(self, *, is_torn_by_cuts: bool, random: Random) -> None:
        self.is_torn_by_cuts = is_torn_by_cuts
        self.database: Database = _power_cut_database(random) if is_torn_by_cuts else PlainDatabase()

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads`."""
        return self.database.read(function)

    def close(self) -> None:
        self.database.close()


def _power_cut_database(random: Random) -> Database:
    from simulation.disks.power_cut_database import PowerCutDatabase  # nothing else needs apsw

    return PowerCutDatabase(random)


@cache
def empty_database() -> bytes:
    """A migrated file: migrations take longer than a run."""
    with TemporaryDirectory(prefix="stockkeeper-") as directory:
        path = Path(directory) / "empty.db"
        session = SqliteSession(sqlite3.connect(path, **CONNECT_ARGUMENTS))
        session.take_over("template")
        session.raw.execute("UPDATE ownership SET epoch = 0, owner = ''")
        session.close()
        session.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        session.raw.close()
        return path.read_bytes()


class SqliteDisk(WatchedDisk):
    """The model, and the file that must agree with it."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__()
        self.file = file
        self.refused: Callable[[str], None] = lambda why: None

    def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        found = self.file.database.move_out(self.epoch, before_ms, rows_max)
        moved = super().move_out(before_ms, rows_max)
        if found != moved:
            self.refused(f"move_out: SQLite says {found!r}, the model {moved!r}")
        return moved

    def move_out_torn(self, before_ms: int, rows_max: int) -> None:
        """A step that the power is cut in: what became of it is the file's to say."""
        if self.file.database.move_out_torn(self.epoch, before_ms, rows_max):
            super().move_out(before_ms, rows_max)


class SqliteStore(FaultyStore):
    """A faulty store whose reads and writes are SQLite's."""

    disk: SqliteDisk

    async def open(self) -> Ownership:
        self.disk.refused = self._refused
        return await super().open()

    async def _after(self, operation: str) -> None:
        if operation == "open":
            self.disk.file.database.reopen()
            found = self.disk.file.database.take_over(self._name)
            wanted = Ownership(self.disk.epoch, self.disk.last_lsn, self.disk.last_at_ms)
            self._compare("open", found, wanted)
        await super()._after(operation)

    def land(self, transactions: Sequence[Transaction]) -> None:
        error: Exception | None = None
        try:
            self.disk.file.database.write(self._epoch, transactions)
        except (StorageError, OwnershipLost, sqlite3.Error) as refusal:
            error = refusal
        # The model decides what is right; the epochs of both are raised together.
        try:
            super().land(transactions)
        except (StorageError, OwnershipLost):
            if error is None:
                self._refused("SQLite accepts what the model refuses")
            raise
        if error is not None:
            self._refused(f"SQLite refuses what the model accepts: {error}")
            raise InjectedError(str(error))

    def cut(self) -> None:
        in_flight, self._in_flight = self._in_flight, None
        if not self.is_cut and in_flight is not None and self.disk.file.is_torn_by_cuts:
            transactions, epoch = self._in_flight_batch
            if self._epoch == epoch == self.disk.epoch and self.disk.last_lsn + 1 == transactions[0].lsn:
                self.disk.file.database.write_torn(epoch, transactions)
                self._note("the power is cut in the middle of a commit")
                if self.disk.file.database.last_lsn == transactions[-1].lsn:
                    super(FaultyStore, self).land(transactions)
                    self._landed(epoch, transactions)
        elif not self.is_cut and self._moving is not None and self.disk.file.is_torn_by_cuts:
            if self._is_fenced_in:
                self.disk.move_out_torn(*self._moving)
                self._note("the power is cut in the middle of housekeeping")
            self._moving = None
        else:
            self._in_flight = in_flight
        super().cut()

    def _compare(self, operation: str, found: object, wanted: object) -> None:
        if found != wanted:
            self._refused(f"{operation}: SQLite says {found!r}, the model {wanted!r}")

    async def _ask(self, operation: str, wanted: Any, function: Callable[[Connection], T]) -> T:
        found = self.disk.file.database.read(function)
        comparable = list(found) if isinstance(found, Sequence) and not isinstance(found, tuple) else found
        self._compare(operation, comparable, wanted)
        return found

    async def load_warehouses(self) -> Sequence[WarehouseRecord]:
        wanted = await super().load_warehouses()
        return await self._ask("load_warehouses", wanted, reads.load_warehouses)

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        wanted = await super().load_variants(keys)
        return await self._ask("load_variants", wanted, partial(reads.load_variants, keys=keys))

    async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
        wanted = await super().load_orders(keys)
        return await self._ask("load_orders", wanted, partial(reads.load_orders, keys=keys))

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        wanted = await super().find_reservation(organization_id, reservation_id)
        find = partial(reads.find_reservation, organization_id=organization_id, reservation_id=reservation_id)
        return await self._ask("find_reservation", wanted, find)

    async def load_request(self, key: RequestKey) -> RequestRecord | None:
        wanted = await super().load_request(key)
        return await self._ask("load_request", wanted, partial(reads.load_request, key=key))

    async def due(self, now_ms: int, limit: int) -> Sequence[Due]:
        wanted = await super().due(now_ms, limit)
        return await self._ask("due", wanted, partial(reads.due, now_ms=now_ms, limit=limit))

    async def next_expiry_ms(self) -> int | None:
        wanted = await super().next_expiry_ms()
        return await self._ask("next_expiry_ms", wanted, reads.next_expiry_ms)

    async def orders_after(self, key: OrderKey | None, limit: int) -> Sequence[OrderKey]:
        wanted = await super().orders_after(key, limit)
        return await self._ask("orders_after", wanted, partial(reads.orders_after, key=key, limit=limit))

    async def requests_after(self, key: RequestKey | None, limit: int) -> Sequence[RequestKey]:
        wanted = await super().requests_after(key, limit)
        return await self._ask("requests_after", wanted, partial(reads.requests_after, key=key, limit=limit))

    async def active_reservations(self, limit: int) -> Sequence[ReservationRecord]:
        wanted = await super().active_reservations(limit)
        return await self._ask("active_reservations", wanted, partial(reads.active_reservations, limit=limit))

    async def list_stock(
        self, organization_id: str, *, variant_id: str, warehouse_id: str, after: StockKey | None, limit: int
    ) -> Sequence[StockRecord]:
        named: Any = {"variant_id": variant_id, "warehouse_id": warehouse_id, "after": after, "limit": limit}
        wanted = await super().list_stock(organization_id, **named)
        return await self._ask(
            "list_stock", wanted, partial(reads.list_stock, organization_id=organization_id, **named)
        )

    async def list_reservations(
        self, organization_id: str, *, state: ReservationState | None, order_id: str, before: str, limit: int
    ) -> Sequence[ReservationRecord]:
        named: Any = {"state": state, "order_id": order_id, "before": before, "limit": limit}
        wanted = await super().list_reservations(organization_id, **named)
        find = partial(reads.list_reservations, organization_id=organization_id, **named)
        return await self._ask("list_reservations", wanted, find)


def check_file(connection: Connection, disk: SqliteDisk) -> str:
    """What is wrong with the file: what SQLite says of it, what `stockkeeper check` says, and every table that is not
    what the journal and housekeeping made of it. `ok` if nothing is.
    """
    said = str(connection.execute(text("PRAGMA integrity_check")).scalar())
    wrong = [] if said == "ok" else [said]
    wrong += [found.sentence for found in audit(connection).disagreements]
    for table, wanted in tables_of(disk.transactions, disk.moved, disk.movements_moved).items():
        if table == "request":
            wanted = {row for row in wanted if RequestKey(*row[:2]) in disk.requests}
        found = connection.execute(
            text(f"SELECT {', '.join(COLUMNS[table.removesuffix('_archive')].split())} FROM {table}")
        )
        rows_found = [tuple(row) for row in found]
        if set(rows_found) != wanted or len(rows_found) != len(wanted):
            wrong.append(f"{table} is not what {disk.last_lsn} transactions and {len(disk.moves)} moves make of it")
    return "; ".join(wrong) or "ok"


def tables_of(
    journal: Sequence[Transaction], moved: Collection[tuple[str, str]] = (), movements_moved: int = 0
) -> dict[str, set[Row]]:
    """Every table's rows after a journal, from its first transaction on.

    Args:
        moved: reservations that went to the archive.
        movements_moved: how many lines of the ledger did. Of requests only the last answer under each key is given.
    """
    if not journal:
        return {table: set() for table in COLUMNS}
    batch = fold(journal)
    new, changed = rows.stock(batch)
    assert not changed
    movements = list(rows.movements(batch, ms_to_text))
    tables = {
        "warehouse": set(rows.warehouses(batch)),
        "stock": set(new),
        "stock_movement": set(movements[movements_moved:]),
        "stock_movement_archive": set(movements[:movements_moved]),
        "request": set({row[:2]: row for row in rows.requests(batch, ms_to_text)}.values()),
    }
    for table, all_rows in (
        ("reservation", list(rows.reservations(batch, ms_to_text))),
        ("reservation_item", list(rows.items(batch))),
    ):
        tables[table] = {row for row in all_rows if row[:2] not in moved}
        tables[f"{table}_archive"] = {row for row in all_rows if row[:2] in moved}
    return tables

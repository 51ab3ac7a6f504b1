"""Real SQLite under the seed: the server's own SQL, inline on one connection, in a file of its own.

The memory disk stays beside it as the model: every batch goes to both, every read is answered by SQLite and
compared with what the model says, and whatever one accepts the other must. So the auditor needs to know nothing
of it.

With `power-cut`, a kill in the middle of a commit leaves a torn write-ahead log: each 512-byte sector that the
commit wrote is there or not, as the seed says, and SQLite has to make a whole state of it. It is done on the
files, between two commits, so it shows that recovery works, and not that SQLite syncs where it must.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

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
from simulation.disk import FaultyStore, InjectedError
from storage.memory import Disk
from storage.sql import reads
from storage.sql.epoch import raise_epoch
from storage.sql.sqlite_session import CONNECT_ARGUMENTS, SqliteSession
from storage.store import Due, Ownership, OwnershipLost, StorageError

T = TypeVar("T")

SECTOR_BYTES = 512


class SqliteFile:
    """A database file and the connection to it.

    Args:
        is_torn_by_cuts: whether a kill tears the commit that is under way.
        random: which sectors it keeps.
    """

    def __init__(self, *, is_torn_by_cuts: bool, random: Random) -> None:
        self.is_torn_by_cuts = is_torn_by_cuts
        self._random = random
        self._directory = TemporaryDirectory(prefix="stockkeeper-")
        self._path = Path(self._directory.name) / "simulated.db"
        self._path.write_bytes(_empty_database())
        self._session = self._connect()

    def _connect(self) -> SqliteSession:
        return SqliteSession(sqlite3.connect(self._path, **CONNECT_ARGUMENTS))

    def reopen(self) -> None:
        """As a new process does."""
        self._session.close()
        self._session.raw.close()
        self._session = self._connect()

    def take_over(self, owner: str) -> Ownership:
        """What `SqliteSession.take_over` does once the schema is up to date."""
        self._session.raw.execute("BEGIN IMMEDIATE")
        ownership = raise_epoch(self._session._connection, owner)
        self._session.raw.execute("COMMIT")
        self._session._connection.rollback()
        return ownership

    def write(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        self._session.write(epoch, transactions)

    def read(self, function: Callable[[Connection], T]) -> T:
        return self._session.read(function)

    @property
    def last_lsn(self) -> int:
        return int(self._session.raw.execute("SELECT last_lsn FROM ownership").fetchone()[0])

    def write_torn(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        """Begin to write a batch, and lose power on the way."""
        log = self._path.with_name(f"{self._path.name}-wal")
        database, before = self._path.read_bytes(), log.read_bytes()
        try:
            self.write(epoch, transactions)
        finally:
            after = log.read_bytes()
            self._session.close()
            self._session.raw.close()
            self._path.write_bytes(database)
            log.write_bytes(self._torn(before, after))
            log.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)
            self._session = self._connect()

    def _torn(self, before: bytes, after: bytes) -> bytes:
        kept = bytearray(before.ljust(len(after), b"\0"))
        part = self._random.choice((0.0, 0.5, 0.9, 1.0))
        for begin in range(0, len(after), SECTOR_BYTES):
            if self._random.random() < part:
                kept[begin : begin + SECTOR_BYTES] = after[begin : begin + SECTOR_BYTES]
        return bytes(kept)

    def close(self) -> None:
        self._session.close()
        self._session.raw.close()
        self._directory.cleanup()


@cache
def _empty_database() -> bytes:
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


class SqliteDisk(Disk):
    """The model, and the file that must agree with it."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__()
        self.file = file


class SqliteStore(FaultyStore):
    """A faulty store whose reads and writes are SQLite's."""

    disk: SqliteDisk

    async def _after(self, operation: str) -> None:
        if operation == "open":
            self.disk.file.reopen()
            found = self.disk.file.take_over(self._name)
            wanted = Ownership(self.disk.epoch, self.disk.last_lsn, self.disk.last_at_ms)
            self._compare("open", found, wanted)
        await super()._after(operation)

    def land(self, transactions: Sequence[Transaction]) -> None:
        error: Exception | None = None
        try:
            self.disk.file.write(self._epoch, transactions)
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
                self.disk.file.write_torn(epoch, transactions)
                self._note("the power is cut in the middle of a commit")
                if self.disk.file.last_lsn == transactions[-1].lsn:
                    super(FaultyStore, self).land(transactions)
                    self._landed(epoch, transactions)
        else:
            self._in_flight = in_flight
        super().cut()

    def _compare(self, operation: str, found: object, wanted: object) -> None:
        if found != wanted:
            self._refused(f"{operation}: SQLite says {found!r}, the model {wanted!r}")

    async def _ask(self, operation: str, wanted: Any, function: Callable[[Connection], T]) -> T:
        found = self.disk.file.read(function)
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


def check_file(connection: Connection) -> str:
    """What SQLite itself says of the file: `ok`."""
    return str(connection.execute(text("PRAGMA integrity_check")).scalar())

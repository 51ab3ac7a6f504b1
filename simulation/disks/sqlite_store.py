"""A faulty store on a disk that real SQLite writes to as well: the model answers, and SQLite must agree."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from actors.changes import Changes, MovementPage, Point, StockAt
from actors.queries import FindStock, GetStockAt, ListMovements, ListReservations, ListStock, ListTransfers
from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    StockRecord,
    Transaction,
    VariantKey,
    WarehouseRecord,
)
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferRecord
from actors.views import ReservationPage, TransferPage
from simulation.disks.faulty_store import FaultyStore, InjectedError
from simulation.disks.sqlite_disk import SqliteDisk
from storage.found_stock import FoundStock
from storage.sql import (
    history_reads,
    movement_reads,
    order_reads,
    reads,
    stock_at_reads,
    stock_reads,
    transfer_reads,
    variant_reads,
)
from storage.sql.sifted_reads import list_page
from storage.store import Due, Ownership, OwnershipLost, StorageError

T = TypeVar("T")


class SqliteStore(FaultyStore):
    """A faulty store that reads and writes SQLite, and compares it with the model."""

    disk: SqliteDisk

    async def open(self) -> Ownership:
        self.disk.refused = self._refused
        return await super().open()

    async def _after(self, operation: str) -> None:
        if operation == "open":
            self.disk.file.database.reopen()
            found = replace(self.disk.file.database.take_over(self._name), database_id="")  # each file has its own
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

    async def load_sourcing(self) -> Sequence[SourcingRecord]:
        wanted = await super().load_sourcing()
        return await self._ask("load_sourcing", wanted, reads.load_sourcing)

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        wanted = await super().load_variants(keys)
        return await self._ask("load_variants", wanted, partial(variant_reads.load_variants, keys=keys))

    async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
        wanted = await super().load_orders(keys)
        return await self._ask("load_orders", wanted, partial(order_reads.load_orders, keys=keys))

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        wanted = await super().find_reservation(organization_id, reservation_id)
        find = partial(reads.find_reservation, organization_id=organization_id, reservation_id=reservation_id)
        return await self._ask("find_reservation", wanted, find)

    async def load_reservation(self, organization_id: str, reservation_id: str) -> ReservationRecord | None:
        wanted = await super().load_reservation(organization_id, reservation_id)
        load = partial(reads.load_reservation, organization_id=organization_id, reservation_id=reservation_id)
        return await self._ask("load_reservation", wanted, load)

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

    async def list_stock(self, query: ListStock) -> Sequence[StockRecord]:
        wanted = await super().list_stock(query)
        return await self._ask("list_stock", wanted, partial(stock_reads.list_stock, query=query))

    async def find_stock(self, query: FindStock) -> FoundStock:
        wanted = await super().find_stock(query)
        return await self._ask("find_stock", wanted, partial(stock_reads.find_stock, query=query))

    async def find_transfer(self, organization_id: str, transfer_id: str) -> TransferRecord | None:
        wanted = await super().find_transfer(organization_id, transfer_id)
        find = partial(transfer_reads.find_transfer, organization_id=organization_id, transfer_id=transfer_id)
        return await self._ask("find_transfer", wanted, find)

    async def list_transfers(self, query: ListTransfers) -> TransferPage:
        wanted = await super().list_transfers(query)
        return await self._ask("list_transfers", wanted, partial(transfer_reads.list_transfers, query=query))

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        wanted = await super().list_reservations(query)
        return await self._ask("list_reservations", wanted, partial(list_page, query=query))

    # Pages of the past may be cut elsewhere than the model cuts them: the auditor judges what is in them.

    async def list_movements(self, query: ListMovements) -> MovementPage:
        await super().list_movements(query)
        return self.disk.file.database.read(partial(movement_reads.list_movements, query=query))

    async def stock_at(self, query: GetStockAt) -> StockAt:
        wanted = await super().stock_at(query)
        return await self._ask("stock_at", wanted, partial(stock_at_reads.stock_at, query=query))

    async def read_changes(self, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
        await super().read_changes(organization_id, after, rows_max)
        read = partial(history_reads.read_changes, organization_id=organization_id, after=after, rows_max=rows_max)
        return self.disk.file.database.read(read)

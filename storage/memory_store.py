"""The Store port on a simulated disk (`storage/memory_disk.py`).

It is no mock: it passes the contract that the databases pass, so what the simulation finds on it is the core's. Each
effect is one synchronous step between `_before` and `_after`. So a fault can strike on either side of it and never
inside, as with a database's transaction, and no adapter has to be written again to be made to fail.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

from anyio import lowlevel, sleep
from msgspec import Struct

from actors.history_feed import CursorRecord
from actors.queries import CountRows, FindStock, ListReservations, ListStock, ListTransfers
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
from actors.row_counts import RowCounts
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferKey, TransferRecord
from actors.views import ReservationPage, TransferPage
from storage.counted_rows import counted_in
from storage.found_stock import FoundStock, cut_found
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_cells import CellsOnDisk
from storage.memory_disk import Disk as Disk
from storage.memory_disk import DiskStatistics as DiskStatistics
from storage.memory_disk import ReservationKey as ReservationKey
from storage.memory_moves import MovesOnDisk
from storage.memory_staging import StagedStore
from storage.past import PastReads
from storage.reservation_page import cut_page, sift
from storage.store import LEASE_S, Due, MovedOut, Ownership, OwnershipLost, StorageError
from storage.transfer_page import cut_transfers

Key = TypeVar("Key", OrderKey, RequestKey)


class MemoryStoreStatistics(Struct, frozen=True):
    """Counts since a store was made, over all its openings: what reached the disk."""

    batches: int
    transactions: int


class MemoryStore(PastReads, StagedStore, CellsOnDisk, MovesOnDisk):
    """The Store port on a `Disk`, under any backend of anyio.

    A simulation subclasses it and overrides `_before` and `_after`, which surround every effect: an exception or a
    cancellation in `_before` is a failure that left nothing, one in `_after` a failure after the fact.

    Args:
        disk: what it reads and writes. At most one store owns a disk.
        takes_over: whether `open` drives out an owner that still runs, instead of giving way to it.
    """

    def __init__(self, disk: Disk, *, takes_over: bool = False) -> None:
        self.disk = disk
        self._takes_over = takes_over
        self._epoch = 0  # 0: not open
        self._batches = self._transactions = 0

    def __repr__(self) -> str:
        return f"<MemoryStore epoch={self._epoch} of {self.disk!r}>"

    def statistics(self) -> MemoryStoreStatistics:
        """Counts since the store was made."""
        return MemoryStoreStatistics(self._batches, self._transactions)

    async def _before(self, operation: str) -> None:
        """Called first in every method but `close`; `operation` is the method's name."""
        await lowlevel.checkpoint()

    async def _after(self, operation: str) -> None:
        """Called after the effect of whatever changes the disk, before the caller hears of it."""

    @property
    def writes_aside(self) -> bool:
        return False

    async def open(self) -> Ownership:
        await self._before("open")
        disk = self.disk
        may_still_run = disk.owner not in (None, self)
        if may_still_run and not self._takes_over:
            raise OwnershipLost(f"another server owns the disk since epoch {disk.epoch}")
        disk.is_disputed |= may_still_run
        disk.owner = self
        disk.epoch += 1
        self._epoch = disk.epoch
        ownership = Ownership(disk.epoch, disk.last_lsn, disk.last_at_ms, database_id=disk.database_id, cell=disk.cell)
        await self._after("open")
        if disk.is_disputed:
            await sleep(LEASE_S)
            disk.is_disputed = False
        return ownership

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        await self._before("write")
        written = (*transactions, *latecomers())
        self.land(written)
        await self._after("write")
        return written

    def land(self, transactions: Sequence[Transaction]) -> None:
        """The effect of `write` alone, fence included: what a commit does that lands late."""
        self._check_open()
        if self._epoch != self.disk.epoch:
            raise OwnershipLost(f"epoch {self.disk.epoch} owns the disk, not {self._epoch}")
        self.disk.apply(transactions)
        self._batches += 1
        self._transactions += len(transactions)

    async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        disk = await self._own("move_out")
        moved = disk.move_out(before_ms, rows_max)
        await self._after("move_out")
        return moved

    async def load_cursors(self) -> Sequence[CursorRecord]:
        disk = await self._read("load_cursors")
        return [disk.cursors[name] for name in sorted(disk.cursors)]

    async def write_cursor(self, cursor: CursorRecord) -> None:
        disk = await self._own("write_cursor")
        disk.cursors[cursor.name] = cursor
        await self._after("write_cursor")

    async def drop_cursor(self, name: str) -> None:
        disk = await self._own("drop_cursor")
        disk.cursors.pop(name, None)
        await self._after("drop_cursor")

    async def let_go(self) -> bool:
        await self._before("let_go")
        return False

    async def catch_up(self) -> None:
        pass  # there is nothing that it would have to do

    async def check_ownership(self) -> None:
        await self._own("check_ownership")

    async def load_warehouses(self) -> Sequence[WarehouseRecord]:
        disk = await self._read("load_warehouses")
        return [disk.warehouses[key] for key in sorted(disk.warehouses)]

    async def load_sourcing(self) -> Sequence[SourcingRecord]:
        disk = await self._read("load_sourcing")
        return [disk.sourcing[key] for key in sorted(disk.sourcing)]

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        disk = await self._read("load_variants")
        return disk.load(row for key in sorted(set(keys)) for row in disk.rows_by_variant.get(key, ()))

    async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
        disk = await self._read("load_orders")
        return [
            disk.reservations[key.organization_id, reservation_id]
            for key in sorted(set(keys))
            for reservation_id in disk.reservations_by_order.get(key, ())
        ]

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        disk = await self._read("find_reservation")
        reservation = disk.reservations.get((organization_id, reservation_id))
        return None if reservation is None else reservation.order

    async def load_reservation(self, organization_id: str, reservation_id: str) -> ReservationRecord | None:
        disk = await self._read("load_reservation")
        key = (organization_id, reservation_id)
        return disk.reservations.get(key) or disk.archived.get(key)

    async def load_request(self, key: RequestKey) -> RequestRecord | None:
        disk = await self._read("load_request")
        return disk.requests.get(key)

    async def due(self, now_ms: int, limit: int) -> Sequence[Due]:
        disk = await self._read("due")
        end = bisect_left(disk.active, (now_ms + 1, "", ""))
        return [
            Due(disk.reservations[organization_id, reservation_id].order, expires_at_ms)
            for expires_at_ms, organization_id, reservation_id in disk.active[: min(end, limit)]
        ]

    async def next_expiry_ms(self) -> int | None:
        disk = await self._read("next_expiry_ms")
        return disk.active[0][0] if disk.active else None

    async def orders_after(self, key: OrderKey | None, limit: int) -> Sequence[OrderKey]:
        disk = await self._read("orders_after")
        return _page_after(disk.orders, key, limit)

    async def requests_after(self, key: RequestKey | None, limit: int) -> Sequence[RequestKey]:
        disk = await self._read("requests_after")
        return _page_after(disk.request_keys, key, limit)

    async def active_reservations(self, limit: int) -> Sequence[ReservationRecord]:
        disk = await self._read("active_reservations")
        return [disk.reservations[entry[1:]] for entry in disk.active[:limit]]

    async def list_stock(self, query: ListStock) -> Sequence[StockRecord]:
        disk = await self._read("list_stock")
        return disk.load(islice(disk.rows_of(query), query.limit))

    async def find_stock(self, query: FindStock) -> FoundStock:
        disk = await self._read("find_stock")
        return cut_found(enumerate((disk.stock[key] for key in disk.rows_of(query)), 1), query)

    async def count_rows(self, query: CountRows) -> RowCounts:
        disk = await self._read("count_rows")
        return counted_in(disk, query)

    async def find_transfer(self, organization_id: str, transfer_id: str) -> TransferRecord | None:
        disk = await self._read("find_transfer")
        return disk.transfers.get(TransferKey(organization_id, transfer_id))

    async def list_transfers(self, query: ListTransfers) -> TransferPage:
        disk = await self._read("list_transfers")
        found = [
            one
            for key, one in disk.transfers.items()
            if key.organization_id == query.organization_id
            and query.state in (None, one.state)
            and query.warehouse_id in ("", one.from_warehouse_id, one.to_warehouse_id)
            and (query.before is None or (one.shipped_at_ms, one.transfer_id) < query.before)
        ]
        newest_first = sorted(found, key=lambda one: (one.shipped_at_ms, one.transfer_id), reverse=True)
        return cut_transfers(newest_first, query)

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        disk = await self._read("list_reservations")
        organization_id = query.organization_id
        if query.order_id:
            ids = sorted(disk.reservations_by_order.get(OrderKey(organization_id, query.order_id), ()))
        else:
            ids = disk.reservation_ids.get(organization_id, [])
        end = bisect_left(ids, query.before) if query.before else len(ids)
        records = (disk.reservations[organization_id, ids[i]] for i in range(end - 1, -1, -1))
        if query.is_sifted:
            return sift(records, query)
        return cut_page((record for record in records if query.state in (None, record.state)), query)

    async def close(self) -> None:
        self._epoch = 0
        if self.disk.owner is self:
            self.disk.release()

    async def _read(self, operation: str) -> Disk:
        await self._before(operation)
        self._check_open()
        return self.disk

    async def _own(self, operation: str) -> Disk:
        """The same, behind the fence."""
        disk = await self._read(operation)
        if self._epoch != disk.epoch:
            raise OwnershipLost(f"epoch {disk.epoch} owns the disk, not {self._epoch}")
        return disk

    def _check_open(self) -> None:
        if self._epoch == 0:
            raise StorageError("the store is not open")


def _page_after(keys: list[Key], key: Key | None, limit: int) -> list[Key]:
    begin = 0 if key is None else bisect_right(keys, key)
    return keys[begin : begin + limit]

"""The Store port: everything the core asks of a database. `WholeStoreContract` in the tests is run by every adapter.

One writer: only the Journal calls `write`, one batch at a time, and only the housekeeping calls `move_out`.
Reads see whole batches, never half of one.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from actors.cell_records import CellRecord
from actors.changes import Changes, MovementPage, Point, StockAt
from actors.history_feed import CursorRecord, FeedPart
from actors.queries import CountRows, FindStock, GetStockAt, ListMovements, ListReservations, ListStock, ListTransfers
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
from actors.transfer_records import TransferRecord
from actors.views import ReservationPage, TransferPage
from storage.cell_store import CellStore
from storage.found_stock import FoundStock
from storage.latecomers import Latecomers, no_latecomers
from storage.organization_store import OrganizationStore
from storage.resting_store import RestingStore
from storage.staging import StagingStore

# An owner answers from memory only for so long after it last asked for a proof that it owns the database, in seconds.
LEASE_S = 0.25


class StorageError(Exception):
    """The database did not do what was asked. Whether a batch was written may be unknown."""


class DatabaseGone(StorageError):
    """The path names another database now, or none: what this store writes would be lost, also if it opens it again."""


class OwnershipLost(Exception):
    """Another server owns the database: this one must write nothing more."""


class Ownership(Struct, frozen=True):
    """What a newly opened store hands to its owner."""

    epoch: int
    last_lsn: int  # of the newest durable transaction; 0: none
    last_at_ms: int  # its time on the service clock; 0: none
    database_id: str = ""  # whose LSNs these are, for ever
    previous_owner: str = ""  # who owned it before, for a person who reads the log; empty: none
    generation: str = ""  # of this takeover and of no other, in whatever copy of the database
    cell: CellRecord | None = None  # None: it is no cell


class Due(Struct, frozen=True):
    """An active reservation whose time limit has passed, as the expiry needs it."""

    order: OrderKey
    expires_at_ms: int


class MovedOut(Struct, frozen=True):
    """What a step of housekeeping moved out of the working tables."""

    requests: int
    reservations: int
    items: int
    movements: int
    entries: int = 0

    @property
    def rows(self) -> int:
        return self.requests + self.reservations + self.items + self.movements + self.entries


class Store(StagingStore, CellStore, OrganizationStore, RestingStore, Protocol):
    """A database with one owner.

    >>> from storage.memory_store import Disk, MemoryStore
    >>> store = MemoryStore(Disk())
    >>> ownership = await store.open()
    >>> written = await store.write([Transaction(ownership.last_lsn + 1, at_ms=0, kind="remember")])
    >>> await store.close()

    In the examples of the methods, `store` is open, a `shop` has mugs in madrid, and two of them are reserved for
    `order-1` under the idempotency key `key-1`.

    Every method but `close` may raise `StorageError`; `DatabaseGone` is the kind of it that is final. Cancelling a read
    is harmless; a cancelled `write` may land.
    """

    @property
    def writes_aside(self) -> bool:
        """Whether another process makes the batches now, so that this one can serve others while `write` goes on.

        >>> store.writes_aside
        False
        """
        ...

    async def open(self) -> Ownership:
        """Take ownership: lock out others, migrate the schema, raise the epoch, then read where the journal ends.

        Called again after a `StorageError`, on the same object, it connects afresh. If another owner may still run, it
        returns `LEASE_S` after the epoch was raised: from then on that one answers no call.

        Raises:
            OwnershipLost: another server owns the database.
            SchemaTooNew: it was written by a newer program.
            DatabaseGone: it is not the one that this object had open before, or an older copy of it.

        >>> (await store.open()).epoch
        3
        """
        ...

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        """Make a batch durable, all or nothing, before returning it. Its LSNs follow the last batch's without a gap.

        `latecomers` is asked once at most, for what belongs to it too, when the rest is written and not durable yet.

        Raises:
            OwnershipLost: the epoch is not ours any more; nothing was written.
            StorageError: anything else; all of it may or may not have been written.

        >>> len(await store.write([Transaction(3, 0, "remember")], lambda: [Transaction(4, 0, "remember")]))
        2
        """
        ...

    async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        """Take what ended before a time out of what the other methods see: one step of housekeeping, all or nothing.

        That is answers under idempotency keys that were given before it, and reservations that were fulfilled,
        released or expired before it; behind the port, the old end of the ledger and of the journal too, up to what a
        cursor still needs. Active and confirmed reservations stay, however old. May run while a batch is being written,
        and changes nothing that a batch relies on.

        Args:
            before_ms: in service milliseconds, at least so long ago that no batch of that time can be under way.
            rows_max: of a step, at least 1; a single reservation may have more lines than this.

        Returns:
            What was moved; nothing if nothing is left.

        Raises:
            OwnershipLost: the epoch is not ours any more; nothing was moved.
            StorageError: anything else; the step may or may not have been done, and can be done again.

        >>> (await store.move_out(before_ms=0, rows_max=100)).rows
        0
        """
        ...

    async def check_ownership(self) -> None:
        """See whether this store still owns the database. One that writes nothing would not notice otherwise.

        Raises:
            OwnershipLost: another server does.

        >>> await store.check_ownership()
        """
        ...

    async def load_warehouses(self) -> Sequence[WarehouseRecord]:
        """All warehouses, in key order: there are few, and their names are kept in memory.

        >>> [warehouse.name for warehouse in await store.load_warehouses()]
        ['Madrid']
        """
        ...

    async def load_sourcing(self) -> Sequence[SourcingRecord]:
        """The policies of all organizations that ever set one, in key order: they are kept in memory.

        >>> await store.load_sourcing()
        []
        """
        ...

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        """All rows of these variants, at most 500 variants a call.

        >>> [row.available for row in await store.load_variants([VariantKey("shop", "mug")])]
        [8]
        """
        ...

    async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
        """All reservations of 500 orders at most, oldest first; in long ones what ended before the latest has no items.

        >>> [reservation.state for reservation in await store.load_orders([OrderKey("shop", "order-1")])]
        ['active']
        """
        ...

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        """The order that the organization's reservation belongs to; None if the organization has no such reservation.

        >>> [reservation] = await store.active_reservations(1)
        >>> await store.find_reservation("shop", reservation.reservation_id)
        OrderKey(organization_id='shop', order_id='order-1')
        """
        ...

    async def load_reservation(self, organization_id: str, reservation_id: str) -> ReservationRecord | None:
        """The organization's reservation, also one that was moved out.

        >>> [found] = (await store.list_reservations(ListReservations("shop"))).reservations
        >>> (await store.load_reservation("shop", found.reservation_id)).order_id
        'order-1'
        """
        ...

    async def load_request(self, key: RequestKey) -> RequestRecord | None:
        """What was answered under this idempotency key; None if nothing was.

        >>> await store.load_request(RequestKey("shop", "key-2"))
        """
        ...

    async def due(self, now_ms: int, limit: int) -> Sequence[Due]:
        """Active reservations with `expires_at_ms <= now_ms`, soonest first, at most `limit`.

        >>> await store.due(now_ms=0, limit=100)
        []
        """
        ...

    async def next_expiry_ms(self) -> int | None:
        """The soonest `expires_at_ms` of all active reservations; None if there is none.

        >>> await store.due(await store.next_expiry_ms(), limit=100) != []
        True
        """
        ...

    async def orders_after(self, key: OrderKey | None, limit: int) -> Sequence[OrderKey]:
        """Orders that ever had a reservation, in key order, each once, after `key`: for the filter of known orders.

        >>> await store.orders_after(None, limit=100)
        [OrderKey(organization_id='shop', order_id='order-1')]
        """
        ...

    async def requests_after(self, key: RequestKey | None, limit: int) -> Sequence[RequestKey]:
        """The same for idempotency keys.

        >>> [key.request_id for key in await store.requests_after(None, limit=100)]
        ['delivery-1', 'key-1']
        """
        ...

    async def active_reservations(self, limit: int) -> Sequence[ReservationRecord]:
        """The active reservations that expire soonest, at most `limit`.

        >>> [reservation.quantity for reservation in await store.active_reservations(100)]
        [2]
        """
        ...

    async def list_stock(self, query: ListStock) -> Sequence[StockRecord]:
        """The rows that the query asks for.

        >>> [row.reserved for row in await store.list_stock(ListStock("shop"))]
        [2]
        """
        ...

    async def find_stock(self, query: FindStock) -> FoundStock:
        """The page of rows that the query asks for.

        >>> (await store.find_stock(FindStock("shop", status="out_of_stock"))).records
        ()
        """
        ...

    async def find_transfer(self, organization_id: str, transfer_id: str) -> TransferRecord | None:
        """The organization's transfer of that id.

        >>> print(await store.find_transfer("shop", "no such transfer"))
        None
        """
        ...

    async def list_transfers(self, query: ListTransfers) -> TransferPage:
        """The page of transfers that the query asks for.

        >>> (await store.list_transfers(ListTransfers("shop"))).transfers
        ()
        """
        ...

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        """The page of reservations that the query asks for.

        >>> len((await store.list_reservations(ListReservations("shop"))).reservations)
        1
        """
        ...

    async def list_movements(self, query: ListMovements) -> MovementPage:
        """The page of the ledger that the query asks for, what was moved out included.

        >>> [one.kind for one in (await store.list_movements(ListMovements("shop"))).movements]
        ['import', 'reserve']
        """
        ...

    async def stock_at(self, query: GetStockAt) -> StockAt:
        """What a row had at a time.

        >>> (await store.stock_at(GetStockAt("shop", "mug", "madrid", at_ms=10**15))).pieces.reserved
        2
        """
        ...

    async def read_changes(self, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
        """What happened to an organization behind a place, in order, and from which LSN on the history is whole.

        Args:
            after: a place in a transaction is one that an earlier call stopped at.
            rows_max: how many rows there may be; a transaction that has more alone is told in parts.

        >>> changes, _ = await store.read_changes("shop", Point(1), rows_max=10)
        >>> [one.kind for one in changes.changes]
        ['reserve']
        """
        ...

    async def read_feed(self, after: Point, rows_max: int) -> tuple[FeedPart, int]:
        """As `read_changes`, of all organizations.

        >>> feed, _ = await store.read_feed(Point(1), rows_max=10)
        >>> [(one.organization_id, one.change.kind) for one in feed.entries()]
        [('shop', 'reserve')]
        """
        ...

    async def count_rows(self, query: CountRows) -> RowCounts:
        """The part of a count that the query asks for.

        >>> (await store.count_rows(CountRows("", "reservations"))).counts
        (RowCount(organization_id='shop', name='active', count=1),)
        """
        ...

    async def lsn_at(self, at_ms: int) -> int:
        """The first transaction at that time or later; one more than the last if there is none.

        >>> await store.lsn_at(0), await store.lsn_at(10**15)
        (1, 3)
        """
        ...

    async def load_cursors(self) -> Sequence[CursorRecord]:
        """How far relays have passed the feed on, by name.

        >>> [cursor.name for cursor in await store.load_cursors()]
        []
        """
        ...

    async def write_cursor(self, cursor: CursorRecord) -> None:
        """Keep a cursor in place of the one of its name. What happened behind it is not moved out from now on.

        Raises:
            OwnershipLost: the epoch is not ours any more; nothing was written.

        >>> await store.write_cursor(CursorRecord("relay", fence=1, point=Point(1)))
        >>> [cursor.point.lsn for cursor in await store.load_cursors()]
        [1]
        """
        ...

    async def drop_cursor(self, name: str) -> None:
        """Forget a cursor, if there is one. Raises as `write_cursor` does.

        >>> await store.drop_cursor("relay")
        """
        ...

    async def close(self) -> None:
        """Give up ownership and the connections. Never raises; may be called twice.

        >>> await store.close()
        """
        ...

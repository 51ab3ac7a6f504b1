"""A simulated disk. What is on it outlives the store that wrote it, as a file outlives a process.

The simulation and the fast tests run the whole service on it. It keeps the rules of a real database and checks more
than one can: epochs, LSNs without a gap, versions, and that every change starts from what the disk has. A batch is
checked as a whole before the first of it is applied, so that a refused one leaves no trace. Reads go through sorted
lists, never through a full scan, and the order of every answer is fixed, since one run must be like the next to the
last step.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from actors.cell_records import CellRecord, HeldOrganization
from actors.changes import WHOLE
from actors.history_feed import CursorRecord
from actors.organization_moves import MoveRecord
from actors.organization_stays import Stay
from actors.queries import FindStock, ListStock
from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    StockKey,
    StockRecord,
    Transaction,
    VariantKey,
    WarehouseRecord,
)
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferKey, TransferRecord
from storage.batch import Batch, fold
from storage.memory_staging import StagedDisk
from storage.store import MovedOut

ReservationKey = tuple[str, str]  # organization, reservation


class DiskStatistics(Struct, frozen=True):
    """What is on a disk now; `transactions` are the entries of the journal, `active` is part of `reservations`."""

    transactions: int
    rows: int
    reservations: int
    active: int
    requests: int


class Disk:
    """The durable contents, open to look at: `transactions` is the journal from its first entry on."""

    def __init__(self) -> None:
        self.epoch = 0
        self.owner: object = None  # the store that owns it
        self.is_disputed = False  # one that was followed may answer calls until its lease ends
        self.transactions: list[Transaction] = []
        self.stock: dict[StockKey, StockRecord] = {}
        self.reservations: dict[ReservationKey, ReservationRecord] = {}
        self.archived: dict[ReservationKey, ReservationRecord] = {}  # moved out
        self.requests: dict[RequestKey, RequestRecord] = {}
        self.warehouses: dict[tuple[str, str], WarehouseRecord] = {}
        self.sourcing: dict[str, SourcingRecord] = {}  # by organization
        self.transfers: dict[TransferKey, TransferRecord] = {}
        self.cursors: dict[str, CursorRecord] = {}
        self.cell: CellRecord | None = None
        self.held: dict[str, HeldOrganization] = {}  # by organization
        self.database_id = "memory"
        self.moving: dict[str, MoveRecord] = {}  # by organization
        self.stays: dict[str, list[Stay]] = {}  # of organizations that were elsewhere
        self.begin_ms = 0  # service time has come so far elsewhere
        self.came: dict[str, list[Transaction]] = {}  # what happened there, with LSNs below 0
        self.staged = StagedDisk()
        self.rows: list[StockKey] = []  # sorted, as are the lists below
        self.rows_by_organization: dict[str, list[StockKey]] = {}
        self.rows_by_variant: dict[VariantKey, list[StockKey]] = {}
        self.orders: list[OrderKey] = []
        self.request_keys: list[RequestKey] = []
        self.reservation_ids: dict[str, list[str]] = {}  # by organization
        self.reservations_by_order: dict[OrderKey, list[str]] = {}  # oldest first
        self.active: list[tuple[int, str, str]] = []  # expires_at_ms, organization, reservation
        self.ended: list[tuple[int, str, str]] = []  # ended_at_ms, organization, reservation
        self.answered: list[tuple[int, str, str]] = []  # at_ms, scope, request id

    @property
    def last_lsn(self) -> int:
        return self.transactions[-1].lsn if self.transactions else 0

    @property
    def last_at_ms(self) -> int:
        return max(self.begin_ms, self.transactions[-1].at_ms if self.transactions else 0)

    @property
    def needed_lsn(self) -> int:
        """The first transaction that a cursor still needs; one more than the last if none does."""
        needed = [one.point.lsn + (one.point.position == WHOLE) for one in self.cursors.values()]
        return min([*needed, self.last_lsn + 1])

    def history_of(self, organization_id: str) -> Sequence[Transaction]:
        """All that happened, with what the organization brings from elsewhere; other organizations' too."""
        came = self.came.get(organization_id)
        return [*came, *self.transactions] if came else self.transactions

    def __repr__(self) -> str:
        return f"<Disk epoch={self.epoch} last_lsn={self.last_lsn} rows={len(self.rows)} active={len(self.active)}>"

    def statistics(self) -> DiskStatistics:
        return DiskStatistics(
            len(self.transactions), len(self.rows), len(self.reservations), len(self.active), len(self.requests)
        )

    def release(self) -> None:
        """Forget the owner, as a kernel does with the locks of a process that was killed."""
        self.owner = None

    def apply(self, transactions: Sequence[Transaction]) -> None:
        """Write a batch, or fail an assertion and write nothing."""
        batch = fold(transactions)
        self._check(batch)
        # After this point nothing may fail.
        stock = self.stock if all(one.staged is None for one in transactions) else dict(self.stock)
        for one in transactions:
            # What staged lines change is told by the journal at once, and stands in the rows once it is folded.
            self.transactions.append(one if one.staged is None else self.staged.decide(one, stock))
            if stock is not self.stock:
                stock.update({change.after.key: change.after for change in one.changes})
        self.warehouses.update(batch.warehouses)
        self.sourcing.update(batch.sourcing)
        self.transfers.update({key: transfer for key, (transfer, _) in batch.transfers.items()})
        for change in batch.stock.values():
            self._keep_row(change.after)
        for key, reservation in batch.reserved.items():
            if key in batch.again:
                self._keep_last(key, reservation.order)
            else:
                self._index_reservation(key, reservation)
        for key, reservation in (*batch.reserved.items(), *batch.moved.items()):
            self._keep_reservation(key, reservation)
        for transaction in transactions:
            if transaction.request is not None:
                self.requests[transaction.request.key] = transaction.request
                insort(self.request_keys, transaction.request.key)
                insort(self.answered, (transaction.at_ms, *transaction.request.key))

    def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        """Forget what was answered, archive what ended before a time. `transactions` stays: an auditor replays it."""
        requests = self.answered[: min(bisect_left(self.answered, (before_ms,)), rows_max)]
        del self.answered[: len(requests)]
        for _, *key in requests:
            del self.requests[RequestKey(*key)]
            del self.request_keys[bisect_left(self.request_keys, RequestKey(*key))]
        reservations, items, left = 0, 0, rows_max - len(requests)
        for _, *key in self.ended[: bisect_left(self.ended, (before_ms,))]:
            count = len(self.reservations[key[0], key[1]].items)
            if left <= 0 or (reservations and left < 1 + count):
                break
            self._forget_reservation((key[0], key[1]))
            reservations, items, left = reservations + 1, items + count, left - 1 - count
        del self.ended[:reservations]
        return MovedOut(len(requests), reservations, items, 0)

    def _check(self, batch: Batch) -> None:
        assert batch.first_lsn == self.last_lsn + 1, f"LSN {batch.first_lsn} after {self.last_lsn}"
        for change in batch.stock.values():
            on_disk = self.stock.get(change.after.key)
            if on_disk is None:
                assert not change.before.exists, change
            else:
                assert on_disk == change.before, f"{change} does not start from {on_disk}"
        for transaction in batch.transactions:
            for change in transaction.changes:
                change.after.check()
        for key in batch.reserved:
            assert (key in self.reservations) is (key in batch.again), key
        for key in batch.moved:
            assert key in self.reservations, key
        new = [transaction.request.key for transaction in batch.transactions if transaction.request is not None]
        assert len(set(new)) == len(new), new
        for request in new:
            assert request not in self.requests, request

    def keep_rows(self, records: Iterable[StockRecord]) -> None:
        """The rows are so now."""
        for record in list(records):
            self._keep_row(record)

    def _keep_row(self, record: StockRecord) -> None:
        key = record.key
        if record.exists:
            if key not in self.stock:
                self._index_row(key)
            self.stock[key] = record
        elif self.stock.pop(key, None) is not None:
            for keys in (self.rows, self.rows_by_organization[key.organization_id], self.rows_by_variant[key.variant]):
                del keys[bisect_left(keys, key)]

    def _index_row(self, key: StockKey) -> None:
        insort(self.rows, key)
        insort(self.rows_by_organization.setdefault(key.organization_id, []), key)
        insort(self.rows_by_variant.setdefault(key.variant, []), key)

    def _index_reservation(self, key: ReservationKey, reservation: ReservationRecord) -> None:
        insort(self.reservation_ids.setdefault(key[0], []), key[1])
        order = reservation.order
        if order not in self.reservations_by_order:
            insort(self.orders, order)
        self.reservations_by_order.setdefault(order, []).append(key[1])

    def _keep_last(self, key: ReservationKey, order: OrderKey) -> None:
        """A reservation was taken again: it is the latest of its order now, and has not ended."""
        self.reservations_by_order[order].remove(key[1])
        self.reservations_by_order[order].append(key[1])
        before = self.reservations[key]
        if not before.holds_stock:  # it may have expired within this batch
            del self.ended[bisect_left(self.ended, (before.ended_at_ms, *key))]

    def _keep_reservation(self, key: ReservationKey, reservation: ReservationRecord) -> None:
        before = self.reservations.get(key)
        if before is not None and before.state == "active":
            del self.active[bisect_left(self.active, (before.expires_at_ms, *key))]
        if reservation.state == "active":
            insort(self.active, (reservation.expires_at_ms, *key))
        if not reservation.holds_stock:
            insort(self.ended, (reservation.ended_at_ms, *key))
        self.reservations[key] = reservation

    def add_reservation(self, reservation: ReservationRecord) -> None:
        """It comes from elsewhere, and is the latest of its order."""
        key = reservation.organization_id, reservation.reservation_id
        self._index_reservation(key, reservation)
        self._keep_reservation(key, reservation)

    def drop_reservation(self, reservation: ReservationRecord) -> None:
        """It is not here any more."""
        key = reservation.organization_id, reservation.reservation_id
        for times, at_ms in ((self.active, reservation.expires_at_ms), (self.ended, reservation.ended_at_ms)):
            place = bisect_left(times, (at_ms, *key))
            if times[place : place + 1] == [(at_ms, *key)]:
                del times[place]
        self._forget_reservation(key)
        del self.archived[key]

    def _forget_reservation(self, key: ReservationKey) -> None:
        reservation = self.archived[key] = self.reservations.pop(key)
        ids = self.reservation_ids[key[0]]
        del ids[bisect_left(ids, key[1])]
        of_order = self.reservations_by_order[reservation.order]
        of_order.remove(key[1])
        if not of_order:
            del self.reservations_by_order[reservation.order]
            del self.orders[bisect_left(self.orders, reservation.order)]

    def rows_of(self, query: ListStock | FindStock) -> Iterator[StockKey]:
        """The rows that a query names, from where it begins on, whatever their figures."""
        if query.variant_id:
            rows = self.rows_by_variant.get(VariantKey(query.organization_id, query.variant_id), [])
        else:
            rows = self.rows_by_organization.get(query.organization_id, [])
        begin = 0 if query.after is None else bisect_right(rows, query.after)
        begin = max(begin, bisect_left(rows, (query.organization_id, query.variant_prefix)))
        for place in range(begin, len(rows)):
            if not rows[place].variant_id.startswith(query.variant_prefix):
                return
            if query.warehouse_id in ("", rows[place].warehouse_id):
                yield rows[place]

    def load(self, keys: Iterable[StockKey]) -> list[StockRecord]:
        """These rows, in the order of `keys`."""
        return [self.stock[key] for key in keys]

"""A batch as rows of the tables: tuples in the order of `COLUMNS`, for whatever way a database takes them.

Instants go through a function that the database gives, since SQLite keeps them as text.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import astuple

from storage.batch import Batch
from storage.sql.journal_rows import JOURNAL_COLUMNS
from storage.told import low_lines

Row = tuple[Any, ...]
Instant = Callable[[int], Any]

# In the order of a record, which becomes a tuple at once then: a large basket has a thousand of them.
STOCK_RECORD = (
    "organization_id variant_id warehouse_id stock_id available reserved damaged in_transit min_stock max_stock"
    " reorder_point version"
)
# Transitions of reservations: they exist already, and nothing but these figures moves.
SALES = {"reserve", "confirm", "release", "expire", "fulfill", "extend", "amend", "reacquire", "remember"}
STOCK_SOLD = "organization_id variant_id warehouse_id stock_id available reserved version version_before"
COLUMNS = {
    "warehouse": "organization_id warehouse_id name code priority active",
    "sourcing": "organization_id policy",
    "stock": f"{STOCK_RECORD} total",
    "reservation": "organization_id reservation_id order_id state created_at expires_at confirmed_at ended_at reason"
    " lsn asked",
    "reservation_item": "organization_id reservation_id line variant_id warehouse_id requested_warehouse_id stock_id"
    " quantity stock_before stock_after fulfilled",
    "stock_movement": "lsn position at kind organization_id variant_id warehouse_id"
    " available_before reserved_before damaged_before in_transit_before"
    " available_after reserved_after damaged_after in_transit_after reference reason"
    " reservation_id order_id",
    "journal_entry": JOURNAL_COLUMNS,
    "import_decided": "import_id lsn at reference min_stock max_stock reorder_point",
    "import_low": "lsn position least reorder",
    "transfer": "organization_id transfer_id from_warehouse_id to_warehouse_id state shipped_at ended_at lsn",
    "transfer_line": "organization_id transfer_id line variant_id sent received damaged missing",
    "request": "scope request_id fingerprint outcome lsn at",
}


def warehouses(batch: Batch) -> Iterator[Row]:
    """The warehouses that are new or were changed."""
    for key, warehouse in batch.warehouses.items():
        yield (*key, warehouse.name, warehouse.code, warehouse.priority, int(warehouse.is_active))


def sourcing(batch: Batch) -> Iterator[Row]:
    """The policies that were set."""
    for one in batch.sourcing.values():
        yield (one.organization_id, one.policy)


class StockChanges(NamedTuple):
    """Rows of the stock table. A changed one has, in place of its total, the version that the database has of it.

    Where a batch has nothing but sales, as most have, that is no more than `STOCK_SOLD`: a large basket changes a
    thousand rows. Of a deleted one there are its key, its stock id and that version. A row that was deleted and made
    again within one batch is among the deleted and among the new ones: it has to be deleted first.
    """

    new: list[Row]
    sold: list[Row]
    changed: list[Row]
    deleted: list[Row]


def stock(batch: Batch) -> StockChanges:
    """What becomes of the stock rows."""
    if all(transaction.kind in SALES for transaction in batch.transactions):
        return StockChanges([], list(_sold(batch)), [], [])
    rows = StockChanges([], [], [], [])
    for key, change in batch.stock.items():
        before, row = change.before, change.after
        if before.exists and row.exists and before.stock_id == row.stock_id:
            rows.changed.append((*astuple(row)[:-1], before.version))
            continue
        if before.exists:
            rows.deleted.append((*key, before.stock_id, before.version))
        if row.exists:
            rows.new.append((*astuple(row)[:-1], row.total))
    return rows


def _sold(batch: Batch) -> Iterator[Row]:
    for key, change in batch.stock.items():
        row = change.after
        yield (*key, row.stock_id, row.available, row.reserved, row.version, change.before.version)


def reservations(batch: Batch, instant: Instant) -> Iterator[Row]:
    """The reservations that the batch makes, in their last state."""
    for key, reservation in batch.reserved.items():
        yield (
            *key,
            reservation.order_id,
            reservation.state,
            instant(reservation.created_at_ms),
            instant(reservation.expires_at_ms),
            instant(reservation.confirmed_at_ms) if reservation.confirmed_at_ms else None,
            instant(reservation.ended_at_ms) if reservation.ended_at_ms else None,
            reservation.reason,
            batch.reserved_lsn[key],
            reservation.asked,
        )


def items(batch: Batch) -> Iterator[Row]:
    """The items of the reservations that the batch makes, and those that it gives to others in place of theirs."""
    amended = [(key, batch.moved[key]) for key in batch.amended]
    for key, reservation in (*batch.reserved.items(), *amended):
        for line, item in enumerate(reservation.items):
            yield (
                *key,
                line,
                item.variant_id,
                item.warehouse_id,
                item.requested_warehouse_id,
                item.stock_id,
                item.quantity,
                item.stock_before,
                item.stock_after,
                item.fulfilled,
            )


def moved_reservations(batch: Batch, instant: Instant) -> Iterator[Row]:
    """Of each reservation that was made earlier: what its transition changes, and then its key."""
    for key, reservation in batch.moved.items():
        yield (
            reservation.state,
            instant(reservation.expires_at_ms),
            _or_null(instant, reservation.confirmed_at_ms),
            _or_null(instant, reservation.ended_at_ms),
            reservation.reason,
            *key,
        )


def shipped_items(batch: Batch) -> Iterator[Row]:
    """How much was shipped of the items of reservations that were made earlier, and then each item's key."""
    for key in batch.shipped:
        for line, item in enumerate(batch.moved[key].items):
            yield (item.fulfilled, *key, line)


def movements(batch: Batch, instant: Instant) -> Iterator[Row]:
    """A line of the ledger for each row that a transaction changes."""
    for transaction in batch.transactions:
        at = instant(transaction.at_ms)
        reservation = transaction.reservation
        belongs_to = ("", "") if reservation is None else (reservation.reservation_id, reservation.order_id)
        for position, change in transaction.placed():
            before, after = change.before, change.after
            yield (
                transaction.lsn,
                position,
                at,
                transaction.kind,
                after.organization_id,
                after.variant_id,
                after.warehouse_id,
                before.available,
                before.reserved,
                before.damaged,
                before.in_transit,
                after.available,
                after.reserved,
                after.damaged,
                after.in_transit,
                transaction.reference,
                transaction.reason,
                *belongs_to,
            )


def decided_imports(batch: Batch, instant: Instant) -> Iterator[Row]:
    """The imports whose staged lines are true from now on."""
    for one in batch.transactions:
        if (it := one.staged) is not None:
            levels = (it.min_stock, it.max_stock, it.reorder_point)
            yield (it.import_id, one.lsn, instant(one.at_ms), one.reference, *levels)


def import_low(batch: Batch) -> Iterator[Row]:
    """Of the rows that such an import changes without staging: which fell to their minimum."""
    for one in batch.transactions:
        for place, change in one.placed() if one.staged is not None else ():
            if lines := low_lines(change):
                yield (one.lsn, place, *lines)


def transfers(batch: Batch, instant: Instant) -> Iterator[Row]:
    """The transfers that the batch makes or moves, in their last state."""
    for key, (transfer, lsn) in batch.transfers.items():
        ends = (transfer.from_warehouse_id, transfer.to_warehouse_id)
        times = (instant(transfer.shipped_at_ms), _or_null(instant, transfer.ended_at_ms))
        yield (*key, *ends, transfer.state, *times, lsn)


def transfer_lines(batch: Batch) -> Iterator[Row]:
    """What became of each line of these transfers."""
    for key, (transfer, _) in batch.transfers.items():
        for place, line in enumerate(transfer.lines):
            yield (*key, place, line.variant_id, line.sent, line.received, line.damaged, line.missing)


def requests(batch: Batch, instant: Instant) -> Iterator[Row]:
    """The answers that are remembered under idempotency keys."""
    for transaction in batch.transactions:
        if (request := transaction.request) is not None:
            yield (
                request.scope,
                request.request_id,
                request.fingerprint,
                request.outcome.decode(),
                transaction.lsn,
                instant(transaction.at_ms),
            )


def _or_null(instant: Instant, at_ms: int) -> Any:
    return instant(at_ms) if at_ms else None

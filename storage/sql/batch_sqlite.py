"""The journal's batch on SQLite: one function on one plain connection, from BEGIN to COMMIT.

It is what the service does most. It is written for the driver itself: tuples, and SQL text that never changes,
which the driver keeps prepared. The same through SQLAlchemy Core costs half the throughput, and a thread hop
for each statement a fifth. Rows go in 32 at a time: the driver lets go of the interpreter's lock and takes it
again for every execution, and beside a busy event loop that made a batch four times slower than its SQL.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from actors.records import ReservationRecord, Transaction
from storage.batch import Batch, fold
from storage.sql.instants import ms_to_text
from storage.store import OwnershipLost, StorageError

Row = tuple[Any, ...]

ROWS_AT_ONCE = 32  # more gains nothing more

FENCE = "UPDATE ownership SET last_lsn = ?, last_at = ? WHERE epoch = ? AND last_lsn = ?"

WRITE_WAREHOUSE = """
    INSERT INTO warehouse (organization_id, warehouse_id, name) VALUES (?, ?, ?)
    ON CONFLICT (organization_id, warehouse_id) DO UPDATE SET name = excluded.name"""

UPDATE_STOCK = """
    UPDATE stock SET total = ?, available = ?, reserved = ?, damaged = ?, in_transit = ?, min_stock = ?, max_stock = ?,
        version = ?
    WHERE stock_id = ? AND organization_id = ? AND variant_id = ? AND warehouse_id = ? AND version = ?"""

UPDATE_RESERVATION = """
    UPDATE reservation SET state = ?, confirmed_at = ?, ended_at = ?, reason = ?
    WHERE organization_id = ? AND reservation_id = ?"""


class Insert:
    """An INSERT of one table, for one row and for many."""

    def __init__(self, table: str, columns: str) -> None:
        row = f"({', '.join('?' * len(columns.split()))})"
        head = f"INSERT INTO {table} ({', '.join(columns.split())}) VALUES "
        self._one = head + row
        self._many = head + ", ".join([row] * ROWS_AT_ONCE)

    def __call__(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        whole = len(rows) - len(rows) % ROWS_AT_ONCE
        for begin in range(0, whole, ROWS_AT_ONCE):
            connection.execute(self._many, list(chain.from_iterable(rows[begin : begin + ROWS_AT_ONCE])))
        if whole < len(rows):
            connection.executemany(self._one, rows[whole:])


insert_stock = Insert(
    "stock",
    "total available reserved damaged in_transit min_stock max_stock version"
    " stock_id organization_id variant_id warehouse_id",
)
insert_reservations = Insert(
    "reservation",
    "organization_id reservation_id order_id state created_at expires_at confirmed_at ended_at reason lsn",
)
insert_items = Insert(
    "reservation_item",
    "organization_id reservation_id line variant_id warehouse_id requested_warehouse_id stock_id quantity"
    " stock_before stock_after",
)
insert_movements = Insert(
    "stock_movement",
    "lsn position at kind organization_id variant_id warehouse_id"
    " available_before reserved_before damaged_before in_transit_before"
    " available_after reserved_after damaged_after in_transit_after reference reason",
)
insert_requests = Insert("request", "scope request_id fingerprint outcome lsn at")


def write_batch(connection: sqlite3.Connection, epoch: int, transactions: Sequence[Transaction]) -> None:
    """Write a batch, all or nothing, on a connection in autocommit mode and outside a transaction, as it is left.

    Raises:
        OwnershipLost: the database's epoch is not `epoch`; nothing was written.
        StorageError: the batch does not fit to what the database has; nothing was written.
        sqlite3.Error: anything else; if it was COMMIT that failed, the batch may have been written.
    """
    batch = fold(transactions)
    connection.execute("BEGIN IMMEDIATE")
    try:
        _pass_fence(connection, epoch, batch)
        _write_stock(connection, batch)
        _write_reservations(connection, batch)
        insert_movements(connection, list(_movements(transactions)))
        insert_requests(connection, list(_requests(transactions)))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _pass_fence(connection: sqlite3.Connection, epoch: int, batch: Batch) -> None:
    parameters = (batch.last_lsn, ms_to_text(batch.last_at_ms), epoch, batch.first_lsn - 1)
    if connection.execute(FENCE, parameters).rowcount == 1:
        return
    owner, epoch_found, last_lsn = connection.execute("SELECT owner, epoch, last_lsn FROM ownership").fetchone()
    if epoch_found != epoch:
        raise OwnershipLost(
            f"{owner or 'another server'} owns the database since epoch {epoch_found}; ours was {epoch}"
        )
    raise StorageError(f"the database ends at LSN {last_lsn}, and the batch begins at {batch.first_lsn}")


def _write_stock(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.executemany(
        WRITE_WAREHOUSE, [(w.organization_id, w.warehouse_id, w.name) for w in batch.warehouses.values()]
    )
    new: list[Row] = []
    changed: list[Row] = []
    for key, change in batch.stock.items():
        row = change.after
        values = (
            row.total,
            row.available,
            row.reserved,
            row.damaged,
            row.in_transit,
            row.min_stock,
            row.max_stock,
            row.version,
            row.stock_id,
            *key,
        )
        if change.before.version == 0:
            new.append(values)
        else:
            changed.append((*values, change.before.version))
    insert_stock(connection, new)
    _update(connection, UPDATE_STOCK, changed, "stock rows")


def _write_reservations(connection: sqlite3.Connection, batch: Batch) -> None:
    insert_reservations(connection, list(_reservations(batch)))
    insert_items(connection, [row for r in batch.reserved.values() for row in _items(r)])
    moved = [
        (r.state, _text_or_null(r.confirmed_at_ms), _text_or_null(r.ended_at_ms), r.reason, *key)
        for key, r in batch.moved.items()
    ]
    _update(connection, UPDATE_RESERVATION, moved, "reservations")


def _update(connection: sqlite3.Connection, sql: str, rows: list[Row], what: str) -> None:
    if rows and (found := connection.executemany(sql, rows).rowcount) != len(rows):
        raise StorageError(f"{len(rows) - found} of {len(rows)} {what} are not as the service knows them")


def _reservations(batch: Batch) -> Iterator[Row]:
    for key, reservation in batch.reserved.items():
        yield (
            *key,
            reservation.order_id,
            reservation.state,
            ms_to_text(reservation.created_at_ms),
            ms_to_text(reservation.expires_at_ms),
            _text_or_null(reservation.confirmed_at_ms),
            _text_or_null(reservation.ended_at_ms),
            reservation.reason,
            batch.reserved_lsn[key],
        )


def _items(reservation: ReservationRecord) -> Iterator[Row]:
    for line, item in enumerate(reservation.items):
        yield (
            reservation.organization_id,
            reservation.reservation_id,
            line,
            item.variant_id,
            item.warehouse_id,
            item.requested_warehouse_id,
            item.stock_id,
            item.quantity,
            item.stock_before,
            item.stock_after,
        )


def _movements(transactions: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in transactions:
        at = ms_to_text(transaction.at_ms)
        for position, change in enumerate(transaction.changes):
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
            )


def _requests(transactions: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in transactions:
        if (request := transaction.request) is not None:
            yield (
                request.scope,
                request.request_id,
                request.fingerprint,
                request.outcome.decode(),
                transaction.lsn,
                ms_to_text(transaction.at_ms),
            )


def _text_or_null(at_ms: int) -> str | None:
    return ms_to_text(at_ms) if at_ms else None

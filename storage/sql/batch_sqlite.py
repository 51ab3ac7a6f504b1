"""The journal's batch on SQLite: one function on one plain connection, from BEGIN to COMMIT.

It is what the service does most. It is written for the driver itself: tuples, and SQL text that never changes,
which the driver keeps prepared. The same through SQLAlchemy Core costs half the throughput, and a thread hop
for each statement a fifth. Rows go in 32 at a time: the driver lets go of the interpreter's lock and takes it
again for every execution, and beside a busy event loop that made a batch four times slower than its SQL.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from actors.records import Transaction
from storage.batch import Batch, fold
from storage.sql import rows
from storage.sql.instants import ms_to_text
from storage.sql.rows import Row
from storage.store import OwnershipLost, StorageError

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

    def __init__(self, table: str) -> None:
        columns = rows.COLUMNS[table].split()
        row = f"({', '.join('?' * len(columns))})"
        head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        self._one = head + row
        self._many = head + ", ".join([row] * ROWS_AT_ONCE)

    def __call__(self, connection: sqlite3.Connection, new: Iterable[Row]) -> None:
        new = list(new)
        whole = len(new) - len(new) % ROWS_AT_ONCE
        for begin in range(0, whole, ROWS_AT_ONCE):
            connection.execute(self._many, list(chain.from_iterable(new[begin : begin + ROWS_AT_ONCE])))
        if whole < len(new):
            connection.executemany(self._one, new[whole:])


insert_stock = Insert("stock")
insert_reservations = Insert("reservation")
insert_items = Insert("reservation_item")
insert_movements = Insert("stock_movement")
insert_requests = Insert("request")


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
        _write(connection, batch)
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


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.executemany(WRITE_WAREHOUSE, rows.warehouses(batch))
    new, changed = rows.stock(batch)
    insert_stock(connection, new)
    _update(connection, UPDATE_STOCK, changed, "stock rows")
    insert_reservations(connection, rows.reservations(batch, ms_to_text))
    insert_items(connection, rows.items(batch))
    _update(connection, UPDATE_RESERVATION, list(rows.moved_reservations(batch, ms_to_text)), "reservations")
    insert_movements(connection, rows.movements(batch, ms_to_text))
    insert_requests(connection, rows.requests(batch, ms_to_text))


def _update(connection: sqlite3.Connection, sql: str, changed: list[Row], what: str) -> None:
    if changed and (found := connection.executemany(sql, changed).rowcount) != len(changed):
        raise StorageError(f"{len(changed) - found} of {len(changed)} {what} are not as the service knows them")

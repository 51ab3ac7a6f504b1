"""The journal's batch on SQLite: one function on one plain connection, from BEGIN to COMMIT.

It is what the service does most. It is written for the driver itself: tuples, and SQL text that never changes,
which the driver keeps prepared. The same through SQLAlchemy Core costs half the throughput, and a thread hop
for each statement a fifth.
"""

import sqlite3
from collections.abc import Sequence

from actors.records import Transaction
from storage.batch import Batch, fold
from storage.latecomers import Latecomers, no_latecomers
from storage.sql import rows
from storage.sql.instant_text import ms_to_text
from storage.sql.journal_rows import journal_entries
from storage.sql.many_rows import ManyRows
from storage.sql.rows import Row
from storage.store import OwnershipLost, StorageError

FENCE = "UPDATE ownership SET last_lsn = ?, last_at = ? WHERE epoch = ? AND last_lsn = ?"

WRITE_WAREHOUSE = """
    INSERT INTO warehouse (organization_id, warehouse_id, name, code, priority, active) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (organization_id, warehouse_id) DO UPDATE SET name = excluded.name, code = excluded.code,
        priority = excluded.priority, active = excluded.active"""

WRITE_SOURCING = """
    INSERT INTO sourcing (organization_id, policy) VALUES (?, ?)
    ON CONFLICT (organization_id) DO UPDATE SET policy = excluded.policy"""

DECIDE_IMPORT = f"INSERT INTO import_decided VALUES ({', '.join('?' * 7)})"

WRITE_LOW = "INSERT INTO import_low VALUES (?, ?, ?, ?)"

WRITE_TRANSFER = """
    INSERT INTO transfer (organization_id, transfer_id, from_warehouse_id, to_warehouse_id, state, shipped_at, ended_at,
        lsn) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (organization_id, transfer_id) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at,
        lsn = excluded.lsn"""

WRITE_TRANSFER_LINE = """
    INSERT INTO transfer_line (organization_id, transfer_id, line, variant_id, sent, received, damaged, missing)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (organization_id, transfer_id, line) DO UPDATE SET received = excluded.received,
        damaged = excluded.damaged, missing = excluded.missing"""

DELETE_STOCK = """
    DELETE FROM stock
    WHERE organization_id = ? AND variant_id = ? AND warehouse_id = ? AND stock_id = ? AND version = ?"""

UPDATE_RESERVATION = """
    UPDATE reservation SET state = ?, expires_at = ?, confirmed_at = ?, ended_at = ?, reason = ?
    WHERE organization_id = ? AND reservation_id = ?"""

FORGET_ASKED = "UPDATE reservation SET asked = '' WHERE organization_id = ? AND reservation_id = ?"
DELETE_RESERVATION = "DELETE FROM reservation WHERE organization_id = ? AND reservation_id = ?"
DELETE_ITEMS = "DELETE FROM reservation_item WHERE organization_id = ? AND reservation_id = ?"

SHIP_ITEM = """
    UPDATE reservation_item SET fulfilled = ? WHERE organization_id = ? AND reservation_id = ? AND line = ?"""


# OR ROLLBACK: what fails here ends the transaction anyway, and SQLite need not be able to undo a statement of many rows
# by itself, which takes a twentieth of a large basket's time.
def _insert(table: str, shared: str = "") -> ManyRows:
    columns = rows.COLUMNS[table].split()
    places = [columns.index(name) for name in shared.split()]
    return ManyRows(len(columns), f"INSERT OR ROLLBACK INTO {table} ({', '.join(columns)})", shared=places)


insert_stock = _insert("stock")
insert_reservations = _insert("reservation")
insert_items = _insert("reservation_item", shared="organization_id reservation_id")
insert_movements = _insert("stock_movement", shared="lsn at kind reference reason reservation_id order_id")
insert_journal_entries = _insert("journal_entry")
insert_requests = _insert("request")
# The columns of a list of values are named by SQLite: here they are those of `rows.STOCK_SOLD` …
update_sold_stock = ManyRows(
    8,
    """UPDATE OR ROLLBACK stock SET total = new.column5 + new.column6 + damaged + in_transit,
        available = new.column5, reserved = new.column6, version = new.column7
    FROM (""",
    """) AS new WHERE stock.organization_id = new.column1 AND stock.variant_id = new.column2
        AND stock.warehouse_id = new.column3 AND stock.stock_id = new.column4 AND stock.version = new.column8""",
)
# … and here those of `rows.STOCK_RECORD` and the version of before.
update_stock = ManyRows(
    13,
    """UPDATE OR ROLLBACK stock SET total = new.column5 + new.column6 + new.column7 + new.column8,
        available = new.column5, reserved = new.column6, damaged = new.column7, in_transit = new.column8,
        min_stock = new.column9, max_stock = new.column10, reorder_point = new.column11, version = new.column12
    FROM (""",
    """) AS new WHERE stock.organization_id = new.column1 AND stock.variant_id = new.column2
        AND stock.warehouse_id = new.column3 AND stock.stock_id = new.column4 AND stock.version = new.column13""",
)


def write_batch(
    connection: sqlite3.Connection,
    epoch: int,
    transactions: Sequence[Transaction],
    latecomers: Latecomers = no_latecomers,
) -> Sequence[Transaction]:
    """Write a batch, all or nothing, on a connection in autocommit mode and outside a transaction, as it is left.

    Returns:
        What was written: the batch, and those that came late.

    Raises:
        OwnershipLost: the database's epoch is not `epoch`; nothing was written.
        StorageError: the batch does not fit to what the database has; nothing was written.
        sqlite3.Error: anything else; if it was COMMIT that failed, the batch may have been written.
    """
    batch = fold(transactions)
    connection.execute("BEGIN IMMEDIATE")
    try:
        _write(connection, epoch, batch)
        if late := latecomers():
            _write(connection, epoch, fold(late))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return (*transactions, *late) if late else transactions


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


def _write(connection: sqlite3.Connection, epoch: int, batch: Batch) -> None:
    _pass_fence(connection, epoch, batch)
    if batch.warehouses:
        connection.executemany(WRITE_WAREHOUSE, rows.warehouses(batch))
    if batch.sourcing:
        connection.executemany(WRITE_SOURCING, rows.sourcing(batch))
    if decided := list(rows.decided_imports(batch, ms_to_text)):
        connection.executemany(DECIDE_IMPORT, decided)
        connection.executemany(WRITE_LOW, rows.import_low(batch))
    if batch.transfers:
        connection.executemany(WRITE_TRANSFER, rows.transfers(batch, ms_to_text))
        connection.executemany(WRITE_TRANSFER_LINE, rows.transfer_lines(batch))
    new, sold, changed, deleted = rows.stock(batch)
    if deleted:
        _check(connection.executemany(DELETE_STOCK, deleted).rowcount, deleted, "stock rows")
    insert_stock(connection, new)
    _check(update_sold_stock(connection, sold), sold, "stock rows")
    _check(update_stock(connection, changed), changed, "stock rows")
    if batch.again:
        _check(connection.executemany(DELETE_RESERVATION, batch.again).rowcount, list(batch.again), "reservations")
    if batch.amended:
        connection.executemany(FORGET_ASKED, list(batch.amended))
    if batch.again or batch.amended:
        connection.executemany(DELETE_ITEMS, (*batch.again, *batch.amended))
    insert_reservations(connection, list(rows.reservations(batch, ms_to_text)))
    insert_items(connection, list(rows.items(batch)))
    moved = list(rows.moved_reservations(batch, ms_to_text))
    if moved:
        _check(connection.executemany(UPDATE_RESERVATION, moved).rowcount, moved, "reservations")
    shipped = list(rows.shipped_items(batch))
    if shipped:
        _check(connection.executemany(SHIP_ITEM, shipped).rowcount, shipped, "items")
    insert_movements(connection, list(rows.movements(batch, ms_to_text)))
    insert_journal_entries(connection, list(journal_entries(batch, ms_to_text)))
    insert_requests(connection, list(rows.requests(batch, ms_to_text)))


def _check(found: int, changed: Sequence[Row], what: str) -> None:
    if found != len(changed):
        raise StorageError(f"{len(changed) - found} of {len(changed)} {what} are not as the service knows them")

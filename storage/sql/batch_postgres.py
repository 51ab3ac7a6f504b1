"""The journal's batch on Postgres: three round trips, BEGIN, one statement, COMMIT; a large import takes more.

The one statement has a part for every table that the batch touches, each an `unnest` of one array a column; a
statement for each table would cost a round trip more for each. All parts read from the fence, so a server that
lost ownership finds no row to write from, and waits at the row lock of its successor before it writes anything.

asyncpg keeps the statement prepared. There are as many texts as combinations of parts, of which a dozen are
common.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from actors.records import Transaction
from storage.batch import Batch, fold
from storage.latecomers import Latecomers, no_latecomers
from storage.sql import rows
from storage.sql.epoch import lost_to
from storage.sql.instants import ms_to_datetime
from storage.sql.journal_rows import journal_entries
from storage.sql.rows import COLUMNS, STOCK_RECORD, STOCK_SOLD, Row
from storage.store import StorageError

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]

Parts = dict[str, list[Row]]

ROWS_A_STATEMENT = 5_000

FENCE_PARAMETERS = 5
FENCE = """
    UPDATE ownership SET last_lsn = $1::int8, last_at = $2::timestamptz
    WHERE epoch = $3::int8 AND last_lsn = $4::int8 AND generation = $5::text
    RETURNING epoch"""

# In each part {new} stands for the rows, as a table of that name, with the fence before it.
INSERT = "INSERT INTO {table} ({columns}) SELECT {values} FROM {new}"
PARTS = {
    "warehouse": INSERT
    + """ ON CONFLICT (organization_id, warehouse_id) DO UPDATE SET name = excluded.name, code = excluded.code,
        priority = excluded.priority, active = excluded.active""",
    "sourcing": INSERT + " ON CONFLICT (organization_id) DO UPDATE SET policy = excluded.policy",
    "transfer": INSERT
    + """ ON CONFLICT (organization_id, transfer_id) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at,
        lsn = excluded.lsn""",
    "transfer_line": INSERT
    + """ ON CONFLICT (organization_id, transfer_id, line) DO UPDATE SET received = excluded.received,
        damaged = excluded.damaged, missing = excluded.missing""",
    "stock_deleted": """
        DELETE FROM stock USING {new}
        WHERE stock.organization_id = new.organization_id AND stock.variant_id = new.variant_id
            AND stock.warehouse_id = new.warehouse_id AND stock.stock_id = new.stock_id
            AND stock.version = new.version_before
        RETURNING 1""",
    "stock": INSERT,
    "stock_sold": """
        UPDATE stock SET total = new.available + new.reserved + stock.damaged + stock.in_transit,
            available = new.available, reserved = new.reserved, version = new.version
        FROM {new}
        WHERE stock.organization_id = new.organization_id AND stock.variant_id = new.variant_id
            AND stock.warehouse_id = new.warehouse_id AND stock.stock_id = new.stock_id
            AND stock.version = new.version_before
        RETURNING 1""",
    "stock_changed": """
        UPDATE stock SET total = new.available + new.reserved + new.damaged + new.in_transit,
            available = new.available, reserved = new.reserved, damaged = new.damaged,
            in_transit = new.in_transit, min_stock = new.min_stock, max_stock = new.max_stock,
            reorder_point = new.reorder_point, version = new.version
        FROM {new}
        WHERE stock.organization_id = new.organization_id AND stock.variant_id = new.variant_id
            AND stock.warehouse_id = new.warehouse_id AND stock.stock_id = new.stock_id
            AND stock.version = new.version_before
        RETURNING 1""",
    "reservation": INSERT,
    "reservation_item": INSERT,
    "reservation_moved": """
        UPDATE reservation SET state = new.state, expires_at = new.expires_at, confirmed_at = new.confirmed_at,
            ended_at = new.ended_at, reason = new.reason
        FROM {new}
        WHERE reservation.organization_id = new.organization_id AND reservation.reservation_id = new.reservation_id
        RETURNING 1""",
    "item_shipped": """
        UPDATE reservation_item SET fulfilled = new.fulfilled
        FROM {new}
        WHERE reservation_item.organization_id = new.organization_id
            AND reservation_item.reservation_id = new.reservation_id AND reservation_item.line = new.line
        RETURNING 1""",
    "reservation_again": """
        DELETE FROM reservation USING {new}
        WHERE reservation.organization_id = new.organization_id AND reservation.reservation_id = new.reservation_id
        RETURNING 1""",
    "asked_forgotten": """
        UPDATE reservation SET asked = '' FROM {new}
        WHERE reservation.organization_id = new.organization_id AND reservation.reservation_id = new.reservation_id""",
    "items_replaced": """
        DELETE FROM reservation_item USING {new}
        WHERE reservation_item.organization_id = new.organization_id
            AND reservation_item.reservation_id = new.reservation_id""",
    "import_decided": INSERT,
    "import_low": INSERT,
    "stock_movement": INSERT,
    "journal_entry": INSERT,
    "request": INSERT,
}
PART_COLUMNS = {
    **COLUMNS,
    "stock_deleted": "organization_id variant_id warehouse_id stock_id version_before",
    "stock_sold": STOCK_SOLD,
    "stock_changed": f"{STOCK_RECORD} version_before",
    "reservation_moved": "state expires_at confirmed_at ended_at reason organization_id reservation_id",
    "item_shipped": "fulfilled organization_id reservation_id line",
    "reservation_again": "organization_id reservation_id",
    "asked_forgotten": "organization_id reservation_id",
    "items_replaced": "organization_id reservation_id",
}
# The parts that must find all of their rows, and what those are.
FOUND = {
    "stock_sold": "stock rows",
    "stock_changed": "stock rows",
    "stock_deleted": "stock rows",
    "reservation_moved": "reservations",
    "reservation_again": "reservations",
    "item_shipped": "items",
}
LONG_COLUMNS = {"lsn", "version", "version_before"}
TEXT_COLUMNS = {
    *(
        "name",
        "code",
        "state",
        "kind",
        "reason",
        "reference",
        "fingerprint",
        "outcome",
        "actor",
        "details",
        "policy",
        "asked",
    ),
}


def _array_type(column: str) -> str:
    if column.endswith("_id") or column in TEXT_COLUMNS or column == "scope":
        return "text[]"
    if column == "at" or column.endswith("_at"):
        return "timestamptz[]"
    return "int8[]" if column in LONG_COLUMNS else "int4[]"


@lru_cache(maxsize=256)  # all combinations of eight parts; shipments are rare, and deletions, which stand alone
def compose(parts: tuple[str, ...]) -> str:
    """The statement for these parts. It returns the fence's rows, and how many rows each UPDATE found, NULL if none."""
    ctes = [f"fence AS ({FENCE})"]
    parameter = FENCE_PARAMETERS
    for part in parts:
        columns = PART_COLUMNS[part].split()
        arrays = ", ".join(f"${parameter + n}::{_array_type(name)}" for n, name in enumerate(columns, 1))
        parameter += len(columns)
        sql = PARTS[part].format(
            table=part,
            columns=", ".join(columns),
            values=", ".join(f"new.{name}" for name in columns),
            new=f"fence CROSS JOIN unnest({arrays}) AS new ({', '.join(columns)})",
        )
        ctes.append(f"{part} AS ({sql})")
    found = (f"(SELECT count(*) FROM {part})" if part in parts else "0" for part in FOUND)
    return f"WITH {', '.join(ctes)} SELECT (SELECT count(*) FROM fence), {', '.join(found)}"


async def write_batch(
    connection: "asyncpg.Connection",
    owned: tuple[int, str],
    transactions: Sequence[Transaction],
    latecomers: Latecomers = no_latecomers,
) -> Sequence[Transaction]:
    """Write a batch, all or nothing, on a connection outside a transaction, as it is left.

    Args:
        connection: the driver's own.
        owned: the epoch and the generation that the database must be of.
        transactions: the batch.
        latecomers: see `Store.write`.

    Returns:
        What was written: the batch, and those that came late.

    Raises:
        OwnershipLost: the database's epoch is not `epoch`, or not of this generation; nothing was written.
        StorageError: the batch does not fit to what the database has; nothing was written.
        asyncpg.PostgresError, OSError: anything else; if it was COMMIT that failed, the batch may have been written.
    """
    # An import of many thousand rows must not keep the event loop while its arrays are made.
    is_large = sum(len(transaction.changes) for transaction in transactions) > ROWS_A_STATEMENT
    batch, written = await to_thread.run_sync(_folded, transactions) if is_large else _folded(transactions)
    async with connection.transaction():
        await _write(connection, owned, batch, written)
        if late := latecomers():
            await _write(connection, owned, *_folded(late))
    return (*transactions, *late) if late else transactions


async def _write(connection: "asyncpg.Connection", owned: tuple[int, str], batch: Batch, written: Parts) -> None:
    last_lsn = batch.first_lsn - 1
    for parts in _sliced(written):
        await _write_slice(connection, owned, batch, last_lsn, parts)
        last_lsn = batch.last_lsn


async def _write_slice(
    connection: "asyncpg.Connection", owned: tuple[int, str], batch: Batch, last_lsn: int, parts: Parts
) -> None:
    epoch, generation = owned
    fence = (batch.last_lsn, ms_to_datetime(batch.last_at_ms), epoch, last_lsn, generation)
    arrays = [column for part in parts.values() for column in zip(*part, strict=True)]
    passed, *found = await connection.fetchrow(compose(tuple(parts)), *fence, *arrays)
    if not passed:
        await _explain_fence(connection, owned, batch)
    for part, what in zip(FOUND, found, strict=True):
        _check_found(what, parts.get(part, []), FOUND[part])


def _folded(transactions: Sequence[Transaction]) -> tuple[Batch, Parts]:
    batch = fold(transactions)
    return batch, _rows(batch)


def _sliced(parts: Parts) -> Iterator[Parts]:
    """The same rows in slices that a statement takes; one slice without rows if there are none.

    Rows that are deleted come first and alone: the parts of one statement have no order among them, and a row may be
    made again in the place of one that is deleted. So may a reservation that is taken again, and the items of one.
    """
    for part in ("stock_deleted", "reservation_again", "asked_forgotten", "items_replaced"):
        deleted = parts.pop(part, [])
        for begin in range(0, len(deleted), ROWS_A_STATEMENT):
            yield {part: deleted[begin : begin + ROWS_A_STATEMENT]}
    longest = max((len(part_rows) for part_rows in parts.values()), default=1)
    for begin in range(0, longest, ROWS_A_STATEMENT):
        end = begin + ROWS_A_STATEMENT
        yield {part: part_rows[begin:end] for part, part_rows in parts.items() if len(part_rows) > begin}


def _rows(batch: Batch) -> Parts:
    """The parts that have rows."""
    new, sold, changed, deleted = rows.stock(batch)
    parts = {
        "warehouse": list(rows.warehouses(batch)),
        "sourcing": list(rows.sourcing(batch)),
        "transfer": list(rows.transfers(batch, ms_to_datetime)) if batch.transfers else [],
        "transfer_line": list(rows.transfer_lines(batch)) if batch.transfers else [],
        "stock_deleted": deleted,
        "stock": new,
        "stock_sold": sold,
        "stock_changed": changed,
        "reservation": list(rows.reservations(batch, ms_to_datetime)),
        "reservation_item": list(rows.items(batch)),
        "reservation_moved": list(rows.moved_reservations(batch, ms_to_datetime)),
        "reservation_again": list(batch.again),
        "asked_forgotten": list(batch.amended),
        "items_replaced": [*batch.again, *batch.amended],
        "item_shipped": list(rows.shipped_items(batch)),
        "import_low": list(rows.import_low(batch)),
        "import_decided": list(rows.decided_imports(batch, ms_to_datetime)),
        "stock_movement": list(rows.movements(batch, ms_to_datetime)),
        "journal_entry": list(journal_entries(batch, ms_to_datetime)),
        "request": list(rows.requests(batch, ms_to_datetime)),
    }
    return {part: part_rows for part, part_rows in parts.items() if part_rows}


async def _explain_fence(connection: "asyncpg.Connection", owned: tuple[int, str], batch: Batch) -> None:
    owner, epoch_found, generation, last_lsn = await connection.fetchrow(
        "SELECT owner, epoch, generation, last_lsn FROM ownership"
    )
    if (epoch_found, generation) != owned:
        raise lost_to(owner, epoch_found, owned[0])
    raise StorageError(f"the database ends at LSN {last_lsn}, and the batch begins at {batch.first_lsn}")


def _check_found(found: int, changed: Sequence[Any], what: str) -> None:
    if found != len(changed):
        raise StorageError(f"{len(changed) - found} of {len(changed)} {what} are not as the service knows them")

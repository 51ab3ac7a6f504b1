"""Moves what has long been over out of the tables that serve requests, a few hundred rows at a time.

Reservations that ended go to the archive with their items; movements go there from the beginning of the ledger
on. For each stock row `stock_opening` keeps where the movements that remain begin: so the ledger can be audited
without the archive, which the server only ever adds to, and which its operator may export and empty.
Idempotency keys serve retries and nothing else; they are deleted.

What a cursor of the events still needs stays, however old (`event_cursor`): the archive is its operator's to empty.

Nothing that is written later touches what is moved. A reservation that expired may be taken again, but only well
before it is old enough to be moved; apart from that one that ended never changes, and an actor that has it in memory
goes on to answer with it. A new transaction adds movements at the other end. So a step may run beside
a batch, as it does on Postgres, and a step that fails is done again.

Turned down: a second file for the archive (no transaction of SQLite in WAL mode spans two files); deleting
without an archive (questions about old orders are rare, and matter); partitions by month on
Postgres (SQLite has none, and a reservation ends in another month than its order began).
"""

from typing import Any

from sqlalchemy import Connection, Integer, TextClause, bindparam, text

from storage.sql.instants import Instant
from storage.sql.rows import COLUMNS
from storage.sql.schema import LONG
from storage.store import MovedOut


def _moves(table: str, condition: str) -> tuple[TextClause, TextClause]:
    columns = ", ".join(COLUMNS[table].split())
    return (
        text(f"INSERT INTO {table}_archive ({columns}) SELECT {columns} FROM {table} WHERE {condition}"),
        text(f"DELETE FROM {table} WHERE {condition}"),
    )


OLD_REQUESTS = text(
    "SELECT scope, request_id FROM request WHERE at < :before ORDER BY at, scope, request_id LIMIT :rows_max"
).bindparams(bindparam("before", type_=Instant), bindparam("rows_max", type_=Integer))
DELETE_REQUEST = text("DELETE FROM request WHERE scope = :scope AND request_id = :request_id")

OLD_RESERVATIONS = text(
    "SELECT organization_id, reservation_id, (SELECT count(*) FROM reservation_item i"
    " WHERE i.organization_id = r.organization_id AND i.reservation_id = r.reservation_id) AS items"
    " FROM reservation r WHERE ended_at < :before ORDER BY ended_at, organization_id, reservation_id LIMIT :rows_max"
).bindparams(bindparam("before", type_=Instant), bindparam("rows_max", type_=Integer))
OF_RESERVATION = "organization_id = :organization_id AND reservation_id = :reservation_id"
MOVE_RESERVATION = (*_moves("reservation", OF_RESERVATION), *_moves("reservation_item", OF_RESERVATION))

# The first transaction that a cursor still needs; later than all if none does.
NEEDED = (
    "(SELECT coalesce(min(CASE WHEN position = 2147483647 THEN lsn + 1 ELSE lsn END), 9223372036854775807)"
    " FROM event_cursor)"
)
# The times of the ledger grow with its LSNs, so its old part is a prefix and needs no index of its own.
OLD_MOVEMENTS = text(
    "SELECT lsn, position, count(*) OVER () AS movements"
    " FROM (SELECT lsn, position, at FROM stock_movement ORDER BY lsn, position LIMIT :rows_max) AS first"
    f" WHERE at < :before AND lsn < {NEEDED} ORDER BY lsn DESC, position DESC LIMIT 1"
).bindparams(bindparam("before", type_=Instant), bindparam("rows_max", type_=Integer))
OF_PREFIX = "(lsn, position) <= (:lsn, :position)"
ROW = "organization_id, variant_id, warehouse_id"
QUANTITIES = ("available", "reserved", "damaged", "in_transit")
OPEN_LATER = text(
    f"INSERT INTO stock_opening ({ROW}, {', '.join(QUANTITIES)}, lsn)"
    f" SELECT {ROW}, {', '.join(f'{name}_after' for name in QUANTITIES)}, lsn FROM ("
    f" SELECT *, row_number() OVER (PARTITION BY {ROW} ORDER BY lsn DESC, position DESC) AS newest"
    f" FROM stock_movement WHERE {OF_PREFIX}) AS movement WHERE newest = 1"
    f" ON CONFLICT ({ROW}) DO UPDATE SET lsn = excluded.lsn,"
    f" {', '.join(f'{name} = excluded.{name}' for name in QUANTITIES)}"
)
MOVE_MOVEMENTS = [
    statement.bindparams(bindparam("lsn", type_=LONG), bindparam("position", type_=Integer))
    for statement in (OPEN_LATER, *_moves("stock_movement", OF_PREFIX))
]

# An entry stays as long as any of its lines does, so that what is here says what every line here belongs to.
OLD_ENTRIES = text(
    "SELECT lsn, organization_id, count(*) OVER () AS entries FROM ("
    " SELECT lsn, organization_id, at FROM journal_entry ORDER BY lsn, organization_id LIMIT :rows_max) AS first"
    " WHERE at < :before AND lsn < coalesce((SELECT min(lsn) FROM stock_movement), lsn + 1)"
    f" AND lsn < {NEEDED}"
    " ORDER BY lsn DESC, organization_id DESC LIMIT 1"
).bindparams(bindparam("before", type_=Instant), bindparam("rows_max", type_=Integer))
MOVE_ENTRIES = [
    statement.bindparams(bindparam("lsn", type_=LONG))
    for statement in _moves("journal_entry", "(lsn, organization_id) <= (:lsn, :organization_id)")
]


def move_out(connection: Connection, before_ms: int, rows_max: int) -> MovedOut:
    """One step of `Store.move_out`, in the transaction that the caller began and ends behind its fence."""
    requests = _delete_requests(connection, before_ms, rows_max)
    left = rows_max - requests
    reservations, items = _move_reservations(connection, before_ms, left) if left > 0 else (0, 0)
    left -= reservations + items
    movements = _move_movements(connection, before_ms, left) if left > 0 else 0
    left -= movements
    entries = _move_entries(connection, before_ms, left) if left > 0 else 0
    return MovedOut(requests, reservations, items, movements, entries)


def _delete_requests(connection: Connection, before_ms: int, rows_max: int) -> int:
    old = _rows(connection, OLD_REQUESTS, before=before_ms, rows_max=rows_max)
    if old:
        connection.execute(DELETE_REQUEST, old)
    return len(old)


def _move_reservations(connection: Connection, before_ms: int, rows_max: int) -> tuple[int, int]:
    """How many reservations and items were moved: those that fit, or one that has more lines than a step has rows."""
    chosen: list[dict[str, Any]] = []
    items, left = 0, rows_max
    for row in _rows(connection, OLD_RESERVATIONS, before=before_ms, rows_max=rows_max):
        count = row.pop("items")
        if chosen and left < 1 + count:
            break
        left -= 1 + count
        items += count
        chosen.append(row)
    if chosen:
        for statement in MOVE_RESERVATION:
            connection.execute(statement, chosen)
    return len(chosen), items


def _move_movements(connection: Connection, before_ms: int, rows_max: int) -> int:
    for last in _rows(connection, OLD_MOVEMENTS, before=before_ms, rows_max=rows_max):
        movements: int = last.pop("movements")
        for statement in MOVE_MOVEMENTS:
            connection.execute(statement, last)
        return movements
    return 0


def _move_entries(connection: Connection, before_ms: int, rows_max: int) -> int:
    for last in _rows(connection, OLD_ENTRIES, before=before_ms, rows_max=rows_max):
        entries: int = last.pop("entries")
        for statement in MOVE_ENTRIES:
            connection.execute(statement, last)
        return entries
    return 0


def _rows(connection: Connection, statement: TextClause, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement, parameters).mappings()]

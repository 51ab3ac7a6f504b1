"""What every table of a database must hold after a journal, written a second time: it shares no more with the code that
writes the tables than how an instant is spelled.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import Any

from actors.records import ReservationRecord, StockRecord, Transaction
from simulation.disks.expected_entries import ENTRY_COLUMNS, entries_of
from storage.sql.instant_text import ms_to_text

Row = tuple[Any, ...]

STATES = ("available", "reserved", "damaged", "in_transit")

_COLUMNS = {
    "warehouse": ("organization_id", "warehouse_id", "name", "code", "priority", "active"),
    "sourcing": ("organization_id", "policy"),
    "stock": (
        *("organization_id", "variant_id", "warehouse_id", "stock_id", "total", *STATES),
        *("min_stock", "max_stock", "reorder_point", "version"),
    ),
    "reservation": (
        *("organization_id", "reservation_id", "order_id", "state", "created_at", "expires_at"),
        *("confirmed_at", "ended_at", "reason", "lsn", "asked"),
    ),
    "reservation_item": (
        *("organization_id", "reservation_id", "line", "variant_id", "warehouse_id", "requested_warehouse_id"),
        *("stock_id", "quantity", "stock_before", "stock_after", "fulfilled"),
    ),
    "stock_movement": (
        *("lsn", "position", "at", "kind", "organization_id", "variant_id", "warehouse_id"),
        *(f"{state}_before" for state in STATES),
        *(f"{state}_after" for state in STATES),
        *("reference", "reason", "reservation_id", "order_id"),
    ),
    "journal_entry": ENTRY_COLUMNS,
    "import_low": ("lsn", "position", "least", "reorder"),
    "transfer": (
        *("organization_id", "transfer_id", "from_warehouse_id", "to_warehouse_id", "state", "shipped_at", "ended_at"),
        "lsn",
    ),
    "transfer_line": (
        *("organization_id", "transfer_id", "line", "variant_id", "sent", "received", "damaged", "missing"),
    ),
    "request": ("scope", "request_id", "fingerprint", "outcome", "lsn", "at"),
}


def columns_of(table: str) -> tuple[str, ...]:
    """The columns of a table's rows in `tables_of`."""
    return _COLUMNS[table.removesuffix("_archive")]


def tables_of(
    journal: Sequence[Transaction],
    moved: Collection[tuple[str, str]] = (),
    movements_moved: int = 0,
    entries_moved: int = 0,
) -> dict[str, set[Row]]:
    """Every table's rows after a journal, from its first transaction on.

    Args:
        moved: reservations that went to the archive.
        movements_moved: how many lines of the ledger went there.
        entries_moved: how many rows of the journal went there.

    Returns:
        The rows by table; of requests only the last answer under each key.
    """
    movements = [row for transaction in journal for row in _movements(transaction)]
    entries = entries_of(journal)
    tables = {
        "journal_entry": set(entries[entries_moved:]),
        "journal_entry_archive": set(entries[:entries_moved]),
        "warehouse": _last(_warehouses(journal), keys=2),
        "sourcing": _last(_policies(journal), keys=1),
        "stock": {_stock(record) for record in _last_records(journal) if record.exists},
        "stock_movement": set(movements[movements_moved:]),
        "stock_movement_archive": set(movements[:movements_moved]),
        "import_low": {row for transaction in journal if transaction.staged is not None for row in _low(transaction)},
        "transfer": _last(_transfers(journal), keys=2),
        "transfer_line": _last(_transfer_lines(journal), keys=3),
        "request": _last(_requests(journal), keys=2),
    }
    reservations = _reservations(journal)
    items = {row for reservation, _ in reservations.values() for row in _items(reservation)}
    for table, rows in (
        ("reservation", {_reservation(*one) for one in reservations.values()}),
        ("reservation_item", items),
    ):
        tables[table] = {row for row in rows if row[:2] not in moved}
        tables[f"{table}_archive"] = {row for row in rows if row[:2] in moved}
    return tables


def _last(rows: Iterator[Row], keys: int) -> set[Row]:
    return set({row[:keys]: row for row in rows}.values())


def _warehouses(journal: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in journal:
        for warehouse in transaction.warehouses:
            one = warehouse
            yield one.organization_id, one.warehouse_id, one.name, one.code, one.priority, 1 if one.is_active else 0


def _policies(journal: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in journal:
        if transaction.sourcing is not None:
            yield transaction.sourcing.organization_id, transaction.sourcing.policy


def _last_records(journal: Sequence[Transaction]) -> Iterator[StockRecord]:
    last = {change.after.key: change.after for one in journal for change in one.changes}
    yield from last.values()


def _stock(row: StockRecord) -> Row:
    pieces = [getattr(row, state) for state in STATES]
    levels = (row.min_stock, row.max_stock, row.reorder_point)
    return (*row.key, row.stock_id, sum(pieces), *pieces, *levels, row.version)


def _movements(transaction: Transaction) -> Iterator[Row]:
    reservation = transaction.reservation
    owner = (reservation.reservation_id, reservation.order_id) if reservation is not None else ("", "")
    for position, change in zip(transaction.positions or count(), transaction.changes):  # noqa: B905 - `count` has no end
        pieces = [getattr(record, state) for record in (change.before, change.after) for state in STATES]
        where = (transaction.lsn, position, ms_to_text(transaction.at_ms), transaction.kind, *change.after.key)
        yield (*where, *pieces, transaction.reference, transaction.reason, *owner)


def _low(transaction: Transaction) -> Iterator[Row]:
    for position, change in zip(transaction.positions, transaction.changes, strict=True):
        before, after = change.before.available, change.after
        lines = (after.min_stock, after.reorder_point)
        if any(line > 0 and after.available <= line < before for line in lines):
            yield (transaction.lsn, position, *lines)


def _reservations(journal: Sequence[Transaction]) -> dict[tuple[str, str], tuple[ReservationRecord, int]]:
    """Each reservation as it stands, and the LSN at which it was made or taken again."""
    found: dict[tuple[str, str], tuple[ReservationRecord, int]] = {}
    for transaction in journal:
        reservation = transaction.reservation
        if reservation is not None:
            key = (reservation.organization_id, reservation.reservation_id)
            is_made = key not in found or transaction.kind == "reacquire"
            made_lsn = transaction.lsn if is_made else found[key][1]
            found[key] = (reservation, made_lsn)
    return found


def _reservation(reservation: ReservationRecord, made_lsn: int) -> Row:
    one = reservation
    instants = (one.created_at_ms, one.expires_at_ms, one.confirmed_at_ms, one.ended_at_ms)
    times = [ms_to_text(at_ms) if at_ms else None for at_ms in instants]
    return (one.organization_id, one.reservation_id, one.order_id, one.state, *times, one.reason, made_lsn, one.asked)


def _items(reservation: ReservationRecord) -> Iterator[Row]:
    for line, item in enumerate(reservation.items):
        where = (item.variant_id, item.warehouse_id, item.requested_warehouse_id, item.stock_id)
        pieces = (item.quantity, item.stock_before, item.stock_after, item.fulfilled)
        yield (reservation.organization_id, reservation.reservation_id, line, *where, *pieces)


def _transfers(journal: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in journal:
        one = transaction.transfer
        if one is not None:
            ended = ms_to_text(one.ended_at_ms) if one.ended_at_ms else None
            where = (one.organization_id, one.transfer_id, one.from_warehouse_id, one.to_warehouse_id, one.state)
            yield (*where, ms_to_text(one.shipped_at_ms), ended, transaction.lsn)


def _transfer_lines(journal: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in journal:
        one = transaction.transfer
        for place, line in enumerate(one.lines if one is not None else ()):
            assert one is not None
            pieces = (line.variant_id, line.sent, line.received, line.damaged, line.missing)
            yield (one.organization_id, one.transfer_id, place, *pieces)


def _requests(journal: Sequence[Transaction]) -> Iterator[Row]:
    for transaction in journal:
        request = transaction.request
        if request is not None:
            answer = (request.fingerprint, request.outcome.decode())
            yield (request.scope, request.request_id, *answer, transaction.lsn, ms_to_text(transaction.at_ms))

"""An organization's rows on a simulated disk: what `storage.sql.organization_rows` reads, writes and deletes.

The tables are called as in a database, and an LSN stands in the column in which a database has it, so that the same
program copies them. The rest of a row is one text: nothing but this file reads it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar
from zlib import crc32

import msgspec
from msgspec.structs import replace

from actors.organization_moves import WHOLE, Cleared, OrganizationRows, OrganizationTally, Place, Span, Value
from actors.organization_stays import Shift
from actors.records import RequestKey, RequestRecord, ReservationRecord, StockRecord, Transaction, WarehouseRecord
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferRecord
from storage.memory_disk import Disk
from storage.organization_parts import part_of, without
from storage.store import StorageError

T = TypeVar("T")
Row = Sequence[Value]
Record = WarehouseRecord | SourcingRecord | StockRecord | ReservationRecord | TransferRecord

ROWS_A_PAGE = 1_000
UNKNOWN = Transaction(0, 0, "remember")  # of a request whose entry another try has deleted
JOURNAL, REQUESTS = "journal_entry", "request"
LSN_OF_REQUEST = 4  # its place in a row
RESERVATIONS, ARCHIVED = "reservation_item", "reservation_item_archive"
TYPES: dict[str, type[Any]] = {
    "warehouse": WarehouseRecord,
    "sourcing": SourcingRecord,
    "stock": StockRecord,
    RESERVATIONS: ReservationRecord,
    ARCHIVED: ReservationRecord,
    "transfer_line": TransferRecord,
}


def read_rows(
    disk: Disk, organization_id: str, table: str, after: Place | None, span: Span = WHOLE
) -> OrganizationRows:
    """Some rows of a table, behind a place, and where the next ones begin."""
    if table == JOURNAL:
        return _entries(disk, organization_id, after, span)
    found = list(_keyed(disk, organization_id, table, span))
    page = list[Row]()
    last: tuple[Value, ...] | None = None if after is None else tuple(after)
    begin = 0 if last is None else bisect_right(found, last, key=_key_of)
    for key, row in found[begin:]:
        if len(page) >= ROWS_A_PAGE and key != last:  # those of an order come together
            return OrganizationRows(page, last)
        page.append(row)
        last = key
    return OrganizationRows(page)


def changed_keys(disk: Disk, organization_id: str, table: str, span: Span) -> OrganizationRows:
    """The keys of rows that may be there in another state than before the span."""
    if table in ("warehouse", "sourcing"):
        return OrganizationRows([()])
    return OrganizationRows(sorted(_changed(disk, organization_id, table, span)))


def write_rows(disk: Disk, organization_id: str, table: str, rows: Sequence[Row], keys: Sequence[Place] = ()) -> None:
    """Delete what is under these keys, and add rows, all or none. Raises `StorageError`: one of them is there."""
    wanted = {tuple(key) for key in keys}
    for record in _records(disk, organization_id, table) if wanted else ():
        if () in wanted or _changed_key(record) in wanted:
            _drop(disk, table, record)
    adding = [_adding(disk, table, row) for row in rows]
    for add in adding:
        add()


def tally(disk: Disk, organization_id: str, table: str, shift: Shift) -> OrganizationTally:
    """What a table has, in a few figures, with its LSNs as they are after a shift."""
    if table == JOURNAL:
        history = _history(disk, organization_id)
        texts = [_text(replace(one, lsn=0)) for one in history]
        return OrganizationTally(len(texts), sum(shift.of(one.lsn) for one in history), [sum(map(_sum_of, texts))])
    rows = [row for _, row in _keyed(disk, organization_id, table, WHOLE)]
    lsns = sum(shift.of(int(row[LSN_OF_REQUEST] or 0)) for row in rows) if table == REQUESTS else None
    return OrganizationTally(len(rows), lsns, [sum(_sum_of(str(row[0])) for row in rows)])


def _sum_of(text: str) -> int:
    return crc32(text.encode())


def clear_rows(disk: Disk, organization_id: str) -> Cleared:
    """Delete some rows of the organization, the oldest first. What a relay needs stays, and so does all the rest."""
    if _is_needed(disk, organization_id):
        return "needed"
    if _clear_history(disk, organization_id) or _clear_requests(disk, organization_id):
        return "some"
    return "some" if any(_clear_table(disk, organization_id, table) for table in TYPES) else "all"


# ---- reading ------------------------------------------------------------------------------------------------------


def _history(disk: Disk, organization_id: str) -> list[Transaction]:
    parts = (part_of(one, organization_id) for one in disk.history_of(organization_id))
    return [one for one in parts if one is not None]


def _entries(disk: Disk, organization_id: str, after: Place | None, span: Span) -> OrganizationRows:
    history = _within(_history(disk, organization_id), span)
    begin = 0 if after is None else bisect_right(history, int(after[0] or 0), key=_lsn_of)
    page = history[begin : begin + ROWS_A_PAGE]
    rows = [(one.lsn, organization_id, _text(replace(one, lsn=0))) for one in page]
    return OrganizationRows(rows, (page[-1].lsn,) if begin + len(page) < len(history) else None)


def _within(history: list[Transaction], span: Span) -> list[Transaction]:
    begin = 0 if span.after_lsn is None else bisect_right(history, span.after_lsn, key=_lsn_of)
    end = len(history) if span.upto_lsn is None else bisect_right(history, span.upto_lsn, key=_lsn_of)
    return history[begin:end]


def _changed(disk: Disk, organization_id: str, table: str, span: Span) -> set[tuple[str, ...]]:
    """The keys of a table that the history names in a span."""
    history = _within(_history(disk, organization_id), span)
    match table:
        case "stock":
            return {(it.after.variant_id, it.after.warehouse_id) for one in history for it in one.changes}
        case "reservation_item":
            return {(one.reservation.reservation_id,) for one in history if one.reservation is not None}
        case "transfer_line":
            return {(one.transfer.transfer_id,) for one in history if one.transfer is not None}
    return set()


def _keyed(disk: Disk, organization_id: str, table: str, span: Span) -> Iterator[tuple[tuple[Value, ...], Row]]:
    """The rows that a span means, each with its place."""
    if table == REQUESTS:
        lsns = {one.lsn for one in _within(_history(disk, organization_id), span)}
        found = _requests(disk, organization_id)
        yield from (((row[1],), row) for row in found if row[LSN_OF_REQUEST] in lsns)
        return
    is_all = span.after_lsn is None or table in ("warehouse", "sourcing")
    changed = set() if is_all else _changed(disk, organization_id, table, span)
    for record in _records(disk, organization_id, table):
        if is_all or _changed_key(record) in changed:
            yield _place_of(table, record), (_text(record),)


def _key_of(one: tuple[tuple[Value, ...], Row]) -> tuple[Value, ...]:
    return one[0]


def _place_of(table: str, record: Record) -> tuple[Value, ...]:
    """Reservations of an order are in the order in which they were made, and so come together."""
    if isinstance(record, ReservationRecord) and table == RESERVATIONS:
        return (record.order_id,)
    return _changed_key(record)


def _changed_key(record: Record) -> tuple[str, ...]:
    match record:
        case WarehouseRecord():
            return (record.warehouse_id,)
        case SourcingRecord():
            return ("",)
        case StockRecord():
            return (record.variant_id, record.warehouse_id)
        case ReservationRecord():
            return (record.reservation_id,)
        case TransferRecord():
            return (record.transfer_id,)


def _lsn_of(one: Transaction) -> int:
    return one.lsn


def _requests(disk: Disk, organization_id: str) -> Iterator[Row]:
    """Those that are not forgotten, by their ids."""
    answered = {
        one.request.request_id: one for one in _history(disk, organization_id) if one.request is not None
    }  # the latest: an id that was forgotten may be used again
    for key in disk.request_keys[bisect_left(disk.request_keys, RequestKey(organization_id, "")) :]:
        if key.scope != organization_id:
            return
        record, at = disk.requests[key], answered.get(key.request_id, UNKNOWN)
        yield *key, record.fingerprint, record.outcome.decode(), at.lsn, at.at_ms


def _reservations(disk: Disk, organization_id: str) -> list[ReservationRecord]:
    """Those of each order, the latest last."""
    begin = bisect_left(disk.orders, (organization_id, ""))
    orders = takewhile(lambda order: order.organization_id == organization_id, disk.orders[begin:])
    return [disk.reservations[organization_id, one] for order in orders for one in disk.reservations_by_order[order]]


def _records(disk: Disk, organization_id: str, table: str) -> list[Record]:
    """What a table has that is no more than a record, in a fixed order."""
    match table:
        case "warehouse":
            return [one for key, one in sorted(disk.warehouses.items()) if key[0] == organization_id]
        case "sourcing":
            return [disk.sourcing[organization_id]] if organization_id in disk.sourcing else []
        case "stock":
            return [disk.stock[key] for key in disk.rows_by_organization.get(organization_id, ())]
        case "reservation_item":
            return [*_reservations(disk, organization_id)]
        case "reservation_item_archive":
            return [one for key, one in sorted(disk.archived.items()) if key[0] == organization_id]
        case "transfer_line":
            return [one for key, one in sorted(disk.transfers.items()) if key.organization_id == organization_id]
    return []


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


# ---- writing ------------------------------------------------------------------------------------------------------


def _adding(disk: Disk, table: str, row: Row) -> Callable[[], None]:
    """What adds a row."""
    if table == JOURNAL:
        lsn, organization_id, text = row
        entry = replace(msgspec.json.decode(str(text), type=Transaction), lsn=int(lsn or 0))
        return _adding_entry(disk, str(organization_id), entry)
    if table == REQUESTS:
        scope, request_id, fingerprint, outcome, _, at_ms = row
        request = RequestRecord(str(scope), str(request_id), str(fingerprint), str(outcome).encode())
        _refuse(request.key in disk.requests, request)
        return partial(_add_request, disk, request, int(at_ms or 0))
    record = msgspec.json.decode(str(row[0]), type=TYPES[table])
    there = {_changed_key(one) for one in _records(disk, record.organization_id, table)}
    _refuse(_changed_key(record) in there, record)
    return partial(_add_record, disk, table, record)


def _adding_entry(disk: Disk, organization_id: str, entry: Transaction) -> Callable[[], None]:
    came = disk.came.setdefault(organization_id, [])
    place = bisect_left(came, entry.lsn, key=_lsn_of)
    is_there = place < len(came) and came[place].lsn == entry.lsn
    _refuse(entry.lsn >= 0 or is_there, entry)
    return partial(insort, came, entry, key=_lsn_of)


def _add_request(disk: Disk, record: RequestRecord, at_ms: int) -> None:
    disk.requests[record.key] = record
    insort(disk.request_keys, record.key)
    insort(disk.answered, (at_ms, *record.key))


def _add_record(disk: Disk, table: str, record: Record) -> None:
    match record:
        case WarehouseRecord():
            disk.warehouses[record.organization_id, record.warehouse_id] = record
        case SourcingRecord():
            disk.sourcing[record.organization_id] = record
        case StockRecord():
            disk.keep_rows([record])
        case ReservationRecord() if table == RESERVATIONS:
            disk.add_reservation(record)
        case ReservationRecord():
            disk.archived[record.organization_id, record.reservation_id] = record
        case TransferRecord():
            disk.transfers[record.key] = record


def _refuse(is_wrong: bool, what: object) -> None:
    if is_wrong:
        raise StorageError(f"{what!r} cannot be added")


# ---- deleting -----------------------------------------------------------------------------------------------------


def _is_needed(disk: Disk, organization_id: str) -> bool:
    newest = max((one.lsn for one in _history(disk, organization_id)), default=0)
    return any(one.point.lsn < newest for one in disk.cursors.values())


def _clear_history(disk: Disk, organization_id: str) -> bool:
    came = disk.came.get(organization_id)
    if came:
        del came[:ROWS_A_PAGE]
        return True
    disk.came.pop(organization_id, None)
    mine = [place for place, one in enumerate(disk.transactions) if part_of(one, organization_id) is not None]
    for place in mine[:ROWS_A_PAGE]:
        disk.transactions[place] = without(disk.transactions[place], organization_id)
    return bool(mine)


def _clear_table(disk: Disk, organization_id: str, table: str) -> bool:
    found = _records(disk, organization_id, table)[:ROWS_A_PAGE]
    for record in found:
        _drop(disk, table, record)
    return bool(found)


def _drop(disk: Disk, table: str, record: Record) -> None:
    match record:
        case WarehouseRecord():
            del disk.warehouses[record.organization_id, record.warehouse_id]
        case SourcingRecord():
            del disk.sourcing[record.organization_id]
        case StockRecord():
            disk.keep_rows([replace(record, is_deleted=True)])
        case ReservationRecord() if table == RESERVATIONS:
            disk.drop_reservation(record)
        case ReservationRecord():
            del disk.archived[record.organization_id, record.reservation_id]
        case TransferRecord():
            del disk.transfers[record.key]


def _clear_requests(disk: Disk, organization_id: str) -> bool:
    gone = [key for key in disk.request_keys if key.scope == organization_id][:ROWS_A_PAGE]
    for key in gone:
        del disk.requests[key]
        del disk.request_keys[bisect_left(disk.request_keys, key)]
    if gone:
        disk.answered = [one for one in disk.answered if RequestKey(*one[1:]) in disk.requests]
    return bool(gone)

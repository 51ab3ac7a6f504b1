"""The audit of one organization's rows on a simulated disk: they agree with their history and with each other."""

from collections import Counter
from collections.abc import Iterator, Sequence

from actors.organization_moves import OrganizationAudit
from actors.records import ReservationRecord, StockKey, StockRecord, Transaction
from storage.memory_disk import Disk
from storage.organization_parts import part_of


def audit_rows(disk: Disk, organization_id: str) -> OrganizationAudit:
    """All of it at once."""
    rows = {key: disk.stock[key] for key in disk.rows_by_organization.get(organization_id, ())}
    reservations = [one for key, one in sorted(disk.reservations.items()) if key[0] == organization_id]
    kept = {one.reservation_id: one for key, one in sorted(disk.archived.items()) if key[0] == organization_id}
    kept |= {one.reservation_id: one for one in reservations}
    parts = [part_of(one, organization_id) for one in disk.history_of(organization_id)]
    history = [one for one in parts if one is not None]
    found = [*_of_rows(history, rows), *_of_reservations(history, kept), *_of_reserved(rows, reservations)]
    figures = (len(rows), sum(len(one.changes) for one in history), len(reservations))
    return OrganizationAudit(1, 0, found[0] if found else "", figures)


def _of_rows(history: Sequence[Transaction], rows: dict[StockKey, StockRecord]) -> Iterator[str]:
    last: dict[StockKey, StockRecord] = {}
    for one in history:
        for change in one.changes:
            known = last.get(change.after.key, change.before)
            if _figures(known) != _figures(change.before):
                yield f"LSN {one.lsn} changes {change.before}, which was {known}"
            last[change.after.key] = change.after
    for key in sorted(last.keys() | rows.keys()):
        told, row = last.get(key), rows.get(key)
        if (told if told is not None and told.exists else None) != row:
            yield f"the row {key} is {row}, and its history ends with {told}"


def _figures(record: StockRecord) -> tuple[int, ...]:
    return record.available, record.reserved, record.damaged, record.in_transit


def _of_reservations(history: Sequence[Transaction], kept: dict[str, ReservationRecord]) -> Iterator[str]:
    told = {one.reservation.reservation_id: one.reservation for one in history if one.reservation is not None}
    for reservation_id in sorted(told.keys() | kept.keys()):
        known, here = told.get(reservation_id), kept.get(reservation_id)
        if known != here:
            yield f"the reservation {reservation_id} is {here}, and its history ends with {known}"


def _of_reserved(rows: dict[StockKey, StockRecord], reservations: Sequence[ReservationRecord]) -> Iterator[str]:
    held: Counter[StockKey] = Counter()
    for one in reservations:
        for item in one.items if one.holds_stock else ():
            held[StockKey(one.organization_id, item.variant_id, item.warehouse_id)] += item.unshipped
    for key, row in rows.items():
        if row.reserved != held[key]:
            yield f"the row {key} has {row.reserved} reserved, and its reservations hold {held[key]}"

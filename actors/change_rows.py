"""A change, made of the rows that a database keeps of it: one for the transaction, and one for each stock row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from actors.changes import Change, ChangedLine, ChangedReservation, ChangedRow, Pieces
from actors.records import ReservationItem, TransactionKind, WarehouseRecord
from actors.sourcing import SourcingPolicy
from actors.transfer_records import TransferRecord


class Details(Struct, frozen=True, omit_defaults=True):
    """What hardly any transaction has: `journal_entry.details`."""

    items: tuple[ReservationItem, ...] = ()
    low: tuple[tuple[int, int, int], ...] = ()
    warehouses: tuple[WarehouseRecord, ...] = ()
    transfer: TransferRecord | None = None
    sourcing: SourcingPolicy | None = None
    warehouses_before: tuple[WarehouseRecord, ...] = ()
    gone: str = ""


_details = msgspec.json.Decoder(Details)
_NO_DETAILS = Details()


def details_of(entry: Any) -> Details:
    """Those of a transaction's row."""
    return _details.decode(entry.details) if entry.details else _NO_DETAILS


def change_told(
    entry: Any,
    lines: Sequence[Any],
    details: Details,
    stock_ids: Sequence[str] = (),
    fell: Mapping[int, tuple[int, int]] | None = None,
) -> Change:
    """Of a transaction's row, its lines, which begin with place, row and quantities, and their stock ids if told.

    Args:
        fell: which rows of a large import fell to their minimum; of others the details say it.
    """
    low = {position: (least, reorder) for position, least, reorder in details.low} | dict(fell or {})
    rows = tuple(
        [
            ChangedRow(row[1], row[2], row[3], *_pieces(row[4:12]), low.get(row[1]), stock_id)
            for row, stock_id in zip(lines, stock_ids or [""] * len(lines), strict=True)
        ]
    )
    it = None
    if entry.reservation_id:
        reserved = lines_of(entry.kind, rows, details.items)
        it = ChangedReservation(entry.reservation_id, entry.order_id, entry.state, entry.expires_at, reserved)
    said = (entry.reference, entry.reason, entry.request_id, entry.actor, entry.correlation_id)
    return Change(
        entry.lsn,
        entry.at,
        entry.kind,
        rows,
        it,
        details.warehouses,
        *said,
        transfer=details.transfer,
        sourcing=details.sourcing,
    )


def _pieces(figures: Sequence[int]) -> tuple[Pieces, Pieces]:
    return Pieces(*figures[:4]), Pieces(*figures[4:])


def lines_of(
    kind: TransactionKind, rows: Sequence[ChangedRow], items: Iterable[ReservationItem]
) -> tuple[ChangedLine, ...]:
    """A reservation's lines: of one that was just made its stock rows say them."""
    if kind != "reserve":
        return tuple([ChangedLine(item.variant_id, item.warehouse_id, item.quantity) for item in items])
    return tuple(
        [ChangedLine(row.variant_id, row.warehouse_id, row.after.reserved - row.before.reserved) for row in rows]
    )

"""What a page of the feed says, and how it travels: as the rows that the database has, in JSON that the database makes.

A relay follows as fast as reservations are made, and its entries cost more to make than a reservation's way through the
core leaves for it. So the server hands on rows that it has not looked at, and the one that reads the page makes the
entries of them.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from actors.change_rows import Details, change_told, details_of
from actors.changes import WHOLE, Change, ChangedRow, Point
from actors.records import ReservationItem, ReservationState, TransactionKind, WarehouseRecord


class FeedEntry(Struct, frozen=True):
    """A transaction in one organization that it touches, or as many of its rows as a page has room for.

    Args:
        change: what happened. Its rows have their stock ids.
        warehouses_before: those of its warehouses that there were before, as they were.
        items: of a reservation whose basket is another one after it, the whole basket.
        is_first: its first row is here, or it has none; what belongs to no row is told with that one.
    """

    organization_id: str
    change: Change
    warehouses_before: tuple[WarehouseRecord, ...] = ()
    items: tuple[ReservationItem, ...] = ()
    is_first: bool = True


class EntryRow(Struct, frozen=True, array_like=True):
    """A row of `journal_entry`. Its fields are the columns, times in milliseconds."""

    lsn: int
    organization_id: str
    at: int
    kind: TransactionKind
    reservation_id: str
    order_id: str
    state: ReservationState | str
    expires_at: int
    reference: str
    reason: str
    request_id: str
    actor: str
    correlation_id: str
    details: str


# A row of `stock_movement`: place, row, quantities before and after, organization, and the row's stock id now.
LineRow = tuple[int, int, str, str, int, int, int, int, int, int, int, int, str, str]

_entry_rows = msgspec.json.Decoder(list[EntryRow])
_line_rows = msgspec.json.Decoder(list[LineRow])
_json = msgspec.json.Encoder()


class FeedRows(Struct, frozen=True):
    """The rows of a page: JSON arrays of `EntryRow` and of `LineRow`, in the order of their places or not."""

    entries: bytes = b"[]"
    lines: bytes = b"[]"

    @property
    def is_empty(self) -> bool:
        return len(self.entries) <= 2

    @property
    def bytes_long(self) -> int:
        return len(self.entries) + len(self.lines)


def entries_told(rows: FeedRows, after: Point, upto: Point | None) -> tuple[FeedEntry, ...]:
    """The entries of a page that begins behind one place and ends at another, in their order."""
    lines: dict[tuple[int, str], list[LineRow]] = {}
    for row in sorted(_line_rows.decode(rows.lines)):
        lines.setdefault((row[0], row[12]), []).append(row)
    cut_lsn = upto.lsn if upto is not None and upto.position != WHOLE else 0
    found = sorted(_entry_rows.decode(rows.entries), key=_place)
    told = [_entry(one, lines.get(_place(one), ()), one.lsn > after.lsn, one.lsn != cut_lsn) for one in found]
    return tuple([one for one in told if one.change.tells_anything and (one.is_first or one.change.rows)])


def _place(one: EntryRow) -> tuple[int, str]:
    return one.lsn, one.organization_id


def _entry(one: EntryRow, lines: Sequence[LineRow], is_first: bool, is_whole: bool) -> FeedEntry:
    details = details_of(one)
    change = change_told(one, lines, details, [details.gone or row[13] for row in lines])
    if not is_whole:
        change = msgspec.structs.replace(change, is_whole=False)
    return FeedEntry(one.organization_id, change, details.warehouses_before, details.items, is_first)


# ---- the other way ----------------------------------------------------------------------------------------------


def rows_of(entries: Iterable[FeedEntry]) -> FeedRows:
    """The rows of which `entries_told` makes these entries again."""
    told = list(entries)
    lines = [_line_row(one, row) for one in told for row in one.change.rows]
    return FeedRows(_json.encode([_entry_row(one) for one in told]), _json.encode(lines))


def _entry_row(one: FeedEntry) -> EntryRow:
    change, it = one.change, one.change.reservation
    reservation = ("", "", "", 0) if it is None else (it.reservation_id, it.order_id, it.state, it.expires_at_ms)
    details = _json.encode(_details_of(one)).decode()
    said = (change.reference, change.reason, change.request_id, change.actor, change.correlation_id)
    return EntryRow(change.lsn, one.organization_id, change.at_ms, change.kind, *reservation, *said, details)


def _details_of(one: FeedEntry) -> Details:
    change = one.change
    low = tuple([(row.position, *row.low) for row in change.rows if row.low is not None])
    gone = change.rows[0].stock_id if change.kind == "delete" and change.rows else ""
    return Details(one.items, low, change.warehouses, change.transfer, change.sourcing, one.warehouses_before, gone)


def _line_row(one: FeedEntry, row: ChangedRow) -> LineRow:
    before, after = row.before, row.after
    figures = (before.available, before.reserved, before.damaged, before.in_transit)
    left = (after.available, after.reserved, after.damaged, after.in_transit)
    place = (one.change.lsn, row.position, row.variant_id, row.warehouse_id)
    return (*place, *figures, *left, one.organization_id, row.stock_id)

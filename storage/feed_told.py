"""The feed, told from a journal in memory: what `storage.sql.feed_reads` reads from tables. A test compares them."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from actors.changes import WHOLE, Point
from actors.feed_entries import FeedEntry, rows_of
from actors.history_feed import FeedPart
from actors.records import RowChange, Transaction
from storage.told import change_of, has_lines

TRANSACTIONS_MAX = 500


def entries_of(one: Transaction) -> Iterator[FeedEntry]:
    """What is told of a transaction, by organization; nothing of an answer that is only remembered."""
    organizations = {change.after.organization_id for change in one.changes}
    organizations.update(named.organization_id for named in one.warehouses)
    organizations.update(it.organization_id for it in (one.reservation, one.transfer) if it is not None)
    for organization_id in sorted(organizations):
        change = change_of(one, organization_id)
        if change is None:
            continue
        changes = dict(one.placed())
        rows = [replace(row, stock_id=_stock_id(one, changes[row.position])) for row in change.rows]
        was = tuple([named for named in one.warehouses_before if named.organization_id == organization_id])
        items = one.reservation.items if one.reservation is not None and has_lines(one) else ()
        yield FeedEntry(organization_id, replace(change, rows=tuple(rows)), was, items)


def _stock_id(one: Transaction, change: RowChange) -> str:
    return change.before.stock_id if one.kind == "delete" else change.after.stock_id


def read_feed(journal: Sequence[Transaction], after: Point, rows_max: int) -> FeedPart:
    """What happened behind a place. The journal begins with LSN 1 and has no gap."""
    begin = after.lsn if after.position == WHOLE else after.lsn - 1
    transactions = journal[max(begin, 0) : max(begin, 0) + TRANSACTIONS_MAX]
    found = [behind(entry, after) for one in transactions for entry in entries_of(one)]
    end = Point(transactions[-1].lsn) if transactions else None
    told, upto = fitting(found, end, rows_max)
    return FeedPart(rows_of(told), after, upto)


def behind(entry: FeedEntry, after: Point) -> FeedEntry:
    """As much of it as is behind a place."""
    if entry.change.lsn > after.lsn:
        return entry
    left = tuple([row for row in entry.change.rows if row.position > after.position])
    return replace(entry, change=replace(entry.change, rows=left), is_first=False)


def fitting(
    entries: Sequence[FeedEntry], upto: Point | None, rows_max: int
) -> tuple[Sequence[FeedEntry], Point | None]:
    """As many whole transactions as have `rows_max` rows together, or a part of the first, if it alone has more.

    Args:
        entries: in their order.
        upto: where they end.
    """
    rows = 0
    for place, entry in enumerate(entries):
        rows += len(entry.change.rows)
        if rows > rows_max:
            lsn = entry.change.lsn
            whole = [one for one in entries[:place] if one.change.lsn < lsn]
            if whole:
                return whole, Point(lsn - 1)
            return _part([one for one in entries if one.change.lsn == lsn], rows_max)
    return entries, upto


def _part(entries: Sequence[FeedEntry], rows_max: int) -> tuple[Sequence[FeedEntry], Point]:
    """The first rows of a transaction, in the order of their positions."""
    positions = sorted(row.position for entry in entries for row in entry.change.rows)
    last = positions[rows_max - 1]
    parts = []
    for entry in entries:
        rows = tuple([row for row in entry.change.rows if row.position <= last])
        parts.append(replace(entry, change=replace(entry.change, rows=rows, is_whole=False)))
    return parts, Point(entries[0].change.lsn, last)

"""What happened, read from a journal in memory: what `storage.sql.history_reads` reads from tables."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from actors.changes import WHOLE, Change, Changes, Movement, MovementPage, Point, StockAt
from actors.history_feed import FeedPart
from actors.queries import GetStockAt, ListMovements
from actors.records import Transaction
from storage.feed_told import read_feed
from storage.told import change_of, cut, movements_of, pieces_of

CHANGES_MAX = 500


def read_changes(journal: Sequence[Transaction], organization_id: str, after: Point, rows_max: int) -> Changes:
    """What happened to an organization behind a place."""
    first_lsn = after.lsn + 1 if after.position == WHOLE else after.lsn
    begin = bisect_left(journal, first_lsn, key=lambda one: one.lsn)
    found = list(islice(_changes(journal, organization_id, begin), CHANGES_MAX + 1))
    return cut(found[:CHANGES_MAX], after, rows_max, is_end=len(found) <= CHANGES_MAX)


def _changes(journal: Sequence[Transaction], organization_id: str, begin: int) -> Iterator[Change]:
    for place in range(begin, len(journal)):
        change = change_of(journal[place], organization_id)
        if change is not None:
            yield change


def list_movements(journal: Sequence[Transaction], query: ListMovements) -> MovementPage:
    """A page of the ledger."""
    found = [one for entry in journal for one in movements_of(entry, query.organization_id) if _is_wanted(one, query)]
    if query.newest_first:
        found.reverse()
    page = tuple(found[: query.limit])
    return MovementPage(page, Point(page[-1].lsn, page[-1].position) if len(found) > query.limit else None)


def _is_wanted(one: Movement, query: ListMovements) -> bool:
    place, here = query.after_place, Point(one.lsn, one.position)
    return (
        query.variant_id in ("", one.variant_id)
        and query.warehouse_id in ("", one.warehouse_id)
        and query.reservation_id in ("", one.reservation_id)
        and query.order_id in ("", one.order_id)
        and query.reference in ("", one.reference)
        and (not query.kinds or one.kind in query.kinds)
        and query.after_ms <= one.at_ms < (query.before_ms or one.at_ms + 1)
        and (place is None or (here < place if query.newest_first else here > place))
    )


def stock_at(journal: Sequence[Transaction], query: GetStockAt) -> StockAt:
    """What a row had at a time."""
    for one in reversed(journal):
        for change in one.changes if one.at_ms <= query.at_ms else ():
            if change.after.key == (query.organization_id, query.variant_id, query.warehouse_id):
                return StockAt(None if one.kind == "delete" else pieces_of(change.after), one.lsn)
    return StockAt(None)


class PastReads:
    """The part of a store in memory that reads the past."""

    async def _read(self, operation: str) -> Any:
        """The disk, as every read finds it."""
        raise NotImplementedError

    async def list_movements(self, query: ListMovements) -> MovementPage:
        disk = await self._read("list_movements")
        return list_movements(disk.history_of(query.organization_id), query)

    async def stock_at(self, query: GetStockAt) -> StockAt:
        disk = await self._read("stock_at")
        return stock_at(disk.history_of(query.organization_id), query)

    async def read_changes(self, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
        disk = await self._read("read_changes")
        begins = [one.first_lsn + one.shift for one in disk.stays.get(organization_id, ()) if one.first_lsn]
        history = disk.history_of(organization_id)
        return read_changes(history, organization_id, after, rows_max), min(begins, default=1)

    async def read_feed(self, after: Point, rows_max: int) -> tuple[FeedPart, int]:
        disk = await self._read("read_feed")
        return read_feed(disk.transactions, after, rows_max), 1

    async def lsn_at(self, at_ms: int) -> int:
        disk = await self._read("lsn_at")
        return bisect_left(disk.transactions, at_ms, key=lambda one: one.at_ms) + 1

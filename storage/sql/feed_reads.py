"""The feed, asked of the tables, and the cursors of those who pass it on: see `storage.sql.history_reads`.

A page goes along the primary keys, from one transaction to the next, whichever organization they are of.

A row is told with the id that it has now: the ledger does not keep it, since every reservation would pay for that. Of
a row that is gone only its deletion knows the id.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, delete, insert, select, tuple_

from actors.changes import WHOLE, Point
from actors.history_feed import CursorRecord, FeedEntry, FeedPart
from storage.feed_told import behind, fitting
from storage.sql.history_reads import (
    ENTRIES,
    ENTRIES_MAX,
    LINES,
    QUANTITIES,
    change_told,
    details_of,
    first_lsn,
    settled,
)
from storage.sql.low_rows import LowRows, low_rows
from storage.sql.schema import event_cursor, stock

LINE_COLUMNS = ("lsn", "position", "variant_id", "warehouse_id", *QUANTITIES, "organization_id")


def read_feed(connection: Connection, after: Point, rows_max: int) -> tuple[FeedPart, int]:
    """What happened behind a place, and from where on the history is whole."""
    return settled(connection, lambda: _read_feed(connection, after, rows_max))


def _read_feed(connection: Connection, after: Point, rows_max: int) -> tuple[FeedPart, int]:
    first = first_lsn(connection)
    begin = after.lsn + (after.position == WHOLE)
    entries: list[Any] = []
    for table in ENTRIES:
        entries = _entries(connection, table, begin)
        if entries:
            break  # what is in the other table, if anything, is newer: the next page has it
    if not entries:
        return FeedPart((), None), first
    last_lsn = entries[-1].lsn
    lines: list[Any] = []
    for line in LINES:
        lines += _lines(connection, line, after, last_lsn, rows_max + 1)
    lines = sorted(lines, key=lambda row: (row.lsn, row.position))[: rows_max + 1]
    if len(lines) > rows_max:
        last_lsn = lines[-1].lsn
        entries = [entry for entry in entries if entry.lsn <= last_lsn]
    by_owner: dict[tuple[int, str], list[Any]] = {}
    for row in lines:
        by_owner.setdefault((row.lsn, row.organization_id), []).append(row)
    low = low_rows(connection, entries, lines)
    told = [_entry(entry, by_owner.get((entry.lsn, entry.organization_id), ()), low) for entry in entries]
    kept = [behind(one, after) for one in told if one is not None]
    return fitting(kept, Point(last_lsn), rows_max), first


def _entries(connection: Connection, entry: Table, begin_lsn: int) -> list[Any]:
    """The first transactions from an LSN on, each with all of its organizations."""
    statement = select(entry).where(entry.c.lsn >= begin_lsn).order_by(entry.c.lsn, entry.c.organization_id)
    found: list[Any] = list(connection.execute(statement.limit(ENTRIES_MAX + 1)).all())
    if len(found) <= ENTRIES_MAX:
        return found
    whole = [row for row in found if row.lsn < found[-1].lsn]
    if whole:
        return whole
    one = select(entry).where(entry.c.lsn == found[0].lsn).order_by(entry.c.organization_id)
    return list(connection.execute(one))


def _lines(connection: Connection, line: Table, after: Point, last_lsn: int, rows_max: int) -> list[Any]:
    columns = [*[line.c[name] for name in LINE_COLUMNS], stock.c.stock_id]
    here = and_(*[line.c[name] == stock.c[name] for name in ("organization_id", "variant_id", "warehouse_id")])
    statement: Select[Any] = select(*columns).select_from(line.outerjoin(stock, here))
    behind_it = tuple_(line.c.lsn, line.c.position) > tuple_(after.lsn, after.position)
    statement = statement.where(behind_it, line.c.lsn <= last_lsn)
    return list(connection.execute(statement.order_by(line.c.lsn, line.c.position).limit(rows_max)).all())


def _entry(entry: Any, lines: Sequence[Any], low: Mapping[int, LowRows]) -> FeedEntry | None:
    if entry.kind == "remember":
        return None
    details = details_of(entry)
    change = change_told(entry, lines, low, [details.gone or row.stock_id or "" for row in lines])
    return FeedEntry(entry.organization_id, change, details.warehouses_before, details.items)


# ---- cursors ----------------------------------------------------------------------------------------------------


def load_cursors(connection: Connection) -> list[CursorRecord]:
    """All of them by name."""
    return [
        CursorRecord(
            row.name,
            row.fence,
            Point(row.lsn, row.position),
            row.published,
            row.unroutable,
            row.moved_at or 0,
            bool(row.released),
        )
        for row in connection.execute(select(event_cursor).order_by(event_cursor.c.name))
    ]


def write_cursor(connection: Connection, cursor: CursorRecord) -> None:
    """In place of the one of its name, in the transaction that the caller began and ends behind its fence."""
    drop_cursor(connection, cursor.name)
    values = {
        "name": cursor.name,
        "fence": cursor.fence,
        "lsn": cursor.point.lsn,
        "position": cursor.point.position,
        "published": cursor.published,
        "unroutable": cursor.unroutable,
        "moved_at": cursor.moved_at_ms,
        "released": int(cursor.is_released),
    }
    connection.execute(insert(event_cursor), values)


def drop_cursor(connection: Connection, name: str) -> None:
    """Forget it, likewise."""
    connection.execute(delete(event_cursor).where(event_cursor.c.name == name))

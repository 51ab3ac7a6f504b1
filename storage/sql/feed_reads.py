"""The feed, asked of the tables, and the cursors of those who pass it on: see `storage.sql.history_reads`.

A page goes along the primary keys, from one transaction to the next, whichever organization they are of. First its end
is found, then the database writes down what is before it (`storage.sql.json_rows`).

A row is told with the id that it has now: the ledger does not keep it, since every reservation would pay for that. Of
a row that is gone only its deletion knows the id.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    union_all,
)

from actors.changes import WHOLE, Point
from actors.feed_entries import EntryRow, FeedRows
from actors.history_feed import CursorRecord, FeedPart
from storage.sql.history_begin import ENTRIES, first_lsn
from storage.sql.history_reads import LINES, QUANTITIES, settled
from storage.sql.json_rows import asked, json_of, milliseconds_in, spliced
from storage.sql.low_rows import with_low
from storage.sql.schema import LONG, event_cursor, stock
from storage.sql.staging_schema import import_low

TRANSACTIONS_MAX, TRANSACTIONS_LEAST = 2_000, 100  # of a page, however few rows it may have
DETAILS_CHARACTERS_MAX = 1_000_000  # of a page, but for one transaction that alone has more
ENTRY_COLUMNS = EntryRow.__struct_fields__
INSTANTS = ("at", "expires_at")
LINE_COLUMNS = ("lsn", "position", "variant_id", "warehouse_id", *QUANTITIES, "organization_id", "stock_id")


def read_feed(connection: Connection, after: Point, rows_max: int) -> tuple[FeedPart, int]:
    """What happened behind a place, and from where on the history is whole."""
    return settled(connection, lambda: _read_feed(connection, after, rows_max))


def _read_feed(connection: Connection, after: Point, rows_max: int) -> tuple[FeedPart, int]:
    first = first_lsn(connection)
    begin = after.lsn + (after.position == WHOLE)
    for entry in ENTRIES:
        ends = _ends(connection, entry, begin, min(TRANSACTIONS_MAX, max(rows_max, TRANSACTIONS_LEAST)))
        if ends is not None:  # what is in the other table, if anything, is newer: the next page has it
            upto = _upto(connection, *ends, after, rows_max)
            values = {"begin": begin, **_between(after, upto)}
            dialect = connection.dialect.name
            entries = asked(connection, _entries(entry, dialect), values)
            lines = [asked(connection, _lines(line, dialect), values) for line in LINES]
            fell = connection.execute(_low_rows(), values).all()
            return FeedPart(FeedRows(with_low(entries, fell), spliced(*lines)), after, upto), first
    return FeedPart(FeedRows(), after, None), first


def _between(after: Point, upto: Point) -> dict[str, int]:
    ends = (*after, *upto)
    return dict(zip(("after_lsn", "after_position", "upto_lsn", "upto_position"), ends, strict=True))


def _ends(connection: Connection, entry: Table, begin_lsn: int, most: int) -> tuple[int, int] | None:
    """The first and the last of as many transactions from an LSN on as a page may have; None: there are none.

    Each is there with all of its organizations: of what is cut off in the middle nothing is.
    """
    values = {"begin": begin_lsn, "one_more": most + 1}
    low, high, count, characters = connection.execute(_extent(entry), values).one()
    if low is None:
        return None
    high -= count > most
    if characters > DETAILS_CHARACTERS_MAX:
        high = min(high, connection.execute(_too_much(entry), values).scalar_one() - 1)
    return low, max(low, high)


def _upto(connection: Connection, low: int, high: int, after: Point, rows_max: int) -> Point:
    """Up to where the transactions from `low` to `high` have as many rows as there may be."""
    values = {**_between(after, Point(high)), "before_last": rows_max - 1, "rows": rows_max + 1}
    found = connection.execute(_last_rows(), values).all()
    if len(found) < 2:
        return Point(high)
    return Point(found[1].lsn - 1) if found[1].lsn > low else Point(low, found[0].position)


# Statements are made once: to put one together takes longer than the database does for some hundred rows.


def _some(entry: Table) -> Subquery:
    """One transaction more than there may be, with how long its details are."""
    place = (entry.c.lsn, entry.c.organization_id)
    some = select(*place, func.length(entry.c.details).label("length")).where(entry.c.lsn >= bindparam("begin"))
    return some.order_by(*place).limit(bindparam("one_more")).subquery()


@cache
def _extent(entry: Table) -> Any:
    """From `begin` on: the first LSN, the last one, how many rows there are, and how long their details."""
    some = _some(entry)
    return select(func.min(some.c.lsn), func.max(some.c.lsn), func.count(some.c.lsn), func.sum(some.c.length))


@cache
def _too_much(entry: Table) -> Any:
    """The first LSN with which those are too long."""
    some = _some(entry)
    size = func.sum(some.c.length).over(order_by=(some.c.lsn, some.c.organization_id)).label("size")
    sized = select(some.c.lsn, size).subquery()
    return select(func.min(sized.c.lsn)).where(sized.c.size > DETAILS_CHARACTERS_MAX)


def _is_between(line: Table) -> ColumnElement[bool]:
    here = tuple_(line.c.lsn, line.c.position)
    after = tuple_(bindparam("after_lsn", type_=LONG), bindparam("after_position", type_=LONG))
    return and_(here > after, here <= tuple_(bindparam("upto_lsn", type_=LONG), bindparam("upto_position", type_=LONG)))


@cache
def _last_rows() -> Select[Any]:
    """The last row of as many as there may be, and the one behind it."""
    some = [
        select(line.c.lsn, line.c.position)
        .where(_is_between(line))
        .order_by(line.c.lsn, line.c.position)
        .limit(bindparam("rows"))
        .subquery()
        for line in LINES
    ]
    both = union_all(*[select(one) for one in some]).subquery()
    ordered = select(both.c.lsn, both.c.position).order_by(both.c.lsn, both.c.position)
    return ordered.offset(bindparam("before_last")).limit(2)


@cache
def _entries(entry: Table, dialect: str) -> Select[Any]:
    columns = [
        milliseconds_in(entry.c[name], dialect).label(name) if name in INSTANTS else entry.c[name]
        for name in ENTRY_COLUMNS
    ]
    here = entry.c.lsn.between(bindparam("begin"), bindparam("upto_lsn"))
    return json_of(select(*columns).where(here, entry.c.kind != "remember").subquery(), ENTRY_COLUMNS, dialect)


@cache
def _low_rows() -> Select[Any]:
    """Those of large imports, of which the details of their entries say nothing."""
    return select(import_low).where(_is_between(import_low))


@cache
def _lines(line: Table, dialect: str) -> Select[Any]:
    keys = ("organization_id", "variant_id", "warehouse_id")
    same_row = and_(*[line.c[name] == stock.c[name] for name in keys])
    stock_id = func.coalesce(stock.c.stock_id, "").label("stock_id")
    told = select(*[line.c[name] for name in LINE_COLUMNS[:-1]], stock_id)
    told = told.select_from(line.outerjoin(stock, same_row)).where(_is_between(line))
    return json_of(told.subquery(), LINE_COLUMNS, dialect)


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

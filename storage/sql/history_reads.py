"""What happened, asked of the tables: as `storage.sql.reads`, plain functions of a SQLAlchemy `Connection`.

Each goes along an index and looks at a bounded number of rows, however many the filters leave: a page may be short
before the last one. The order of everything is that of the LSN, and of the rows within a transaction.

What housekeeping has moved is read from the archive. A transaction's row is there only if all of its lines are; so a
line is in the archive or beside its transaction's row, and those two places are asked, the older first. A step of
housekeeping may run between two statements on Postgres: a transaction that it moves meanwhile is found in neither place
or in both, so a reader compares where the archive ends before and after, and looks again.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, bindparam, func, select, tuple_

from actors.change_rows import change_told, details_of
from actors.changes import WHOLE, Changes, Pieces, Point
from storage.sql.history_begin import ENTRIES, first_lsn_of, floor_lsn_of
from storage.sql.low_rows import low_rows
from storage.sql.schema import (
    LONG,
    journal_entry_archive,
    ownership,
    stock_movement,
    stock_movement_archive,
)
from storage.told import cut

ENTRIES_MAX = 500  # of a page of changes
SCANNED_MAX = 2_000  # transactions that one look goes through

T = TypeVar("T")

LINES = (stock_movement_archive, stock_movement)
LAST_ENTRY = select(func.max(journal_entry_archive.c.lsn))
LAST_LINE = (
    select(stock_movement_archive.c.lsn, stock_movement_archive.c.position)
    .order_by(stock_movement_archive.c.lsn.desc(), stock_movement_archive.c.position.desc())
    .limit(1)
)


def _entry_statement(entry: Table, *, of_organization: bool) -> Select[Any]:
    """The first transaction from an LSN on. Made once: a search by time asks for some fifty."""
    statement = select(entry.c.lsn, entry.c.at).where(entry.c.lsn >= bindparam("lsn", type_=LONG))
    if of_organization:
        statement = statement.where(entry.c.organization_id == bindparam("organization_id"))
    return statement.order_by(entry.c.lsn).limit(1)


FIRST_ENTRIES = [_entry_statement(entry, of_organization=False) for entry in ENTRIES]
FIRST_ENTRIES_OF_ONE = [_entry_statement(entry, of_organization=True) for entry in ENTRIES]
QUANTITIES = [f"{name}_{when}" for when in ("before", "after") for name in Pieces.__struct_fields__]


def settled(connection: Connection, read: Callable[[], T]) -> T:
    """What is read while housekeeping moves nothing in between."""
    before = _archive_end(connection)
    while True:
        found = read()
        after = _archive_end(connection)
        if before == after:
            return found
        before = after


def _archive_end(connection: Connection) -> tuple[Any, Any]:
    return connection.execute(LAST_ENTRY).scalar(), connection.execute(LAST_LINE).first()


# ---- changes ----------------------------------------------------------------------------------------------------


def read_changes(connection: Connection, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
    """What happened behind a place, and from where on the history is whole."""
    return settled(connection, lambda: _read_changes(connection, organization_id, after, rows_max))


def _read_changes(connection: Connection, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
    first = first_lsn_of(connection, organization_id)
    begin = after.lsn + (after.position == WHOLE)
    entries: list[Any] = []
    for table in ENTRIES:
        found = _entries(connection, table, organization_id, max([begin, *[row.lsn + 1 for row in entries[-1:]]]))
        entries += found
        if entries:
            break  # what is in the other table, if anything, is newer: the next page has it
    if not entries:
        return Changes((), None), first
    last_lsn = entries[-1].lsn
    lines: list[Any] = []
    for line in LINES:
        lines += _lines(connection, line, organization_id, after, last_lsn, rows_max + 1)
    lines = sorted(lines, key=lambda row: (row.lsn, row.position))[: rows_max + 1]
    if len(lines) > rows_max:
        entries = [entry for entry in entries if entry.lsn <= lines[-1].lsn]
    by_lsn: dict[int, list[Any]] = {}
    for row in lines:
        by_lsn.setdefault(row.lsn, []).append(row)
    low = low_rows(connection, entries, lines)
    told = [
        change_told(entry, by_lsn.get(entry.lsn, ()), details_of(entry), fell=low.get(entry.lsn))
        for entry in entries
        if entry.kind != "remember"
    ]
    told = [one for one in told if one.tells_anything]  # some imports change nothing
    if not told:
        return Changes((), Point(last_lsn)), first
    changes = cut(told, after, rows_max, is_end=False)
    if changes.upto == Point(told[-1].lsn) and len(lines) <= rows_max:
        changes = Changes(changes.changes, Point(last_lsn))
    return changes, first


def _entries(connection: Connection, entry: Table, organization_id: str, begin_lsn: int) -> list[Any]:
    """The first transactions from an LSN on, none further than `SCANNED_MAX` behind the first."""
    mine = entry.c.organization_id == organization_id
    first = select(entry.c.lsn).where(mine, entry.c.lsn >= begin_lsn).order_by(entry.c.lsn).limit(1)
    found_lsn = connection.execute(first).scalar()
    if found_lsn is None:
        return []
    statement = select(entry).where(mine, entry.c.lsn >= found_lsn, entry.c.lsn < found_lsn + SCANNED_MAX)
    return list(connection.execute(statement.order_by(entry.c.lsn).limit(ENTRIES_MAX)))


def _lines(
    connection: Connection, line: Table, organization_id: str, after: Point, last_lsn: int, rows_max: int
) -> list[Any]:
    columns = [line.c[name] for name in ("lsn", "position", "variant_id", "warehouse_id", *QUANTITIES)]
    statement = (
        select(*columns)
        .where(tuple_(line.c.lsn, line.c.position) > tuple_(after.lsn, after.position), line.c.lsn <= last_lsn)
        .where(line.c.organization_id == organization_id)
        .order_by(line.c.lsn, line.c.position)
        .limit(rows_max)
    )
    return list(connection.execute(statement))


def pieces_of(figures: Sequence[int]) -> tuple[Pieces, Pieces]:
    return Pieces(*figures[:4]), Pieces(*figures[4:])


def lsn_at(connection: Connection, at_ms: int, organization_id: str = "") -> int:
    """The first LSN at that time or later; one more than the last if there is none. Times grow with LSNs, but where an
    organization came from elsewhere: then with those of its own.
    """
    floor_lsn = floor_lsn_of(connection, organization_id) if organization_id else 0
    moved_id = organization_id if floor_lsn else ""
    low, high = floor_lsn + 1, int(connection.execute(select(ownership.c.last_lsn)).scalar_one()) + 1
    while low < high:
        middle = (low + high) // 2
        found = _entry_from(connection, middle, moved_id)
        if found is None or found[1] >= at_ms:
            high = middle
        else:
            low = found[0] + 1
    found = _entry_from(connection, low, moved_id)
    return low if found is None else found[0]


def _entry_from(connection: Connection, lsn: int, organization_id: str) -> tuple[int, int] | None:
    """The first transaction from this LSN on, and its time; of an organization, or of all."""
    asked: dict[str, Any] = {"organization_id": organization_id} if organization_id else {}
    for statement in FIRST_ENTRIES_OF_ONE if organization_id else FIRST_ENTRIES:
        if (row := connection.execute(statement, {"lsn": lsn, **asked}).first()) is not None:
            return row.lsn, row.at
    return None

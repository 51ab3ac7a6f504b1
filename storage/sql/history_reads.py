"""What happened, asked of the tables: as `storage.sql.reads`, plain functions of a SQLAlchemy `Connection`.

Each goes along an index and looks at a bounded number of rows, however many the filters leave: a page may be short
before the last one. The order of everything is that of the LSN, and of the rows within a transaction.

What housekeeping has moved is read from the archive. A transaction's row is there only if all of its lines are; so a
line is in the archive or beside its transaction's row, and those two places are asked, the older first. A step of
housekeeping may run between two statements on Postgres: a transaction that it moves meanwhile is found in neither place
or in both, so a reader compares where the archive ends before and after, and looks again.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, func, select, tuple_

from actors.change_rows import change_told, details_of
from actors.changes import WHOLE, Changes, Movement, MovementPage, Pieces, Point, StockAt
from actors.queries import GetStockAt, ListMovements
from storage.sql.history_begin import ENTRIES, first_lsn_of, floor_lsn_of
from storage.sql.low_rows import low_rows
from storage.sql.schema import (
    journal_entry,
    journal_entry_archive,
    ownership,
    reservation,
    reservation_archive,
    stock_movement,
    stock_movement_archive,
)
from storage.told import cut

ENTRIES_MAX = 500  # of a page of changes
SCANNED_MAX = 2_000  # transactions that one look goes through
LSNS_A_STEP = 5_000  # of a search for one row: a few milliseconds

T = TypeVar("T")

LINES = (stock_movement_archive, stock_movement)
# Where a transaction and its lines may be: both moved, a line moved before its transaction, none moved.
PLACES = ((journal_entry_archive, stock_movement_archive), (journal_entry, stock_movement_archive))
ALL_PLACES = (*PLACES, (journal_entry, stock_movement))
QUANTITIES = [f"{name}_{when}" for when in ("before", "after") for name in Pieces.__struct_fields__]


def settled(connection: Connection, read: Callable[[], T]) -> T:
    """What is read while housekeeping moves nothing in between."""
    ends = select(func.max(journal_entry_archive.c.lsn))
    lines = select(stock_movement_archive.c.lsn, stock_movement_archive.c.position).order_by(
        stock_movement_archive.c.lsn.desc(), stock_movement_archive.c.position.desc()
    )
    while True:
        before = (connection.execute(ends).scalar(), connection.execute(lines.limit(1)).first())
        found = read()
        if before == (connection.execute(ends).scalar(), connection.execute(lines.limit(1)).first()):
            return found


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


def _pieces(figures: Sequence[int]) -> tuple[Pieces, Pieces]:
    return Pieces(*figures[:4]), Pieces(*figures[4:])


# ---- movements --------------------------------------------------------------------------------------------------


def list_movements(connection: Connection, query: ListMovements) -> MovementPage:
    """A page of the ledger."""
    return settled(connection, lambda: _list_movements(connection, query))


def _list_movements(connection: Connection, query: ListMovements) -> MovementPage:
    low, high = _bounds(connection, query)
    if query.after_place is not None:
        low, high = (low, query.after_place.lsn) if query.newest_first else (query.after_place.lsn, high)
    edge = _scanned_to(connection, query, low, high)
    if edge is not None:
        low, high = (edge, high) if query.newest_first else (low, edge)
    found: list[Movement] = []
    for entry, line in ALL_PLACES:
        statement = _movements(entry, line, query, low, high).limit(query.limit + 1)
        found += [_movement(row) for row in connection.execute(statement)]
    found.sort(key=lambda one: (one.lsn, one.position), reverse=query.newest_first)
    page = tuple(found[: query.limit])
    if len(found) > query.limit:
        return MovementPage(page, Point(page[-1].lsn, page[-1].position))
    if edge is None:
        return MovementPage(page, None)
    return MovementPage(page, Point(edge, 0 if query.newest_first else WHOLE))


def _movement(row: Any) -> Movement:
    before, after = _pieces(row[6:14])
    lsn, position, at_ms, kind, variant_id, warehouse_id = row[:6]
    reason, reference, reservation_id, order_id, actor, correlation_id, request_id = row[14:]
    return Movement(
        lsn,
        position,
        at_ms,
        kind,
        variant_id,
        warehouse_id,
        before,
        after,
        reason,
        reference,
        reservation_id,
        order_id,
        actor,
        correlation_id or request_id,
    )


def _bounds(connection: Connection, query: ListMovements) -> tuple[int, int]:
    """The first and the last LSN that the filters allow."""
    low, high = -(2**62), 2**62
    if query.after_ms:
        low = lsn_at(connection, query.after_ms, query.organization_id)
    if query.before_ms:
        high = lsn_at(connection, query.before_ms, query.organization_id) - 1
    if query.order_id or query.reservation_id:
        made_ms, ended_ms = _life(connection, query)
        made_lsn = lsn_at(connection, made_ms, query.organization_id)
        low = max(low, made_lsn)  # its own LSN is a later one where it was taken again
        high = min(high, lsn_at(connection, ended_ms + 1, query.organization_id) - 1) if ended_ms else high
    return low, high


def _life(connection: Connection, query: ListMovements) -> tuple[int, int]:
    """When the first of these reservations was made, and when the last one ended; 0: it has not."""
    begins, ends = [], []
    for table in (reservation, reservation_archive):
        statement = select(table.c.created_at, table.c.ended_at).where(table.c.organization_id == query.organization_id)
        if query.reservation_id:
            statement = statement.where(table.c.reservation_id == query.reservation_id)
        if query.order_id:
            statement = statement.where(table.c.order_id == query.order_id)
        for made_ms, ended_ms in connection.execute(statement):
            begins.append(made_ms)
            ends.append(ended_ms)
    if not begins:
        return 2**62, 0
    return min(begins), 0 if 0 in ends else max(ends)


def _scanned_to(connection: Connection, query: ListMovements, low: int, high: int) -> int | None:
    """Where a look ends that has gone through as many transactions as one may; None if that is everything."""
    if query.reference:
        return None  # of one reference there are few, and an index leads to them
    left = SCANNED_MAX
    for entry in reversed(ENTRIES) if query.newest_first else ENTRIES:
        mine = (entry.c.organization_id == query.organization_id) & entry.c.lsn.between(low, high)
        order = entry.c.lsn.desc() if query.newest_first else entry.c.lsn
        scanned = select(entry.c.lsn).where(mine).order_by(order).limit(left).subquery()
        aggregate = func.min(scanned.c.lsn) if query.newest_first else func.max(scanned.c.lsn)
        edge, count = connection.execute(select(aggregate, func.count(scanned.c.lsn))).one()
        left -= count
        if left == 0:
            return int(edge)
    return None


def _movements(entry: Table, line: Table, query: ListMovements, low: int, high: int) -> Select[Any]:
    of_entry = [entry.c[name] for name in ("at", "kind")]
    said = ("reason", "reference", "reservation_id", "order_id", "actor", "correlation_id", "request_id")
    belongs_to = [entry.c[name] for name in said]
    of_line = [line.c[name] for name in ("variant_id", "warehouse_id", *QUANTITIES)]
    both = (line.c.lsn == entry.c.lsn) & (line.c.organization_id == entry.c.organization_id)
    statement = select(line.c.lsn, line.c.position, *of_entry, *of_line, *belongs_to).select_from(
        entry.join(line, both)
    )
    statement = statement.where(entry.c.organization_id == query.organization_id, entry.c.lsn.between(low, high))
    for column, wanted in (
        (line.c.variant_id, query.variant_id),
        (line.c.warehouse_id, query.warehouse_id),
        (entry.c.reservation_id, query.reservation_id),
        (entry.c.order_id, query.order_id),
        (entry.c.reference, query.reference),
    ):
        if wanted:
            statement = statement.where(column == wanted)
    if query.kinds:
        statement = statement.where(entry.c.kind.in_(query.kinds))
    if query.reference:
        statement = statement.where(entry.c.reference != "")  # so that the planner sees that the index has it
    return _from_place(statement, entry, line, query)


def _from_place(statement: Select[Any], entry: Table, line: Table, query: ListMovements) -> Select[Any]:
    place, here = query.after_place, tuple_(entry.c.lsn, line.c.position)
    if query.newest_first:
        statement = statement if place is None else statement.where(here < tuple_(*place))
        return statement.order_by(entry.c.lsn.desc(), line.c.position.desc())
    statement = statement if place is None else statement.where(here > tuple_(*place))
    return statement.order_by(entry.c.lsn, line.c.position)


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
    for entry in ENTRIES:
        statement = select(entry.c.lsn, entry.c.at).where(entry.c.lsn >= lsn).order_by(entry.c.lsn).limit(1)
        if organization_id:
            statement = statement.where(entry.c.organization_id == organization_id)
        if (row := connection.execute(statement).first()) is not None:
            return row.lsn, row.at
    return None


# ---- a row at a time --------------------------------------------------------------------------------------------


Step = Callable[[Connection], Any]


def stock_at(connection: Connection, query: GetStockAt) -> StockAt:
    """What the row had, from its last line before that time, or its first one after it."""
    steps, found = stock_at_steps(query), None
    try:
        while True:
            found = steps.send(found)(connection)
    except StopIteration as end:
        answer: StockAt = end.value
        return answer


def stock_at_steps(query: GetStockAt) -> Generator[Step, Any, StockAt]:
    """The same in steps, so that others use the database in between: no index knows the lines of a row.

    Each thing that is yielded is to be called with a connection, and its value sent back.
    """
    end_lsn, begin_lsn, last_lsn, is_known = yield partial(_reach, query=query)
    for high in range(end_lsn, begin_lsn, -LSNS_A_STEP):
        row = yield partial(_nearest, query=query, low=high - LSNS_A_STEP, high=high, newest_first=True)
        if row is not None:
            return StockAt(None if row.kind == "delete" else Pieces(*row[8:12]), row.lsn)
    for low in range(end_lsn, last_lsn + 1, LSNS_A_STEP):
        row = yield partial(_nearest, query=query, low=low, high=low + LSNS_A_STEP, newest_first=False)
        if row is not None and any(row[4:8]):
            return StockAt(Pieces(*row[4:8])) if is_known else StockAt(None, is_known=False)
        if row is not None:
            break
    return StockAt(None)


def _reach(connection: Connection, query: GetStockAt) -> tuple[int, int, int, bool]:
    """The first LSN behind that time, those of the first line and of the end, and whether what was before is kept."""
    organization_id = query.organization_id
    end_lsn = lsn_at(connection, query.at_ms + 1, organization_id)
    floor_lsn = floor_lsn_of(connection, organization_id)
    begins = [connection.execute(select(func.min(line.c.lsn)).where(line.c.lsn > floor_lsn)).scalar() for line in LINES]
    last_lsn = int(connection.execute(select(ownership.c.last_lsn)).scalar_one())
    begin_lsn = min((lsn for lsn in begins if lsn is not None), default=end_lsn)
    return end_lsn, begin_lsn, last_lsn, end_lsn > first_lsn_of(connection, organization_id)


def _nearest(connection: Connection, query: GetStockAt, low: int, high: int, *, newest_first: bool) -> Any | None:
    """The row's last line, or its first one, from one LSN up to another."""

    def read() -> Any | None:
        found = []
        for line in LINES:
            mine = (line.c.organization_id == query.organization_id) & (line.c.variant_id == query.variant_id)
            mine &= (line.c.warehouse_id == query.warehouse_id) & (line.c.lsn >= low) & (line.c.lsn < high)
            columns = (line.c.lsn, line.c.position, line.c.at, line.c.kind, *[line.c[name] for name in QUANTITIES])
            order = line.c.lsn.desc() if newest_first else line.c.lsn
            found += list(connection.execute(select(*columns).where(mine).order_by(order).limit(1)))
        found.sort(key=lambda row: row.lsn, reverse=newest_first)
        return found[0] if found else None

    return settled(connection, read)

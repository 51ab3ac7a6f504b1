"""Lines of the ledger, page by page: see `storage.sql.history_reads`.

A transaction may have one line or a million, and no index knows the lines of a row. So a page is found in steps: which
transactions are next and how many lines each has, then the lines of some of them or a part of one. No statement looks
at more than `LINES_A_STEP` lines, and no page at many more than `LINES_MAX`: then it is short, and the next one goes on
there. What comes while a page is found is not on it, so it is the ledger's of the moment of the first step.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, case, func, select, true

from actors.changes import WHOLE, Movement, MovementPage, Point
from actors.queries import ListMovements
from storage.sql.history_begin import ENTRIES
from storage.sql.history_reads import LINES, QUANTITIES, SCANNED_MAX, lsn_at, pieces_of, settled
from storage.sql.read_steps import LINES_A_STEP, Steps, read_without_pause
from storage.sql.schema import (
    journal_entry,
    journal_entry_archive,
    ownership,
    reservation,
    reservation_archive,
    stock_movement,
    stock_movement_archive,
)

ENTRIES_A_STEP = 500
ROWS_A_STEP = 300  # of the page, which are wide
LINES_MAX = 20_000  # that one page looks at, and what belongs to the last step

# Where a transaction and its lines may be: both moved, a line moved before its transaction, none moved.
PLACES = ((journal_entry_archive, stock_movement_archive), (journal_entry, stock_movement_archive))
ALL_PLACES = (*PLACES, (journal_entry, stock_movement))
SAID = ("reason", "reference", "reservation_id", "order_id", "actor", "correlation_id", "request_id")


class Entry(NamedTuple):
    """A transaction that the filters leave, and how many lines it has at most, those of others included."""

    lsn: int
    lines: int


class LedgerSpan(NamedTuple):
    """The lines of some transactions, or of one from one position to another."""

    low_lsn: int
    high_lsn: int
    first: int = 0
    last: int = WHOLE
    lines: int = 0


def list_movements(connection: Connection, query: ListMovements) -> MovementPage:
    """A page of the ledger."""
    return read_without_pause(connection, movements_in_steps(query))


def movements_in_steps(query: ListMovements) -> Steps[MovementPage]:
    """The same, so that others use the database between the steps."""
    low, high = yield partial(_bounds, query=query)
    place, end_lsn = _begin(query, low, high)
    found: list[Movement] = []
    left, looked = SCANNED_MAX, 0
    while left > 0 and (Point(low, 0) < place if query.newest_first else place < Point(high)):
        asked = min(left, ENTRIES_A_STEP)
        entries, scanned, edge_lsn = yield partial(_entries, query=query, place=place, end_lsn=end_lsn, limit=asked)
        spans = deque(_spans(entries, place, newest_first=query.newest_first))
        while spans:
            span = spans.popleft()
            rows: list[Movement] = yield partial(_movements_of, query=query, span=span, limit=ROWS_A_STEP)
            found += rows
            if len(found) > query.limit:
                page = tuple(found[: query.limit])
                return MovementPage(page, Point(page[-1].lsn, page[-1].position))
            if len(rows) == ROWS_A_STEP:
                spans.extendleft(_rest(span, rows[-1], newest_first=query.newest_first))
                continue
            place = _behind(query, span)
            looked += span.lines
            if looked >= LINES_MAX:
                return MovementPage(tuple(found), place)
        if scanned < asked:
            return MovementPage(tuple(found), None)
        place = _behind(query, LedgerSpan(edge_lsn, edge_lsn))
        left -= scanned
    return MovementPage(tuple(found), None if left else place)


def _begin(query: ListMovements, low: int, high: int) -> tuple[Point, int]:
    """The place behind which the page begins, and the last LSN that may be on it."""
    place = Point(high + 1, 0) if query.newest_first else Point(low - 1, WHOLE)
    if query.after_place is not None:
        here = Point(query.after_place.lsn, max(0, min(query.after_place.position, WHOLE)))  # a caller may invent one
        place = min(place, here) if query.newest_first else max(place, here)
    return place, low if query.newest_first else high


def _behind(query: ListMovements, span: LedgerSpan) -> Point:
    return Point(span.low_lsn, span.first) if query.newest_first else Point(span.high_lsn, span.last)


def _spans(entries: Sequence[Entry], place: Point, *, newest_first: bool) -> Iterator[LedgerSpan]:
    """Lines that may be read by one statement each: those of these transactions that are behind the place."""
    together: list[int] = []
    lines = 0
    for entry in entries:
        is_begun = entry.lsn == place.lsn
        first, last = 0, entry.lines - 1
        if is_begun and newest_first:
            last = min(last, place.position - 1)
        elif is_begun:
            first = place.position + 1
        count = last - first + 1
        if count <= 0:
            continue
        is_part = is_begun or count > LINES_A_STEP
        if together and (is_part or lines + count > LINES_A_STEP):
            yield LedgerSpan(min(together), max(together), lines=lines)
            together, lines = [], 0
        if is_part:
            yield from _parts(entry.lsn, first, last, newest_first=newest_first)
        else:
            together.append(entry.lsn)
            lines += count
    if together:
        yield LedgerSpan(min(together), max(together), lines=lines)


def _rest(span: LedgerSpan, last: Movement, *, newest_first: bool) -> Sequence[LedgerSpan]:
    """What is behind one of a span's lines: the other transactions, if there are, and the rest of its own."""
    at, place = last.lsn, last.position
    if newest_first:
        rest = LedgerSpan(at, at, span.first, place - 1, span.lines)
        return (
            [LedgerSpan(span.low_lsn, at - 1, lines=span.lines), rest._replace(lines=0)]
            if span.low_lsn < at
            else [rest]
        )
    rest = LedgerSpan(at, at, place + 1, span.last, span.lines)
    return (
        [LedgerSpan(at + 1, span.high_lsn, lines=span.lines), rest._replace(lines=0)] if at < span.high_lsn else [rest]
    )


def _parts(lsn: int, first: int, last: int, *, newest_first: bool) -> Iterator[LedgerSpan]:
    parts = [(begin, min(begin + LINES_A_STEP - 1, last)) for begin in range(first, last + 1, LINES_A_STEP)]
    for begin, end in reversed(parts) if newest_first else parts:
        yield LedgerSpan(lsn, lsn, begin, end, end - begin + 1)


def _bounds(connection: Connection, query: ListMovements) -> tuple[int, int]:
    """The first and the last LSN that the filters allow, of those that there are."""
    low, high = -(2**62), int(connection.execute(select(ownership.c.last_lsn)).scalar_one())
    if query.after_ms:
        low = lsn_at(connection, query.after_ms, query.organization_id)
    if query.before_ms:
        high = min(high, lsn_at(connection, query.before_ms, query.organization_id) - 1)
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


def _entries(
    connection: Connection, query: ListMovements, place: Point, end_lsn: int, limit: int
) -> tuple[list[Entry], int, int]:
    """The next transactions that the filters leave, how many were looked at, and the LSN of the last of these."""
    return settled(connection, lambda: _entries_now(connection, query, place, end_lsn, limit))


def _entries_now(
    connection: Connection, query: ListMovements, place: Point, end_lsn: int, limit: int
) -> tuple[list[Entry], int, int]:
    if query.newest_first:
        low, high = end_lsn, place.lsn - (place.position == 0)
    else:
        low, high = place.lsn + (place.position == WHOLE), end_lsn
    found: list[Any] = []
    for entry in reversed(ENTRIES) if query.newest_first else ENTRIES:
        if len(found) < limit:
            found += connection.execute(_scan(entry, query, low, high).limit(limit - len(found)))
    wanted = [Entry(row.lsn, row.lines) for row in found if row.lines]
    return wanted, len(found), found[-1].lsn if found else place.lsn


def _scan(entry: Table, query: ListMovements, low: int, high: int) -> Select[Any]:
    """Transactions between two LSNs, and how many lines each has; 0 if the filters do not leave it."""
    wanted = _is_wanted(entry, query)
    lasts = [
        select(func.max(line.c.position)).where(line.c.lsn == entry.c.lsn).correlate(entry).scalar_subquery()
        for line in reversed(LINES)
    ]
    lines = func.coalesce(*lasts, -1) + 1  # lines are numbered, so the last one says how many there are
    statement = select(entry.c.lsn, case((wanted, lines), else_=0).label("lines"))
    statement = statement.where(entry.c.organization_id == query.organization_id, entry.c.lsn.between(low, high))
    if query.reference and entry is journal_entry:  # an index leads to them; the archive has none
        statement = statement.where(wanted)
    return statement.order_by(entry.c.lsn.desc() if query.newest_first else entry.c.lsn)


def _is_wanted(entry: Table, query: ListMovements) -> ColumnElement[bool]:
    """Whether the filters leave lines of a transaction."""
    conditions = [
        entry.c[name] == wanted
        for name in ("reservation_id", "order_id", "reference")
        if (wanted := getattr(query, name))
    ]
    if query.kinds:
        conditions.append(entry.c.kind.in_(query.kinds))
    if query.reference:
        conditions.append(entry.c.reference != "")  # so that the planner sees that the index has it
    return and_(true(), *conditions)


def _movements_of(connection: Connection, query: ListMovements, span: LedgerSpan, limit: int) -> list[Movement]:
    """The first lines of a span that the filters leave."""

    def read() -> list[Movement]:
        found: list[Movement] = []
        for entry, line in ALL_PLACES:
            found += [_movement(row) for row in connection.execute(_movements(entry, line, query, span).limit(limit))]
        return found

    found = settled(connection, read)
    found.sort(key=lambda one: (one.lsn, one.position), reverse=query.newest_first)
    return found[:limit]


def _movements(entry: Table, line: Table, query: ListMovements, span: LedgerSpan) -> Select[Any]:
    of_entry = [entry.c[name] for name in ("at", "kind")]
    of_line = [line.c[name] for name in ("variant_id", "warehouse_id", *QUANTITIES)]
    both = (line.c.lsn == entry.c.lsn) & (line.c.organization_id == entry.c.organization_id)
    statement = (
        select(line.c.lsn, line.c.position, *of_entry, *of_line, *[entry.c[name] for name in SAID])
        .select_from(entry.join(line, both))
        .where(entry.c.organization_id == query.organization_id, _is_wanted(entry, query))
        .where(entry.c.lsn.between(span.low_lsn, span.high_lsn))
    )
    order = [entry.c.lsn, line.c.position]
    if (span.first, span.last) != (0, WHOLE):  # of one transaction
        statement = statement.where(line.c.position.between(span.first, span.last))
        order = [line.c.position]  # else all would be sorted for the first few
    if query.variant_id:
        statement = statement.where(line.c.variant_id == query.variant_id)
    if query.warehouse_id:
        statement = statement.where(line.c.warehouse_id == query.warehouse_id)
    return statement.order_by(*[column.desc() if query.newest_first else column for column in order])


def _movement(row: Any) -> Movement:
    before, after = pieces_of(row[6:14])
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

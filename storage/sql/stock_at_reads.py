"""What a row had at a time: see `storage.sql.history_reads`.

No index knows the lines of a row, so the ledger is searched, some thousand lines in a step: others use the database in
between. Where a step ends is told by lines and not by LSNs: one transaction may have a million.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, Table, select, tuple_

from actors.changes import Pieces, Point, StockAt
from actors.queries import GetStockAt
from storage.sql.history_begin import first_lsn_of, floor_lsn_of
from storage.sql.history_reads import LINES, QUANTITIES, lsn_at, settled
from storage.sql.read_steps import LINES_A_STEP, Steps, read_without_pause
from storage.sql.schema import ownership


def stock_at(connection: Connection, query: GetStockAt) -> StockAt:
    """What the row had, from its last line before that time, or its first one after it."""
    return read_without_pause(connection, stock_at_in_steps(query))


def stock_at_in_steps(query: GetStockAt) -> Steps[StockAt]:
    """The same, so that others use the database between the steps."""
    end_lsn, floor_lsn, last_lsn, is_known = yield partial(_reach, query=query)
    first, end = Point(floor_lsn + 1, 0), Point(end_lsn, 0)
    while first < end:
        row, end = yield partial(_last_line, query=query, first=first, end=end)
        if row is not None:
            return StockAt(None if row.kind == "delete" else Pieces(*row[5:9]), row.lsn)
    after, last = Point(end_lsn - 1), Point(last_lsn)
    while after < last:
        row, after = yield partial(_first_line, query=query, after=after, last=last)
        if row is not None and any(row[1:5]):
            return StockAt(Pieces(*row[1:5])) if is_known else StockAt(None, is_known=False)
        if row is not None:
            break
    return StockAt(None)


def _reach(connection: Connection, query: GetStockAt) -> tuple[int, int, int, bool]:
    """The first LSN behind that time, one below all lines, the last one, and whether what was before is kept."""
    organization_id = query.organization_id
    end_lsn = lsn_at(connection, query.at_ms + 1, organization_id)
    last_lsn = int(connection.execute(select(ownership.c.last_lsn)).scalar_one())
    is_known = end_lsn > first_lsn_of(connection, organization_id)
    return end_lsn, floor_lsn_of(connection, organization_id), last_lsn, is_known


def _last_line(connection: Connection, query: GetStockAt, first: Point, end: Point) -> tuple[Any | None, Point]:
    """The row's last line among the next ones before `end`, from `first` on; and the place up to which that is."""

    def read() -> tuple[Any | None, Point]:
        found, edge = [], first
        for line in reversed(LINES):
            edge = _edge(connection, line, edge, end, newest_first=True) or edge
        for line in LINES:
            among = (_place(line) >= tuple_(*edge)) & (_place(line) < tuple_(*end))
            mine = _lines_of(line, query).where(among).order_by(line.c.lsn.desc(), line.c.position.desc())
            found += list(connection.execute(mine.limit(1)))
        return max(found, key=lambda row: row.lsn, default=None), edge

    return settled(connection, read)


def _first_line(connection: Connection, query: GetStockAt, after: Point, last: Point) -> tuple[Any | None, Point]:
    """The row's first line among the next ones behind `after`, up to `last`; and the place up to which that is."""

    def read() -> tuple[Any | None, Point]:
        found, edge = [], last
        for line in LINES:
            edge = _edge(connection, line, after, edge, newest_first=False) or edge
        for line in LINES:
            among = (_place(line) > tuple_(*after)) & (_place(line) <= tuple_(*edge))
            mine = _lines_of(line, query).where(among).order_by(line.c.lsn, line.c.position)
            found += list(connection.execute(mine.limit(1)))
        return min(found, key=lambda row: row.lsn, default=None), edge

    return settled(connection, read)


def _place(line: Table) -> Any:
    return tuple_(line.c.lsn, line.c.position)


def _edge(connection: Connection, line: Table, begin: Point, end: Point, *, newest_first: bool) -> Point | None:
    """The place of the line with which a step has gone through as many as it may; None if there are fewer."""
    here = _place(line)
    statement = select(line.c.lsn, line.c.position).offset(LINES_A_STEP - 1).limit(1)
    if newest_first:
        statement = statement.where(here >= tuple_(*begin), here < tuple_(*end))
        statement = statement.order_by(line.c.lsn.desc(), line.c.position.desc())
    else:
        statement = statement.where(here > tuple_(*begin), here <= tuple_(*end))
        statement = statement.order_by(line.c.lsn, line.c.position)
    found = connection.execute(statement).first()
    return None if found is None else Point(*found)


def _lines_of(line: Table, query: GetStockAt) -> Select[Any]:
    columns = (line.c.lsn, *[line.c[name] for name in QUANTITIES], line.c.kind)
    return select(*columns).where(
        line.c.organization_id == query.organization_id,
        line.c.variant_id == query.variant_id,
        line.c.warehouse_id == query.warehouse_id,
    )

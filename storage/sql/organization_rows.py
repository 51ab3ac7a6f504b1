"""An organization's rows in all tables: read page by page, written, and deleted.

The ledger has no index by organization. It is reached by the organization's entries of the journal, and what is older
than those by its LSNs. So a page looks at no more than it returns, and a small organization in a large database is
small.

Where an organization's rows are deleted, each LSN of the database's own keeps an entry that says nothing: the journal
has no gap.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, exists, func, literal, or_, select, tuple_, update

from actors.organization_moves import WHOLE, Cleared, OrganizationRows, Place, Span, Value
from actors.organization_stays import Shift
from storage.sql.changed_rows import is_within
from storage.sql.history_begin import ENTRIES, floor_lsn_of
from storage.sql.neutral_rows import delete_keys, insert_rows, names_of, rows_of, selected
from storage.sql.schema import event_cursor, metadata, ownership
from storage.sql.staging_schema import import_low

LEDGER = ("stock_movement", "stock_movement_archive")
JOURNAL = ("journal_entry", "journal_entry_archive")
# In the order in which they are written. The ledger is found by the journal, and what fell low by the ledger: otherwise
# what a copy had written that was killed half-way could not be found any more, and would stay.
TABLES = (
    *JOURNAL,
    *LEDGER,
    "import_low",
    "warehouse",
    "sourcing",
    "stock",
    "stock_opening",
    "reservation",
    "reservation_item",
    "reservation_archive",
    "reservation_item_archive",
    "transfer",
    "transfer_line",
    "request",
)
TRANSACTIONS_A_PAGE = 500
BEFORE_ENTRIES, BY_ENTRIES = 0, 1  # the two parts of a ledger
BEHIND = 2**31 - 1  # all positions of an LSN
FIRST = (-(2**62), 0)
SAID = (
    "reservation_id",
    "order_id",
    "state",
    "reference",
    "reason",
    "request_id",
    "actor",
    "correlation_id",
    "details",
)


def read_rows(
    connection: Connection,
    organization_id: str,
    name: str,
    after: Place | None,
    rows_max: int,
    span: Span = WHOLE,
) -> OrganizationRows:
    """Some rows of a table, behind a place, and where the next ones begin."""
    table = metadata.tables[name]
    if name in LEDGER or table is import_low:
        return _ledger_page(connection, organization_id, table, after, rows_max, span)
    key = [column for column in table.primary_key.columns if column.name not in ("organization_id", "scope")]
    statement = selected(connection, table).where(
        _is_of(table, organization_id), *is_within(table, organization_id, span)
    )
    if key and after is not None:
        statement = statement.where(tuple_(*key) > _place(key, after))
    rows = rows_of(connection, statement.order_by(*key).limit(rows_max))
    if len(rows) < rows_max or not key:
        return OrganizationRows(rows)
    names = names_of(table)
    return OrganizationRows(rows, tuple(rows[-1][names.index(column.name)] for column in key))


def write_rows(connection: Connection, name: str, rows: Sequence[Sequence[Value]]) -> None:
    """Add rows."""
    insert_rows(connection, metadata.tables[name], rows)


def shifted(name: str, rows: Sequence[Sequence[Value]], shift: Shift) -> Sequence[Sequence[Value]]:
    """The same rows with other LSNs."""
    names = names_of(metadata.tables[name])
    if "lsn" not in names:
        return rows
    at = names.index("lsn")
    return [(*row[:at], shift.of(row[at]), *row[at + 1 :]) for row in rows]  # type: ignore[arg-type]


def clear_rows(connection: Connection, organization_id: str, rows_max: int) -> Cleared:
    """Delete some rows of the organization. What a relay has not passed on yet stays, and so does all the rest."""
    if _is_needed(connection, organization_id):
        return "needed"
    if _clear_transactions(connection, organization_id, rows_max):
        return "some"
    for name in TABLES:
        page = read_rows(connection, organization_id, name, None, rows_max)
        if page.rows:
            _delete(connection, metadata.tables[name], page.rows)
            return "some"
    return "all"


def _is_needed(connection: Connection, organization_id: str) -> bool:
    passed_on = connection.execute(select(func.min(event_cursor.c.lsn))).scalar()
    if passed_on is None:
        return False
    newest = [
        connection.execute(select(func.max(one.c.lsn)).where(one.c.organization_id == organization_id)).scalar()
        for one in ENTRIES
    ]
    return bool(max((lsn for lsn in newest if lsn is not None), default=0) > passed_on)


def _clear_transactions(connection: Connection, organization_id: str, rows_max: int) -> bool:
    """Delete lines of the ledger with their entries, oldest first; of a large one not all at once."""
    lsns = _transactions(connection, organization_id, floor_lsn_of(connection, organization_id))
    for name in LEDGER:
        table = metadata.tables[name]
        page = _lines(connection, organization_id, table, table.c.lsn.in_(lsns), FIRST, rows_max)
        if page.rows:
            names = names_of(table)
            at = names.index("lsn"), names.index("position")
            places = [(row[at[0]], row[at[1]]) for row in page.rows]
            delete_keys(connection, import_low, ("lsn", "position"), places)
            _delete(connection, table, page.rows)
        if page.next is not None:
            return True
    for name in JOURNAL:
        _clear_entries(connection, metadata.tables[name], organization_id, lsns)
    return bool(lsns)


def _delete(connection: Connection, table: Table, rows: Sequence[Sequence[Value]]) -> None:
    key = tuple(column.name for column in table.primary_key.columns)
    at = [names_of(table).index(name) for name in key]
    delete_keys(connection, table, key, [[row[place] for place in at] for row in rows])


def _clear_entries(connection: Connection, table: Table, organization_id: str, lsns: Sequence[int]) -> None:
    """Leave one entry, of no organization, at each LSN of the database's own that had no other."""
    mine = and_(table.c.organization_id == organization_id, table.c.lsn.in_(lsns))
    other = table.alias()
    others = exists().where(other.c.lsn == table.c.lsn, other.c.organization_id != organization_id)
    connection.execute(delete(table).where(mine, or_(table.c.lsn <= 0, others)))
    blank = {"organization_id": "", "kind": "remember", "expires_at": None, **dict.fromkeys(SAID, "")}
    connection.execute(update(table).where(mine).values(blank))


# ---- the ledger ---------------------------------------------------------------------------------------------------


def _ledger_page(
    connection: Connection, organization_id: str, table: Table, after: Place | None, rows_max: int, span: Span
) -> OrganizationRows:
    """A place is the part, an LSN and a position in it."""
    part, lsn, position = after or _first_place(span)
    if part == BEFORE_ENTRIES:
        from_lsn = connection.execute(select(ownership.c.entries_from_lsn)).scalar_one()
        older = and_(table.c.lsn >= 1, table.c.lsn < from_lsn)
        page = _lines(connection, organization_id, table, older, (lsn, position), rows_max)
        if page.next is not None:
            return OrganizationRows(page.rows, (BEFORE_ENTRIES, *page.next))
        floor = floor_lsn_of(connection, organization_id)
        return OrganizationRows(page.rows, (BY_ENTRIES, floor, BEHIND))
    begin_lsn = lsn if position != BEHIND else lsn + 1  # type: ignore[operator]
    lsns = _transactions(connection, organization_id, begin_lsn, span.upto_lsn)
    if not lsns:
        return OrganizationRows([])
    these = and_(table.c.lsn.in_(lsns), ~_is_before_entries(table))
    page = _lines(connection, organization_id, table, these, (lsn, position), rows_max)
    return OrganizationRows(page.rows, (BY_ENTRIES, *(page.next or (lsns[-1], BEHIND))))


def _first_place(span: Span) -> Place:
    return (BEFORE_ENTRIES, 0, BEHIND) if span.after_lsn is None else (BY_ENTRIES, span.after_lsn, BEHIND)


def _is_before_entries(table: Table) -> Any:
    from_lsn = select(ownership.c.entries_from_lsn).scalar_subquery()
    return and_(table.c.lsn >= 1, table.c.lsn < from_lsn)


def _transactions(
    connection: Connection, organization_id: str, begin_lsn: Any, upto_lsn: int | None = None
) -> list[int]:
    """The organization's next ones."""
    found: list[int] = []
    for entry in ENTRIES:
        left = TRANSACTIONS_A_PAGE - len(found)
        mine = select(entry.c.lsn).where(entry.c.organization_id == organization_id, entry.c.lsn >= begin_lsn)
        mine = mine if upto_lsn is None else mine.where(entry.c.lsn <= upto_lsn)
        found += connection.execute(mine.order_by(entry.c.lsn).limit(left)).scalars() if left else ()
    return found


def _lines(
    connection: Connection, organization_id: str, table: Table, condition: Any, after: Place, rows_max: int
) -> OrganizationRows:
    key = [table.c.lsn, table.c.position]
    statement = selected(connection, table).where(condition, tuple_(*key) > _place(key, after))
    statement = statement.where(_is_of(table, organization_id)).order_by(*key).limit(rows_max)
    rows, names = rows_of(connection, statement), names_of(table)
    last = tuple(rows[-1][names.index(column.name)] for column in key) if len(rows) == rows_max else None
    return OrganizationRows(rows, last)


# ---- statements ---------------------------------------------------------------------------------------------------


def _is_of(table: Table, organization_id: str) -> Any:
    if table is import_low:
        lines = [metadata.tables[name] for name in LEDGER]
        same = [(line.c.lsn == table.c.lsn) & (line.c.position == table.c.position) for line in lines]
        mine = [line.c.organization_id == organization_id for line in lines]
        return or_(*[exists().where(a, b) for a, b in zip(same, mine, strict=True)])
    return (table.c.scope if table.name == "request" else table.c.organization_id) == organization_id


def _place(key: Sequence[Any], place: Place) -> Any:
    return tuple_(*[literal(value, column.type) for value, column in zip(place, key, strict=True)])

"""Staged lines in the tables: plain functions of a SQLAlchemy `Connection`, in the transaction that their caller began.

What a line makes of its row is written once, as SQL, for the look that judges and for the fold that carries it out: the
database does both for a thousand lines in a few statements, and no line of a large import is a Python object twice.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, json
from sqlalchemy import ARRAY, Connection, Integer, Text, TextClause, bindparam, select, text

from actors.records import StockKey, StockRecord, VariantKey
from actors.row_changes import Levels
from actors.staged_rows import Repeat
from storage.sql.many_rows import DriverStatements, ManyRows
from storage.sql.staging_schema import import_decided
from storage.staging import Judged, StagedLine, Tally, line_of

KEY = ("organization_id", "variant_id", "warehouse_id")
FIGURES = ("total", "damaged", "in_transit", "min_stock", "max_stock", "reorder_point")
COLUMNS = ("import_id", *KEY, "place", "line_number", "stock_id", *FIGURES)

# Each name once more as what the row has after its line. `d` has the levels of rows that are made, `s` the row, if any.
AFTER = {
    **{name: f"coalesce(l.{name}, s.{name}, 0)" for name in ("total", "damaged", "in_transit")},
    **{name: f"coalesce(l.{name}, s.{name}, d.{name})" for name in ("min_stock", "max_stock", "reorder_point")},
    "reserved": "coalesce(s.reserved, 0)",
}
AFTER["available"] = f"({AFTER['total']} - {AFTER['reserved']} - {AFTER['damaged']} - {AFTER['in_transit']})"
CREATES = "s.version IS NULL"
CHANGES = f"({CREATES} OR {' OR '.join(f'{AFTER[name]} <> s.{name}' for name in FIGURES)})"
IS_BAD = f"({AFTER['available']} < 0 OR ({AFTER['max_stock']} <> 0 AND {AFTER['min_stock']} > {AFTER['max_stock']}))"
ROW = " AND ".join(f"s.{name} = l.{name}" for name in KEY)
LEVELS = ("min_stock", "max_stock", "reorder_point")
GIVEN_LEVELS = f"(SELECT {', '.join(f'CAST(:{name} AS int) AS {name}' for name in LEVELS)}) AS d"

UP_TO = f"({', '.join(f'l.{name}' for name in KEY)}) <= (:{', :'.join(KEY)})"
BEHIND = f"({', '.join(f'l.{name}' for name in KEY)}) > (:{', :'.join(f'after_{name}' for name in KEY)})"
OF_VARIANT = "l.organization_id = :organization_id AND l.variant_id = :variant_id"

_IN_ORDER = ", ".join(f"l.{name}" for name in KEY)


def _typed(sql: str) -> TextClause:
    """A statement whose parameters say their types, where Postgres would not find them out."""
    types: dict[str, Any] = {"lines_max": Integer(), **dict.fromkeys(LEVELS, Integer())}
    statement = text(sql)
    named = [name for name in statement._bindparams if name in types]
    return statement.bindparams(*(bindparam(name, type_=types[name]) for name in named))


# ---- the upload -------------------------------------------------------------------------------------------------

INSERT = f"INSERT INTO import_line ({', '.join(COLUMNS)})"
stage_sqlite = ManyRows(len(COLUMNS), INSERT, "ON CONFLICT DO NOTHING")
_NUMBERS = {"line_number": "bigint", **dict.fromkeys(("place", *FIGURES), "int")}
_RECORD = ", ".join(f"{name} {_NUMBERS.get(name, 'text')}" for name in COLUMNS)
STAGE_POSTGRES = text(
    f"{INSERT} SELECT {', '.join(COLUMNS)} FROM json_to_recordset(CAST(:lines AS json)) AS r ({_RECORD})"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("lines", type_=Text()))
FIND_LINE = text(
    "SELECT place, line_number FROM import_line l WHERE import_id = :import_id"
    f" AND {' AND '.join(f'{name} = :{name}' for name in KEY)}"
)


def stage(connection: Connection, import_id: str, lines: Sequence[StagedLine]) -> list[Repeat]:
    """Keep lines, and tell those that repeat a row."""
    if connection.dialect.name == "postgresql":
        told = [_told(import_id, staged) for staged in lines]
        kept = connection.execute(STAGE_POSTGRES, {"lines": json.encode(told).decode()}).rowcount
    else:
        kept = stage_sqlite(DriverStatements(connection), [(import_id, *_values(staged)) for staged in lines])
    if kept == len(lines):
        return []
    found = [_repeat(connection, _told(import_id, staged)) for staged in lines]
    return [repeat for repeat in found if repeat is not None]


def _told(import_id: str, staged: StagedLine) -> dict[str, Any]:
    return dict(zip(COLUMNS, (import_id, *_values(staged)), strict=True))


def _values(staged: StagedLine) -> tuple[Any, ...]:
    line = staged.line
    reorder_point = None if line.reorder_point is UNSET else line.reorder_point
    figures = (line.total, line.damaged, line.in_transit, line.min_stock, line.max_stock, reorder_point)
    return (*staged.key, staged.place, line.line_number, staged.stock_id, *figures)


def _repeat(connection: Connection, one: dict[str, Any]) -> Repeat | None:
    key = {name: one[name] for name in ("import_id", *KEY)}
    found = connection.execute(FIND_LINE, key).fetchone()
    assert found is not None, one
    place, line_number = found
    return None if place == one["place"] else Repeat(one["line_number"], line_number)


# ---- the judgement ----------------------------------------------------------------------------------------------


def _last_of(behind: str) -> TextClause:
    return _typed(
        f"SELECT {_IN_ORDER} FROM (SELECT {_IN_ORDER} FROM import_line l WHERE import_id = :import_id {behind}"
        f" ORDER BY {_IN_ORDER} LIMIT :lines_max) AS l"
        f" ORDER BY {', '.join(f'l.{name} DESC' for name in KEY)} LIMIT 1"
    )


def _tallies(behind: str) -> TextClause:
    return _typed(
        f"SELECT (SELECT last_lsn FROM ownership), l.organization_id, count(*),"
        f" sum(CASE WHEN {CREATES} THEN 1 ELSE 0 END), sum(CASE WHEN {CHANGES} THEN 1 ELSE 0 END),"
        f" sum(CASE WHEN {IS_BAD} THEN 1 ELSE 0 END) {_judged(behind)} GROUP BY l.organization_id"
    )


def _bad(behind: str) -> TextClause:
    row = ", ".join(f"s.{name}" for name in StockRecord.__struct_fields__[3:-1])
    line = ", ".join(f"l.{name}" for name in COLUMNS[1:])
    return _typed(f"SELECT {line}, {row} {_judged(behind)} AND {IS_BAD} ORDER BY {_IN_ORDER}")


def _judged(behind: str) -> str:
    return (
        f"FROM import_line l CROSS JOIN {GIVEN_LEVELS} LEFT JOIN stock s ON {ROW}"
        f" WHERE l.import_id = :import_id AND {UP_TO} {behind}"
    )


# By whether they begin behind a row.
LAST = {is_later: _last_of(f"AND {BEHIND}" if is_later else "") for is_later in (False, True)}
TALLIES = {is_later: _tallies(f"AND {BEHIND}" if is_later else "") for is_later in (False, True)}
BAD = {is_later: _bad(f"AND {BEHIND}" if is_later else "") for is_later in (False, True)}


def judge_staged(
    connection: Connection, import_id: str, after: StockKey | None, lines_max: int, levels: Levels
) -> Judged:
    """What the next lines would do to the rows. One statement counts, so that it sees one moment."""
    is_later = after is not None
    begin = {"import_id": import_id, **_keyed("after_", after)}
    last = connection.execute(LAST[is_later], {**begin, "lines_max": lines_max}).fetchone()
    if last is None:
        return Judged(None, 0, {})
    of_rows = {level: getattr(levels, level) for level in LEVELS}
    bounds = {**begin, **_keyed("", StockKey(*last)), **of_rows}
    counted = connection.execute(TALLIES[is_later], bounds).fetchall()
    tallies = {
        organization_id: Tally(int(created), int(changed) - int(created), int(lines) - int(changed))
        for _, organization_id, lines, created, changed, _ in counted
    }
    bad = sum(int(row[-1]) for row in counted)
    found = connection.execute(BAD[is_later], bounds).fetchall() if bad else ()
    return Judged(StockKey(*last), int(counted[0][0]), tallies, [_bad_line(row) for row in found])


def _keyed(prefix: str, key: StockKey | None) -> dict[str, str]:
    return {} if key is None else {f"{prefix}{name}": value for name, value in zip(KEY, key, strict=True)}


def _bad_line(row: Any) -> tuple[StagedLine, StockRecord | None]:
    staged = _staged(row)
    figures = row[len(COLUMNS) - 1 :]
    return staged, None if figures[-1] is None else StockRecord(*staged.key, *figures)


def _staged(row: Any) -> StagedLine:
    key, (place, line_number, stock_id) = StockKey(*row[:3]), row[3:6]
    return StagedLine(place, stock_id, line_of(key, line_number, row[6:12]))


_OF_KEYS = f"SELECT {', '.join(f'l.{name}' for name in COLUMNS[1:])} FROM"
# Of a plain join SQLite would make a walk through all lines of the import.
LINES_SQLITE = text(
    f"{_OF_KEYS} json_each(:keys) AS k CROSS JOIN import_line AS l WHERE l.import_id = :import_id"
    " AND l.organization_id = json_extract(k.value, '$[0]') AND l.variant_id = json_extract(k.value, '$[1]')"
    f" ORDER BY {_IN_ORDER}"
)
LINES_POSTGRES = text(
    f"{_OF_KEYS} unnest(:organization_ids, :variant_ids) AS k (organization_id, variant_id)"
    " JOIN import_line AS l ON l.organization_id = k.organization_id AND l.variant_id = k.variant_id"
    f" WHERE l.import_id = :import_id ORDER BY {_IN_ORDER}"
).bindparams(bindparam("organization_ids", type_=ARRAY(Text)), bindparam("variant_ids", type_=ARRAY(Text)))


def staged_lines(connection: Connection, import_id: str, keys: Sequence[VariantKey]) -> list[StagedLine]:
    """The lines of these variants."""
    if connection.dialect.name == "postgresql":
        organization_ids, variant_ids = [key.organization_id for key in keys], [key.variant_id for key in keys]
        values: dict[str, Any] = {"organization_ids": organization_ids, "variant_ids": variant_ids}
        found = connection.execute(LINES_POSTGRES, {"import_id": import_id, **values})
    else:
        found = connection.execute(LINES_SQLITE, {"import_id": import_id, "keys": json.encode(keys).decode()})
    return [_staged(row) for row in found.all()]


WITHDRAW = text("DELETE FROM import_line AS l WHERE import_id = :import_id AND " + OF_VARIANT)


def withdraw(connection: Connection, import_id: str, keys: Sequence[VariantKey]) -> None:
    """Forget the lines of these variants."""
    for key in keys:
        connection.execute(
            WITHDRAW, {"import_id": import_id, "organization_id": key.organization_id, "variant_id": key.variant_id}
        )


# ---- the end ----------------------------------------------------------------------------------------------------

IS_UNDECIDED = "NOT EXISTS (SELECT 1 FROM import_decided d WHERE d.import_id = :import_id)"
DROP = text(f"DELETE FROM import_line AS l WHERE import_id = :import_id AND {UP_TO} AND {IS_UNDECIDED}")
END = text(
    "DELETE FROM import_decided WHERE import_id = :import_id"
    " AND NOT EXISTS (SELECT 1 FROM import_line l WHERE l.import_id = :import_id)"
)
DECIDED = select(import_decided.c.import_id).order_by(import_decided.c.import_id)
NEXT_IMPORT = text("SELECT min(import_id) FROM import_line WHERE import_id > :import_id")


def drop_staged(connection: Connection, import_id: str, lines_max: int) -> bool:
    """Forget lines of an import that is not decided."""
    last = connection.execute(LAST[False], {"import_id": import_id, "lines_max": lines_max}).fetchone()
    if last is None:
        return False
    return bool(connection.execute(DROP, {"import_id": import_id, **_keyed("", StockKey(*last))}).rowcount)


def _fold(which: str) -> tuple[TextClause, ...]:
    """Statements that carry out the lines of which this is true, in their order."""
    source = (
        "FROM import_decided d JOIN import_line l ON l.import_id = d.import_id LEFT JOIN stock s"
        f" ON {ROW} WHERE d.import_id = :import_id AND {which} AND {CHANGES}"
    )
    pieces = ("available", "reserved", "damaged", "in_transit")
    before = ", ".join(f"coalesce(s.{name}, 0)" for name in pieces)
    after = ", ".join(AFTER[name] for name in pieces)
    movements = (
        f"INSERT INTO stock_movement (lsn, position, at, kind, {', '.join(KEY)},"
        f" {', '.join(f'{name}_before' for name in pieces)}, {', '.join(f'{name}_after' for name in pieces)},"
        " reference, reason, reservation_id, order_id)"
        f" SELECT d.lsn, l.place, d.at, 'import', {_IN_ORDER}, {before}, {after}, d.reference, '', '', '' {source}"
    )
    return text(movements), text(_low(source)), text(_rows(source)), text(_folded(which))


def _low(source: str) -> str:
    """As `storage.told.low_lines`."""
    available, least, reorder = AFTER["available"], AFTER["min_stock"], AFTER["reorder_point"]
    was = "coalesce(s.available, 0)"
    fell = " OR ".join(f"({line} <> 0 AND {available} <= {line} AND {was} > {line})" for line in (least, reorder))
    return (
        "INSERT INTO import_low (lsn, position, least, reorder)"
        f" SELECT d.lsn, l.place, {least}, {reorder} {source} AND ({fell})"
    )


def _rows(source: str) -> str:
    figures = ("total", "available", "reserved", "damaged", "in_transit", *LEVELS)
    values = ", ".join(AFTER[name] for name in figures)
    return (
        f"INSERT INTO stock ({', '.join(figures)}, version, stock_id, {', '.join(KEY)})"
        f" SELECT {values}, coalesce(s.version, 0) + 1, coalesce(s.stock_id, l.stock_id), {_IN_ORDER} {source}"
        f" ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET"
        f" {', '.join(f'{name} = excluded.{name}' for name in (*figures, 'version'))}"
    )


def _folded(which: str) -> str:
    decided = "EXISTS (SELECT 1 FROM import_decided d WHERE d.import_id = :import_id)"
    return f"DELETE FROM import_line AS l WHERE import_id = :import_id AND {which} AND {decided}"


FOLD_NEXT, FOLD_VARIANT = _fold(UP_TO), _fold(OF_VARIANT)


def fold(connection: Connection, import_id: str, lines_max: int) -> bool:
    """Carry out the next lines of a decided import."""
    last = connection.execute(LAST[False], {"import_id": import_id, "lines_max": lines_max}).fetchone()
    if last is not None:
        for statement in FOLD_NEXT:
            connection.execute(statement, {"import_id": import_id, **_keyed("", StockKey(*last))})
    is_over = connection.execute(END, {"import_id": import_id}).rowcount
    return not is_over and import_id in decided_imports(connection)


def fold_variants(connection: Connection, staged: Sequence[tuple[str, VariantKey]]) -> None:
    """Carry out the lines of variants, of decided imports."""
    for import_id, key in staged:
        values = {"import_id": import_id, "organization_id": key.organization_id, "variant_id": key.variant_id}
        for statement in FOLD_VARIANT:
            connection.execute(statement, values)


def variants_to_fold(connection: Connection, keys: Sequence[VariantKey]) -> list[tuple[str, VariantKey]]:
    """Which of these have lines in decided imports."""
    return [
        (import_id, key)
        for import_id in decided_imports(connection)
        for key in sorted({line.key.variant for line in staged_lines(connection, import_id, keys)})
    ]


def decided_imports(connection: Connection) -> list[str]:
    """Those that are not over."""
    return [import_id for (import_id,) in connection.execute(DECIDED).fetchall()]


def staged_imports(connection: Connection) -> list[str]:
    """Those that no decision mentions."""
    decided, last = set(decided_imports(connection)), ""
    found: list[str] = []
    while True:
        row = connection.execute(NEXT_IMPORT, {"import_id": last}).fetchone()
        if row is None or row[0] is None:
            return found
        last = row[0]
        if last not in decided:
            found.append(last)

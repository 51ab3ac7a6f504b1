"""Rows of a table as no database has them of its own: tuples in the order of its columns, instants as milliseconds.

They go from one database into another in pages of a thousand. What is the same for each row is left to the database,
which does it in a tenth of the time: it makes numbers of instants and instants of numbers, and takes a page in one
statement. What it computes itself is not among the columns.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Integer, Select, SmallInteger, Table, literal_column, select
from sqlalchemy.types import TypeEngine

from actors.organization_moves import Value
from storage.sql.instants import Instant
from storage.sql.schema import LONG

Rows = Sequence[Sequence[Value]]


@cache
def columns_of(table: Table) -> tuple[Column[Any], ...]:
    """Those that are written."""
    return tuple(column for column in table.c if column.computed is None)


@cache
def names_of(table: Table) -> tuple[str, ...]:
    """The same by name."""
    return tuple(column.name for column in columns_of(table))


def selected(connection: Connection, table: Table) -> Select[Any]:
    """What gives such rows; it has no condition yet."""
    return select(*_shown(table, connection.dialect.name)).select_from(table)


def rows_of(connection: Connection, statement: Select[Any]) -> list[tuple[Value, ...]]:
    """What it finds."""
    return [tuple(row) for row in connection.execute(statement)]


def insert_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Add rows."""
    if rows:
        dialect = connection.dialect.name
        _run(connection, _insert(table, dialect), rows)


def delete_keys(connection: Connection, table: Table, names: tuple[str, ...], keys: Rows) -> None:
    """Delete the rows whose columns of these names, none of which is an instant, have these values."""
    if keys:
        _run(connection, _delete(table, names, connection.dialect.name), keys)


def _run(connection: Connection, statement: str, rows: Rows) -> None:
    if connection.dialect.name == "postgresql":
        arrays: Any = tuple(list(column) for column in zip(*rows, strict=True))
        connection.exec_driver_sql(statement, arrays)
    else:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])


@cache
def _shown(table: Table, dialect: str) -> tuple[Any, ...]:
    return tuple(
        _in_ms(column, dialect) if isinstance(column.type, Instant) else column for column in columns_of(table)
    )


def _in_ms(column: Column[Any], dialect: str) -> Any:
    name = f"{column.table.name}.{column.name}"
    if dialect == "postgresql":
        return literal_column(f"(extract(epoch FROM {name}) * 1000)::int8", LONG).label(column.name)
    seconds, milliseconds = f"CAST(strftime('%s', {name}) AS INTEGER)", f"CAST(substr({name}, 21, 3) AS INTEGER)"
    return literal_column(f"({seconds} * 1000 + {milliseconds})", LONG).label(column.name)


@cache
def _insert(table: Table, dialect: str) -> str:
    columns, names = columns_of(table), ", ".join(names_of(table))
    if dialect != "postgresql":
        values = ", ".join(
            f"strftime('%Y-%m-%dT%H:%M:%S', ?{n} / 1000, 'unixepoch') || printf('.%03dZ', ?{n} % 1000)"
            if isinstance(column.type, Instant)
            else f"?{n}"
            for n, column in enumerate(columns, 1)
        )
        return f"INSERT INTO {table.name} ({names}) VALUES ({values})"
    values = ", ".join(
        f"timestamptz 'epoch' + new.{column.name} * interval '1 millisecond'"
        if isinstance(column.type, Instant)
        else f"new.{column.name}"
        for column in columns
    )
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {_arrays(columns, 'new')}"


@cache
def _delete(table: Table, names: tuple[str, ...], dialect: str) -> str:
    if dialect != "postgresql":
        return f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = ?{n}' for n, name in enumerate(names, 1))}"
    same = " AND ".join(f"{table.name}.{name} = old.{name}" for name in names)
    return f"DELETE FROM {table.name} USING {_arrays([table.c[name] for name in names], 'old')} WHERE {same}"


def _arrays(columns: Sequence[Column[Any]], name: str) -> str:
    """A page as a table of Postgres: an array for each column."""
    arrays = ", ".join(f"${n}::{_array_type(column.type)}" for n, column in enumerate(columns, 1))
    return f"unnest({arrays}) AS {name} ({', '.join(column.name for column in columns)})"


def _array_type(kind: TypeEngine[Any]) -> str:
    if isinstance(kind, SmallInteger):
        return "int2[]"
    if isinstance(kind, Instant) or kind is LONG:
        return "int8[]"
    return "int4[]" if isinstance(kind, Integer) else "text[]"

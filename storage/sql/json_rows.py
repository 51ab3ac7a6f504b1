"""Rows as JSON that the database itself makes: none of them becomes an object of Python's.

On SQLite that is C code which lets other threads run meanwhile; on Postgres it is done by another process.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    Text,
    cast,
    extract,
    func,
    literal_column,
    select,
)


def json_of(rows: Subquery, columns: Sequence[str], dialect: str) -> Select[Any]:
    """Tells them as a JSON array of arrays, in any order; None: there are none."""
    values = [rows.c[name] for name in columns]
    array: ColumnElement[Any]
    if dialect == "postgresql":
        array = cast(func.json_agg(func.json_build_array(*values)), Text)
    else:
        array = func.json_group_array(func.json_array(*values))
    return select(array).select_from(rows)


def asked(connection: Connection, statement: Select[Any], values: Mapping[str, int]) -> bytes:
    """What such a statement tells."""
    found = connection.execute(statement, values).scalar()
    return found.encode() if found else b"[]"


def spliced(one: bytes, other: bytes) -> bytes:
    """What two such arrays have together."""
    if len(one) <= 2 or len(other) <= 2:
        return one if len(other) <= 2 else other
    return one[:-1] + b"," + other[1:]


def milliseconds_in(instant: ColumnElement[Any], dialect: str) -> ColumnElement[int]:
    """A column of instants (`storage.sql.instants`) as a number; 0 where it is NULL."""
    if dialect == "postgresql":
        return func.coalesce(cast(extract("epoch", instant) * 1_000, BigInteger), 0)
    seconds = cast(func.strftime(literal_column("'%s'"), func.substr(instant, 1, 19)), Integer)
    return func.coalesce(seconds * 1_000 + cast(func.substr(instant, 21, 3), Integer), 0)

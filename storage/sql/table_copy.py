"""Reads a table page by page in the order of its key, writes pages, and makes a digest of all that was read.

Two databases that give the same digest have the same rows, whatever their types are: an instant is a number of
milliseconds in both, and no instant is None.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Table, insert, literal, select, tuple_

from storage.sql.instants import Instant

ROWS_A_PAGE = 1_000
Rows = Sequence[Mapping[str, Any]]


def read_page(connection: Connection, table: Table, after: Mapping[str, Any] | None) -> Rows:
    """The rows behind one, at most a page of them."""
    key = list(table.primary_key.columns)
    maybe = [column for column in table.c if column.nullable and isinstance(column.type, Instant)]
    statement = select(*table.c, *(column.is_(None).label(f"no {column.name}") for column in maybe)).order_by(*key)
    if after is not None:
        place = [literal(after[column.name], column.type) for column in key]
        statement = statement.where(tuple_(*key) > tuple_(*place))
    return as_rows(connection.execute(statement.limit(ROWS_A_PAGE)).mappings().all(), table)


def as_rows(found: Sequence[Mapping[Any, Any]], table: Table) -> Rows:
    """What was found, with no instant where there is none, which a column "no NAME" says."""
    return [{name: _value(row, name) for name in table.c.keys()} for row in found]  # noqa: SIM118 - no dict


def _value(row: Mapping[Any, Any], name: str) -> Any:
    return None if row.get(f"no {name}") else row[name]


def write_page(connection: Connection, table: Table, rows: Rows) -> None:
    """Add rows. What the database computes itself is left out."""
    names = [column.name for column in table.c if column.computed is None]
    if rows:
        connection.execute(insert(table), [{name: row[name] for name in names} for row in rows])


class Digest(Struct, frozen=True):
    """How many rows a table has, and what they come to."""

    rows: int
    digest: str


class DigestMaker:
    """Makes a digest of rows as they come by."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._rows = 0

    def __repr__(self) -> str:
        return f"<DigestMaker rows={self._rows}>"

    def statistics(self) -> Digest:
        """What came by so far."""
        return Digest(self._rows, self._hash.hexdigest())

    def add(self, rows: Rows) -> None:
        self.add_values([list(row.values()) for row in rows])

    def add_values(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self._hash.update(msgspec.msgpack.encode(row))
        self._rows += len(rows)

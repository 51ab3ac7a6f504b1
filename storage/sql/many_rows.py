"""Many rows in few executions of a statement.

sqlite3 gives the interpreter's lock away and takes it back for every execution. Beside a busy event loop, a batch that
wrote row by row took four times as long as its SQL.
"""

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Connection

from storage.sql.rows import Row

ROWS_AT_ONCE = 128  # with 32 a batch asked for the lock four times as often, and took longer beside a busy loop


class Executes(Protocol):
    """As much of a connection of the driver's own."""

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:
        """The result knows how many rows were written."""
        ...


class DriverStatements:
    """The driver's own statements, on a connection of SQLAlchemy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<DriverStatements {self._connection!r}>"

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:
        return self._connection.exec_driver_sql(sql, tuple(parameters))


class ManyRows:
    """A statement in sizes of 1, 2, 4 … `ROWS_AT_ONCE` rows, so that any number of rows takes few executions.

    Args:
        columns: how many values a row has.
        before, after: the statement around its VALUES.
        shared: places of two values or more that neighbours have in common: if the first and the last of some rows do,
            all between them do too. Then they are bound once, since to bind a value takes as long as to store it.
    """

    def __init__(self, columns: int, before: str, after: str = "", shared: Sequence[int] = ()) -> None:
        row = f"({', '.join('?' * columns)})"
        self._sizes = [
            (size, f"{before} VALUES {', '.join([row] * size)} {after}")
            for size in (ROWS_AT_ONCE >> shift for shift in range(ROWS_AT_ONCE.bit_length()))
        ]
        own = [place for place in range(columns) if place not in shared]
        alike = ", ".join(_numbered(shared, own, row) for row in range(ROWS_AT_ONCE))
        self._alike = f"{before} VALUES {alike} {after}"
        self._shared, self._own = itemgetter(*shared) if shared else None, itemgetter(*own)

    def __repr__(self) -> str:
        return f"<ManyRows {self._sizes[-1][1].strip()}>"

    def __call__(self, connection: Executes, rows: Sequence[Row]) -> int:
        """Returns how many rows of the table were written."""
        begin = written = 0
        if (shared := self._shared) is not None:
            while begin + ROWS_AT_ONCE <= len(rows):
                some = rows[begin : begin + ROWS_AT_ONCE]
                if (values := shared(some[0])) != shared(some[-1]):
                    break
                own = chain.from_iterable(map(self._own, some))
                written += connection.execute(self._alike, [*values, *own]).rowcount
                begin += ROWS_AT_ONCE
        for size, sql in self._sizes:
            while begin + size <= len(rows):
                values = list(chain.from_iterable(rows[begin : begin + size]))
                written += connection.execute(sql, values).rowcount
                begin += size
        return written


def _numbered(shared: Sequence[int], own: Sequence[int], row: int) -> str:
    """A row of parameters by their numbers: first come those that are shared, then each row's own."""
    numbers = dict(zip(shared, range(1, 1 + len(shared)), strict=True))
    numbers |= zip(own, range(1 + len(shared) + row * len(own), 1 + len(shared) + (row + 1) * len(own)), strict=True)
    return f"({', '.join(f'?{numbers[place]}' for place in sorted(numbers))})"

"""Many rows in few executions, each value where it belongs."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from storage.sql.many_rows import ROWS_AT_ONCE, ManyRows


@pytest.mark.parametrize("count", [0, 1, 2, 3, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 5, 3 * ROWS_AT_ONCE + 1])
@pytest.mark.parametrize("neighbours", [1, 7, ROWS_AT_ONCE, 1_000])
def test_what_neighbours_share_is_bound_once_and_written_for_each(count: int, neighbours: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (own, first, other, second)")
    rows = [(n, f"first {n // neighbours}", -n, f"second {n // neighbours}") for n in range(count)]
    bound: list[int] = []

    class Counting:
        def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:
            bound.append(len(parameters))
            return connection.execute(sql, parameters)

    insert = ManyRows(4, "INSERT INTO t (own, first, other, second)", shared=(1, 3))
    assert insert(Counting(), rows) == count
    assert connection.execute("SELECT * FROM t ORDER BY own").fetchall() == rows
    if neighbours == 1_000:
        whole, rest = divmod(count, ROWS_AT_ONCE)
        assert sum(bound) == whole * (2 + 2 * ROWS_AT_ONCE) + rest * 4
    connection.close()

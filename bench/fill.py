"""Fill a SQLite file with plain SQL: making many rows through the service would take long and is not measured."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bench.orders import ORGANIZATION, PIECES, WAREHOUSE

IMPORT_ROWS_MAX = 50_000  # more is filled in here


def sqlite_file(file: Path, variants: Sequence[str]) -> None:
    """Write PIECES of each variant into tables that a server has made. The server must not run."""
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(
            "INSERT INTO warehouse (organization_id, warehouse_id, name, code, priority, active)"
            " VALUES (?, ?, 'One', '', 0, 1)",
            (ORGANIZATION, WAREHOUSE),
        )
        connection.executemany(
            "INSERT INTO stock (organization_id, variant_id, warehouse_id, stock_id, total, available, reserved,"
            " damaged, in_transit, min_stock, max_stock, reorder_point, version)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 1)",
            (
                (ORGANIZATION, variant_id, WAREHOUSE, f"stock-{n}", PIECES, PIECES)
                for n, variant_id in enumerate(sorted(variants))
            ),
        )
    connection.close()

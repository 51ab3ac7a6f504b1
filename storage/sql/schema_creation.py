"""The schema of a database that has none yet, made at once instead of by one migration after another."""

from uuid import uuid4

from sqlalchemy import Connection, insert

from storage.sql import cell_schema as cell_schema  # its tables are of the same metadata
from storage.sql import move_schema as move_schema  # so are these
from storage.sql import staging_schema as staging_schema  # and so are these
from storage.sql.schema import metadata, ownership

# What SQLite's planner shall believe of the tables. Before ANALYZE it has no figures of its own, and reads all
# reservations of an organization to find one order. https://sqlite.org/lang_analyze.html, "Fixed Results Of ANALYZE"
STATISTICS = [
    ("stock", "stock", "1000000 100000 4 1"),
    ("stock", "stock_by_warehouse", "1000000 100000 10000 1"),
    ("reservation", "reservation", "1000000 100000 1"),
    ("reservation", "reservation_by_order", "1000000 100000 2 1"),
    ("reservation", "reservation_by_state", "1000000 100000 20000 1"),
    ("reservation", "reservation_by_expiry", "10000 2 1 1"),
    ("reservation_item", "reservation_item", "2000000 200000 2 1"),
    ("stock_movement", "stock_movement", "4000000 2 1"),
    ("request", "request", "1000000 100000 1"),
    ("journal_entry", "journal_entry", "4000000 1 1"),
    ("journal_entry", "journal_entry_by_organization", "4000000 16 1"),  # more would tempt it to skip through it
    ("journal_entry", "journal_entry_by_reference", "400000 40000 2 1"),
]


def create_schema(connection: Connection) -> None:
    """Make all tables, and what the migrations put into them, inside the transaction that the caller began.

    A test compares a database that is made here with one that the migrations make, row by row.
    """
    metadata.create_all(connection)
    first = {"singleton": 1, "epoch": 0, "owner": "", "last_lsn": 0, "entries_from_lsn": 1, "database_id": uuid4().hex}
    connection.execute(insert(ownership).values(first))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes the table of statistics, and fills it with none
        connection.exec_driver_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", STATISTICS)
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # reads it

"""Whether a database file is what the journal and housekeeping made of it, table by table."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, text

from actors.records import RequestKey, Transaction
from simulation.disks.watched_disk import WatchedDisk
from storage.batch import fold
from storage.sql import rows
from storage.sql.audit import audit
from storage.sql.instants import ms_to_text
from storage.sql.rows import COLUMNS, Row


def check_file(connection: Connection, disk: WatchedDisk) -> str:
    """Check the file with SQLite's `integrity_check` and with `stockkeeper check`, and compare every table with what
    the journal and housekeeping made of it.

    Returns:
        `ok`, or what is wrong.
    """
    said = str(connection.execute(text("PRAGMA integrity_check")).scalar())
    wrong = [] if said == "ok" else [said]
    wrong += [found.sentence for found in audit(connection).disagreements]
    for table, wanted in tables_of(disk.transactions, disk.moved, disk.movements_moved).items():
        if table == "request":
            wanted = {row for row in wanted if RequestKey(*row[:2]) in disk.requests}
        found = connection.execute(
            text(f"SELECT {', '.join(COLUMNS[table.removesuffix('_archive')].split())} FROM {table}")
        )
        rows_found = [tuple(row) for row in found]
        if set(rows_found) != wanted or len(rows_found) != len(wanted):
            wrong.append(f"{table} is not what {disk.last_lsn} transactions and {len(disk.moves)} moves make of it")
    return "; ".join(wrong) or "ok"


def tables_of(
    journal: Sequence[Transaction], moved: Collection[tuple[str, str]] = (), movements_moved: int = 0
) -> dict[str, set[Row]]:
    """Every table's rows after a journal, from its first transaction on.

    Args:
        moved: reservations that went to the archive.
        movements_moved: how many lines of the ledger went there.

    Returns:
        The rows by table; of requests only the last answer under each key.
    """
    if not journal:
        return {table: set() for table in COLUMNS}
    batch = fold(journal)
    new, changed = rows.stock(batch)
    assert not changed
    movements = list(rows.movements(batch, ms_to_text))
    tables = {
        "warehouse": set(rows.warehouses(batch)),
        "stock": set(new),
        "stock_movement": set(movements[movements_moved:]),
        "stock_movement_archive": set(movements[:movements_moved]),
        "request": set({row[:2]: row for row in rows.requests(batch, ms_to_text)}.values()),
    }
    for table, all_rows in (
        ("reservation", list(rows.reservations(batch, ms_to_text))),
        ("reservation_item", list(rows.items(batch))),
    ):
        tables[table] = {row for row in all_rows if row[:2] not in moved}
        tables[f"{table}_archive"] = {row for row in all_rows if row[:2] in moved}
    return tables

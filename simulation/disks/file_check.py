"""Whether a database file is what the journal and housekeeping made of it, table by table."""

from sqlalchemy import Connection, text

from actors.records import RequestKey
from simulation.disks.expected_tables import columns_of, tables_of
from simulation.disks.watched_disk import WatchedDisk
from storage.sql.audit import audit


def check_file(connection: Connection, disk: WatchedDisk) -> str:
    """Check the file with SQLite's `integrity_check` and with `stockkeeper check`, and compare every table with what
    the journal and housekeeping made of it.

    Returns:
        `ok`, or what is wrong.
    """
    said = str(connection.execute(text("PRAGMA integrity_check")).scalar())
    wrong = [] if said == "ok" else [said]
    wrong += [found.sentence for found in audit(connection).disagreements]
    for table, wanted in tables_of(disk.transactions, disk.moved, disk.movements_moved, disk.entries_moved).items():
        if table == "request":
            wanted = {row for row in wanted if RequestKey(*row[:2]) in disk.requests}
        found = connection.execute(text(f"SELECT {', '.join(columns_of(table))} FROM {table}"))
        rows_found = [tuple(row) for row in found]
        if set(rows_found) != wanted or len(rows_found) != len(wanted):
            wrong.append(f"{table} is not what {disk.last_lsn} transactions and {len(disk.moves)} moves make of it")
    for table, ids in (("import_line", disk.staged.lines), ("import_decided", disk.staged.decided)):
        in_file = {row[0] for row in connection.execute(text(f"SELECT import_id FROM {table}"))}
        if in_file != set(ids):
            wrong.append(f"{table} has {sorted(in_file)}, the model {sorted(ids)}")
    return "; ".join(wrong) or "ok"

"""Whether the database still has all tables and indexes, looked at whenever it is opened.

The schema's version says that they were made. A table that was dropped since then is seen by no statement that does
not use it, and an index by none at all: everything that follows it becomes a scan, and each scan holds up the journal.
"""

import logging

from sqlalchemy import Connection, Index, inspect

from storage.sql.cell_schema import cell_organization as cell_organization  # its tables are among them
from storage.sql.schema import metadata
from storage.sql.staging_schema import import_line as import_line  # its tables are among them
from storage.store import DatabaseGone

log = logging.getLogger(__name__)


def check_and_mend(connection: Connection) -> None:
    """Make the indexes that are missing anew, inside the transaction that the caller began.

    Raises:
        DatabaseGone: a table is missing, and what was in it.
    """
    inspector = inspect(connection)
    missing = sorted({table.name for table in metadata.sorted_tables} - set(inspector.get_table_names()))
    if missing:
        raise DatabaseGone(f"the database has lost the table {', '.join(missing)}: restore a backup")
    for index in missing_indexes(connection):
        log.warning("index_made_anew", extra={"index": index.name})
        index.create(connection)


def missing_indexes(connection: Connection) -> list[Index]:
    """The indexes of the schema that the database does not have."""
    inspector = inspect(connection)
    there = {index["name"] for table in metadata.sorted_tables for index in inspector.get_indexes(table.name)}
    wanted = [index for table in metadata.sorted_tables for index in table.indexes]
    return sorted((index for index in wanted if index.name not in there), key=lambda index: str(index.name))

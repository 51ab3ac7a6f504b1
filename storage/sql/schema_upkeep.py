"""Bringing the schema of a database to this program's version.

Alembic runs only where a migration is missing: to load it takes 0.1 s, and almost every start finds the schema as it
should be, or a database without tables, which gets the latest schema at once.
"""

from sqlalchemy import Connection

from storage.schema_errors import SchemaTooOld
from storage.sql.schema_creation import create_schema
from storage.sql.schema_version import LATEST, VERSION_TABLE, is_empty, revisions, stamp_latest, version_table


def bring_up_to_date(connection: Connection) -> None:
    """Make the schema, or run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    if is_empty(connection):
        create_schema(connection)
        stamp_latest(connection)
    elif revisions(connection) != {LATEST} or version_table(connection) != VERSION_TABLE:
        from storage.sql.migrate import migrate

        migrate(connection)


def check_schema(connection: Connection) -> None:
    """See that no migration is missing. Changes nothing.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
        SchemaTooOld: a migration is missing.
    """
    there = revisions(connection)
    if there != {LATEST}:
        from storage.sql.migrate import refuse_unknown

        refuse_unknown(there)
        raise SchemaTooOld(f"the database lacks the schema {LATEST}, which a start of the server makes")

"""Bringing the schema up to date, on a connection that is already open.

Alembic is imported where there is something to do: on its own it takes as long as all else that a start imports. What
revisions there are is said by the files' names, which a test holds to what Alembic reads in them.
"""

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from storage.store import SchemaTooNew, SchemaTooOld, StorageError

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

VERSION_TABLE = "stockkeeper_schema_version"
VERSIONS = Path(__file__).parent / "migrations" / "versions"
OLD_VERSION_TABLE = "alembic_version"  # Alembic's default, which another program may use in the same database


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    if _version_table(connection) == OLD_VERSION_TABLE:
        connection.execute(text(f"ALTER TABLE {OLD_VERSION_TABLE} RENAME TO {VERSION_TABLE}"))
    if not _is_current(connection):
        before = _revisions(connection)
        _upgrade(connection)
        if before:  # a new database has nothing to be upgraded
            values = {"from_revision": ", ".join(sorted(before)), "to_revision": known_revisions()[-1]}
            log.info("schema_upgraded", extra=values)


@cache
def known_revisions() -> tuple[str, ...]:
    """The revisions that this program knows, the oldest first."""
    return tuple(sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py")))


def check_schema(connection: Connection) -> None:
    """See that no migration is missing. Changes nothing.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
        SchemaTooOld: a migration is missing.
    """
    if not _is_current(connection):
        raise SchemaTooOld(f"the database lacks the schema {known_revisions()[-1]}, which a start of the server makes")


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.util import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"cannot upgrade the database: {error}") from error


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "storage.sql:migrations")
    return config


def _version_table(connection: Connection) -> str:
    """The table that has our version; the old name's is ours only where our other tables are."""
    there = set(inspect(connection).get_table_names())
    is_old = VERSION_TABLE not in there and {OLD_VERSION_TABLE, "ownership", "stock_movement"} <= there
    return OLD_VERSION_TABLE if is_old else VERSION_TABLE


def _revisions(connection: Connection) -> set[str]:
    table = _version_table(connection)
    if table not in inspect(connection).get_table_names():
        return set()
    return set(connection.execute(text(f"SELECT version_num FROM {table}")).scalars())


def _is_current(connection: Connection) -> bool:
    current = _revisions(connection)
    if unknown := current - set(known_revisions()):
        raise SchemaTooNew(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of stockkeeper made;"
            f" this one knows {known_revisions()[-1]} and older ones"
        )
    return current == {known_revisions()[-1]}

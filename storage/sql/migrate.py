"""Bringing the schema up to date, on a connection that is already open."""

import logging

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from storage.store import SchemaTooNew, SchemaTooOld

log = logging.getLogger(__name__)

VERSION_TABLE = "stockkeeper_schema_version"
OLD_VERSION_TABLE = "alembic_version"  # Alembic's default, which another program may use in the same database


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    if _version_table(connection) == OLD_VERSION_TABLE:
        connection.execute(text(f"ALTER TABLE {OLD_VERSION_TABLE} RENAME TO {VERSION_TABLE}"))
    config = _config()
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    if not _is_current(connection, script):
        before = _revisions(connection)
        command.upgrade(config, "head")
        if before:  # a new database has nothing to be upgraded
            values = {"from_revision": ", ".join(before), "to_revision": script.get_current_head()}
            log.info("schema_upgraded", extra=values)


def check_schema(connection: Connection) -> None:
    """See that no migration is missing. Changes nothing.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
        SchemaTooOld: a migration is missing.
    """
    script = ScriptDirectory.from_config(_config())
    if not _is_current(connection, script):
        raise SchemaTooOld(
            f"the database lacks the schema {script.get_current_head()}, which a start of the server makes"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "storage.sql:migrations")
    return config


def _version_table(connection: Connection) -> str:
    """The table that has our version; the old name's is ours only where our other tables are."""
    there = set(inspect(connection).get_table_names())
    is_old = VERSION_TABLE not in there and {OLD_VERSION_TABLE, "ownership", "stock_movement"} <= there
    return OLD_VERSION_TABLE if is_old else VERSION_TABLE


def _revisions(connection: Connection) -> tuple[str, ...]:
    context = MigrationContext.configure(connection, opts={"version_table": _version_table(connection)})
    return context.get_current_heads()


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    current = set(_revisions(connection))
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := current - known:
        raise SchemaTooNew(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of stockkeeper made;"
            f" this one knows {script.get_current_head()} and older ones"
        )
    return current == set(script.get_heads())

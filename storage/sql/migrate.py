"""Bringing the schema up to date, on a connection that is already open."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.store import SchemaTooNew, SchemaTooOld


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    config = _config()
    config.attributes["connection"] = connection
    if not _is_current(connection, ScriptDirectory.from_config(config)):
        command.upgrade(config, "head")


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


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    current = set(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := current - known:
        raise SchemaTooNew(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of stockkeeper made;"
            f" this one knows {script.get_current_head()} and older ones"
        )
    return current == set(script.get_heads())

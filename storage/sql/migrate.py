"""Bringing the schema up to date, on a connection that is already open."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.store import SchemaTooNew


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    config = Config()
    config.set_main_option("script_location", "storage.sql:migrations")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    current = set(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := current - known:
        raise SchemaTooNew(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of stockkeeper made;"
            f" this one knows {script.get_current_head()} and older ones"
        )
    if current != set(script.get_heads()):
        command.upgrade(config, "head")

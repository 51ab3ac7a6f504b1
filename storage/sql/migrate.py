"""Running the migrations that a database lacks. Imported only where one does, since Alembic takes time to load."""

import logging
from collections.abc import Set

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from storage.schema_errors import SchemaTooNew
from storage.sql.schema_version import MOVING, OLD_VERSION_TABLE, VERSION_TABLE, revisions, version_table
from storage.store import StorageError

log = logging.getLogger(__name__)


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the transaction that the caller began.

    Raises:
        SchemaTooNew: the schema has a revision that this program does not know.
    """
    if version_table(connection) == OLD_VERSION_TABLE:
        connection.execute(text(f"ALTER TABLE {OLD_VERSION_TABLE} RENAME TO {VERSION_TABLE}"))
    before = revisions(connection)
    refuse_unknown(before)
    config = alembic_config()
    latest = ScriptDirectory.from_config(config).get_current_head()
    if before == {latest}:
        return
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"the schema of the database cannot be brought up to date: {error}") from error
    if before:  # a new database has nothing to be upgraded
        values = {"from_revision": ", ".join(sorted(before)), "to_revision": latest}
        log.info("schema_upgraded", extra=values)


def refuse_unknown(there: Set[str]) -> None:
    """Raises:
    SchemaTooNew: one of these revisions is not known to this program.
    """
    if MOVING in there:
        raise SchemaTooNew("the database has half of what `stockkeeper move` was to bring: run it again")
    script = ScriptDirectory.from_config(alembic_config())
    if unknown := there - {revision.revision for revision in script.walk_revisions()}:
        raise SchemaTooNew(
            f"the database has the schema {', '.join(sorted(unknown))}, which a newer version of stockkeeper made;"
            f" this one knows {script.get_current_head()} and older ones"
        )


def alembic_config() -> Config:
    """Where the migrations stand."""
    config = Config()
    config.set_main_option("script_location", "storage.sql:migrations")
    return config

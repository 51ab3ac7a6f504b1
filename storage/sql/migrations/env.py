"""Alembic's entry: it runs on the connection that `storage.sql.migrate` hands over, in the transaction begun there."""

from alembic import context

from storage.sql.schema import metadata
from storage.sql.schema_version import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()

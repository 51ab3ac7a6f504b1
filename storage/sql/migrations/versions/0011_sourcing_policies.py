"""An organization may say which of its warehouses serve a basket."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "sourcing",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name="sourcing_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

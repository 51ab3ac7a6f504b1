"""A database may be a cell, which holds some of the organizations."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("ownership", sa.Column("cell", sa.Text, nullable=False, server_default=""))
    op.add_column("ownership", sa.Column("map_version", LONG, nullable=False, server_default="0"))
    op.add_column("ownership", sa.Column("map_digest", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "cell_organization",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("map_version", LONG, nullable=False, comment="of the map under which it came to be so"),
        sa.Column("moved_to", sa.Text, nullable=False, comment="the cell that it has gone to; empty: to none"),
        sa.PrimaryKeyConstraint("organization_id", name="cell_organization_key"),
        sa.CheckConstraint("state IN ('serving', 'frozen', 'gone')", name="cell_organization_state_is_known"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

"""Organizations move between cells, with their history."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "organization_stay",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("database_id", KEY, nullable=False, comment="whose LSNs these are"),
        sa.Column("from_lsn", LONG, nullable=False),
        sa.Column("upto_lsn", LONG, nullable=False),
        sa.Column("shift", LONG, nullable=False, comment="from such an LSN to the one here"),
        sa.Column("first_lsn", LONG, nullable=False, comment="from where on that history was whole"),
        sa.Column("oldest_lsn", LONG, nullable=False, comment="of the oldest transaction that was kept then"),
        sa.PrimaryKeyConstraint("organization_id", "database_id", "from_lsn", name="organization_stay_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "organization_move",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("move_id", sa.Text, nullable=False),
        sa.Column("way", sa.Text, nullable=False, comment="leaving or arriving"),
        sa.Column("cell", sa.Text, nullable=False, comment="the other one"),
        sa.PrimaryKeyConstraint("organization_id", name="organization_move_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

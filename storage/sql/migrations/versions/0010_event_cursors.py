"""How far relays have passed on what happened."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SHORT = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "event_cursor",
        sa.Column("name", KEY, nullable=False),
        sa.Column("fence", LONG, nullable=False, comment="of the relays that have had it, only the last may move it"),
        sa.Column("lsn", LONG, nullable=False, comment="passed on up to this transaction …"),
        sa.Column("position", sa.Integer, nullable=False, comment="… and this row of it; 2147483647: all of it"),
        sa.Column("published", LONG, nullable=False),
        sa.Column("unroutable", LONG, nullable=False),
        sa.Column("moved_at", INSTANT),
        sa.Column("released", SHORT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="event_cursor_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

"""Transfers between warehouses, and what became of each of their lines."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.sql.instants import Instant

revision = "0006"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SHORT = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    op.create_table(
        "transfer",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("transfer_id", KEY, nullable=False),
        sa.Column("from_warehouse_id", KEY, nullable=False),
        sa.Column("to_warehouse_id", KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("shipped_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("lsn", LONG, nullable=False, comment="of its last transition"),
        sa.PrimaryKeyConstraint("organization_id", "transfer_id", name="transfer_key"),
        sa.CheckConstraint(
            "CASE state WHEN 'in_transit' THEN ended_at IS NULL WHEN 'received' THEN ended_at IS NOT NULL"
            " WHEN 'cancelled' THEN ended_at IS NOT NULL ELSE 1 = 0 END",
            name="transfer_state_has_its_times",
        ),
        **OPTIONS,
    )
    op.create_index("transfer_by_age", "transfer", ["organization_id", "shipped_at", "transfer_id"])
    op.create_index("transfer_by_state", "transfer", ["organization_id", "state", "shipped_at", "transfer_id"])
    op.create_table(
        "transfer_line",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("transfer_id", KEY, nullable=False),
        sa.Column("line", SHORT, nullable=False),
        sa.Column("variant_id", KEY, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("damaged", sa.Integer, nullable=False),
        sa.Column("missing", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "transfer_id", "line", name="transfer_line_key"),
        sa.CheckConstraint(
            "sent > 0 AND received >= 0 AND damaged >= 0 AND missing >= 0 AND received + damaged + missing <= sent",
            name="transfer_line_adds_up",
        ),
        **OPTIONS,
    )

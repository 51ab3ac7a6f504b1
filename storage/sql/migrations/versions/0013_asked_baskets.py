"""A reservation keeps what it was asked for, where its items do not say it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for table in ("reservation", "reservation_archive"):
        op.add_column(table, sa.Column("asked", sa.Text, server_default="", nullable=False))

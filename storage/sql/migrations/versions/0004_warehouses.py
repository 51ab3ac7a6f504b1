"""A warehouse has a code and a priority, and may be closed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SHORT = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("warehouse", sa.Column("code", sa.Text, server_default="", nullable=False))
    op.add_column("warehouse", sa.Column("priority", sa.Integer, server_default=sa.text("0"), nullable=False))
    op.add_column("warehouse", sa.Column("active", SHORT, server_default=sa.text("1"), nullable=False))

"""A stock row has a point at which goods are to be ordered again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("stock", sa.Column("reorder_point", sa.Integer, server_default=sa.text("0"), nullable=False))

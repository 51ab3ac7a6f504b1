"""Each takeover has a name of its own beside its epoch."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column(
        "ownership",
        sa.Column(
            "generation", sa.Text, server_default="", nullable=False, comment="of the last takeover, and of no other"
        ),
    )

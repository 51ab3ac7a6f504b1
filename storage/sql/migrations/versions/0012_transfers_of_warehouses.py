"""Indexes by which the transfers of a warehouse are found, whatever else is on its way."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for end in ("from", "to"):
        columns = ["organization_id", f"{end}_warehouse_id", "state", "shipped_at", "transfer_id"]
        op.create_index(f"transfer_by_{end}", "transfer", columns)

"""An index by which the reservations of a variant are found."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index(
        "reservation_item_by_variant", "reservation_item", ["organization_id", "variant_id", "reservation_id"]
    )

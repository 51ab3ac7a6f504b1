"""Each item of a reservation says how many of its pieces were shipped."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for items, reservations in (
        ("reservation_item", "reservation"),
        ("reservation_item_archive", "reservation_archive"),
    ):
        # As text: SQLite knows no constraint that is added later, but takes one with its column.
        op.execute(
            f"ALTER TABLE {items} ADD COLUMN fulfilled INTEGER DEFAULT '0' NOT NULL"
            f" CONSTRAINT {items}_is_shipped_once CHECK (fulfilled BETWEEN 0 AND quantity)"
        )
        # Until now a reservation was shipped as a whole.
        op.execute(
            f"UPDATE {items} SET fulfilled = quantity FROM {reservations} AS r"
            f" WHERE r.organization_id = {items}.organization_id AND r.reservation_id = {items}.reservation_id"
            " AND r.state = 'fulfilled'"
        )

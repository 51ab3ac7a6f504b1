"""The archive, and the indexes by which housekeeping finds what belongs there."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SHORT = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
OPTIONS = {"sqlite_strict": True, "sqlite_with_rowid": False}
ENDED = sa.text("ended_at IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "reservation_by_end",
        "reservation",
        ["ended_at", "organization_id", "reservation_id"],
        sqlite_where=ENDED,
        postgresql_where=ENDED,
    )
    op.create_index("request_by_age", "request", ["at", "scope", "request_id"])
    _create_opening()
    _create_reservations()
    _create_movements()


def _create_opening() -> None:
    op.create_table(
        "stock_opening",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("variant_id", KEY, nullable=False),
        sa.Column("warehouse_id", KEY, nullable=False),
        sa.Column("available", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("damaged", sa.Integer, nullable=False),
        sa.Column("in_transit", sa.Integer, nullable=False),
        sa.Column("lsn", LONG, nullable=False, comment="of the row's last movement that was moved out"),
        sa.PrimaryKeyConstraint("organization_id", "variant_id", "warehouse_id", name="stock_opening_key"),
        **OPTIONS,
    )


def _create_reservations() -> None:
    op.create_table(
        "reservation_archive",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("reservation_id", KEY, nullable=False),
        sa.Column("order_id", KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("lsn", LONG, nullable=False, comment="of the transaction that made it"),
        sa.PrimaryKeyConstraint("organization_id", "reservation_id", name="reservation_archive_key"),
        sa.CheckConstraint("ended_at IS NOT NULL", name="reservation_archive_is_of_what_ended"),
        **OPTIONS,
    )
    op.create_table(
        "reservation_item_archive",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("reservation_id", KEY, nullable=False),
        sa.Column("line", SHORT, nullable=False),
        sa.Column("variant_id", KEY, nullable=False),
        sa.Column("warehouse_id", KEY, nullable=False),
        sa.Column("requested_warehouse_id", KEY, nullable=False),
        sa.Column("stock_id", KEY, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("stock_before", sa.Integer, nullable=False),
        sa.Column("stock_after", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "reservation_id", "line", name="reservation_item_archive_key"),
        **OPTIONS,
    )


def _create_movements() -> None:
    op.create_table(
        "stock_movement_archive",
        sa.Column("lsn", LONG, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("variant_id", KEY, nullable=False),
        sa.Column("warehouse_id", KEY, nullable=False),
        sa.Column("available_delta", sa.Integer, sa.Computed("available_after - available_before", persisted=True)),
        sa.Column("reserved_delta", sa.Integer, sa.Computed("reserved_after - reserved_before", persisted=True)),
        sa.Column("damaged_delta", sa.Integer, sa.Computed("damaged_after - damaged_before", persisted=True)),
        sa.Column("in_transit_delta", sa.Integer, sa.Computed("in_transit_after - in_transit_before", persisted=True)),
        sa.Column("available_before", sa.Integer, nullable=False),
        sa.Column("reserved_before", sa.Integer, nullable=False),
        sa.Column("damaged_before", sa.Integer, nullable=False),
        sa.Column("in_transit_before", sa.Integer, nullable=False),
        sa.Column("available_after", sa.Integer, nullable=False),
        sa.Column("reserved_after", sa.Integer, nullable=False),
        sa.Column("damaged_after", sa.Integer, nullable=False),
        sa.Column("in_transit_after", sa.Integer, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("lsn", "position", name="stock_movement_archive_key"),
        **OPTIONS,
    )

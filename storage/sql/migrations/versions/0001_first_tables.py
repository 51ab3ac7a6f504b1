"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SHORT = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
OPTIONS = {"sqlite_strict": True, "sqlite_with_rowid": False}
ACTIVE = sa.text("state = 'active'")

# What SQLite's planner shall believe of the tables. Before ANALYZE it has no figures of its own, and reads all
# reservations of an organization to find one order. https://sqlite.org/lang_analyze.html, "Fixed Results Of ANALYZE"
STATISTICS = [
    ("stock", "stock", "1000000 100000 4 1"),
    ("stock", "stock_by_warehouse", "1000000 100000 10000 1"),
    ("reservation", "reservation", "1000000 100000 1"),
    ("reservation", "reservation_by_order", "1000000 100000 2 1"),
    ("reservation", "reservation_by_state", "1000000 100000 20000 1"),
    ("reservation", "reservation_by_expiry", "10000 2 1 1"),
    ("reservation_item", "reservation_item", "2000000 200000 2 1"),
    ("stock_movement", "stock_movement", "4000000 2 1"),
    ("request", "request", "1000000 100000 1"),
]


def upgrade() -> None:
    _create_stock()
    _create_reservations()
    _create_journal()
    op.execute("INSERT INTO ownership (singleton, epoch, owner, last_lsn) VALUES (1, 0, '', 0)")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ANALYZE sqlite_schema")  # makes the table of statistics, and fills it with none
        for table, index, figures in STATISTICS:
            op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{table}', '{index}', '{figures}')")
        op.execute("ANALYZE sqlite_schema")  # reads it


def _create_stock() -> None:
    op.create_table(
        "warehouse",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("warehouse_id", KEY, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "warehouse_id", name="warehouse_key"),
        **OPTIONS,
    )
    op.create_table(
        "stock",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("variant_id", KEY, nullable=False),
        sa.Column("warehouse_id", KEY, nullable=False),
        sa.Column("stock_id", KEY, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("available", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("damaged", sa.Integer, nullable=False),
        sa.Column("in_transit", sa.Integer, nullable=False),
        sa.Column("min_stock", sa.Integer, nullable=False),
        sa.Column("max_stock", sa.Integer, nullable=False),
        sa.Column("version", LONG, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "variant_id", "warehouse_id", name="stock_key"),
        sa.CheckConstraint(
            "available >= 0 AND reserved >= 0 AND damaged >= 0 AND in_transit >= 0", name="stock_is_never_negative"
        ),
        sa.CheckConstraint("total = available + reserved + damaged + in_transit", name="stock_total_is_the_sum"),
        sa.CheckConstraint("total <= 2147483647", name="stock_total_fits"),
        sa.CheckConstraint("min_stock >= 0 AND max_stock >= 0", name="stock_bounds_are_never_negative"),
        sa.CheckConstraint("version >= 1", name="stock_version_counts_from_one"),
        postgresql_with={"fillfactor": 70},
        **OPTIONS,
    )
    op.create_index("stock_by_warehouse", "stock", ["organization_id", "warehouse_id", "variant_id"])


def _create_reservations() -> None:
    op.create_table(
        "reservation",
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
        sa.PrimaryKeyConstraint("organization_id", "reservation_id", name="reservation_key"),
        sa.CheckConstraint(
            "CASE state"
            " WHEN 'active' THEN confirmed_at IS NULL AND ended_at IS NULL"
            " WHEN 'confirmed' THEN confirmed_at IS NOT NULL AND ended_at IS NULL"
            " WHEN 'fulfilled' THEN confirmed_at IS NOT NULL AND ended_at IS NOT NULL"
            " WHEN 'released' THEN ended_at IS NOT NULL"
            " WHEN 'expired' THEN confirmed_at IS NULL AND ended_at IS NOT NULL"
            " ELSE FALSE END",
            name="reservation_state_agrees_with_its_times",
        ),
        postgresql_with={"fillfactor": 80},
        **OPTIONS,
    )
    op.create_index("reservation_by_order", "reservation", ["organization_id", "order_id"])
    op.create_index("reservation_by_state", "reservation", ["organization_id", "state", "reservation_id"])
    op.create_index(
        "reservation_by_expiry",
        "reservation",
        ["expires_at", "organization_id", "reservation_id"],
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.create_table(
        "reservation_item",
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
        sa.PrimaryKeyConstraint("organization_id", "reservation_id", "line", name="reservation_item_key"),
        sa.CheckConstraint("quantity > 0", name="reservation_item_has_a_quantity"),
        **OPTIONS,
    )


def _create_journal() -> None:
    op.create_table(
        "stock_movement",
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
        sa.PrimaryKeyConstraint("lsn", "position", name="stock_movement_key"),
        **OPTIONS,
    )
    op.create_table(
        "request",
        sa.Column("scope", KEY, nullable=False),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, comment="JSON"),
        sa.Column("lsn", LONG, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("scope", "request_id", name="request_key"),
        **OPTIONS,
    )
    op.create_table(
        "ownership",
        sa.Column("singleton", SHORT, nullable=False, autoincrement=False),
        sa.Column("epoch", LONG, nullable=False, comment="a server writes only while this is its own"),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("last_lsn", LONG, nullable=False, comment="of the newest transaction"),
        sa.Column("last_at", INSTANT),
        sa.PrimaryKeyConstraint("singleton", name="ownership_key"),
        sa.CheckConstraint("singleton = 1", name="ownership_has_one_row"),
        **OPTIONS,
    )

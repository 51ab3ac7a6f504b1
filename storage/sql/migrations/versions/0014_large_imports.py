"""The lines of large imports, staged until they are decided and folded."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
OPTIONS = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    keys = ("import_id", "organization_id", "variant_id", "warehouse_id")
    op.create_table(
        "import_line",
        *(sa.Column(name, KEY, nullable=False) for name in keys),
        sa.Column("place", sa.Integer, nullable=False, comment="its position in the ledger"),
        sa.Column("line_number", LONG, nullable=False),
        sa.Column("stock_id", KEY, nullable=False, comment="of the row, if it has to be made"),
        *(
            sa.Column(name, sa.Integer)
            for name in ("total", "damaged", "in_transit", "min_stock", "max_stock", "reorder_point")
        ),
        sa.PrimaryKeyConstraint(*keys, name="import_line_key"),
        **OPTIONS,
    )
    op.create_table(
        "import_decided",
        sa.Column("import_id", KEY, nullable=False),
        sa.Column("lsn", LONG, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column(
            "min_stock", sa.Integer, nullable=False, comment="of rows that are made without a word about it, as below"
        ),
        sa.Column("max_stock", sa.Integer, nullable=False),
        sa.Column("reorder_point", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("import_id", name="import_decided_key"),
        **OPTIONS,
    )
    op.create_table(
        "import_low",
        sa.Column("lsn", LONG, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("least", sa.Integer, nullable=False),
        sa.Column("reorder", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("lsn", "position", name="import_low_key"),
        **OPTIONS,
    )

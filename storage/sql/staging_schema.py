"""The tables of large imports: see `storage/staging.py`. Empty but while one is under way, apart from `import_low`."""

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Table, Text

from storage.sql.instants import Instant
from storage.sql.schema import KEY, LONG, OPTIONS, metadata

import_line = Table(
    "import_line",
    metadata,
    Column("import_id", KEY, nullable=False),
    Column("organization_id", KEY, nullable=False),
    Column("variant_id", KEY, nullable=False),
    Column("warehouse_id", KEY, nullable=False),
    Column("place", Integer, nullable=False, comment="its position in the ledger"),
    Column("line_number", LONG, nullable=False),
    Column("stock_id", KEY, nullable=False, comment="of the row, if it has to be made"),
    # Where nothing is given, the row keeps what it has.
    *(Column(name, Integer) for name in ("total", "damaged", "in_transit", "min_stock", "max_stock", "reorder_point")),
    PrimaryKeyConstraint("import_id", "organization_id", "variant_id", "warehouse_id", name="import_line_key"),
    **OPTIONS,
)

import_decided = Table(
    "import_decided",
    metadata,
    Column("import_id", KEY, nullable=False),
    Column("lsn", LONG, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reference", Text, nullable=False),
    Column("min_stock", Integer, nullable=False, comment="of rows that are made without a word about it, as below"),
    Column("max_stock", Integer, nullable=False),
    Column("reorder_point", Integer, nullable=False),
    PrimaryKeyConstraint("import_id", name="import_decided_key"),
    **OPTIONS,
)

import_low = Table(
    "import_low",
    metadata,
    Column("lsn", LONG, nullable=False),
    Column("position", Integer, nullable=False),
    Column("least", Integer, nullable=False),
    Column("reorder", Integer, nullable=False),
    PrimaryKeyConstraint("lsn", "position", name="import_low_key"),
    **OPTIONS,
)

"""The tables of organizations that move between cells: see `storage.organization_store`."""

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from storage.sql.schema import KEY, LONG, OPTIONS, metadata

organization_stay = Table(
    "organization_stay",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("database_id", KEY, nullable=False, comment="whose LSNs these are"),
    Column("from_lsn", LONG, nullable=False),
    Column("upto_lsn", LONG, nullable=False),
    Column("shift", LONG, nullable=False, comment="from such an LSN to the one here"),
    Column("first_lsn", LONG, nullable=False, comment="from where on that history was whole"),
    Column("oldest_lsn", LONG, nullable=False, comment="of the oldest transaction that was kept then"),
    PrimaryKeyConstraint("organization_id", "database_id", "from_lsn", name="organization_stay_key"),
    **OPTIONS,
)

organization_move = Table(
    "organization_move",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("move_id", Text, nullable=False),
    Column("way", Text, nullable=False, comment="leaving or arriving"),
    Column("cell", Text, nullable=False, comment="the other one"),
    PrimaryKeyConstraint("organization_id", name="organization_move_key"),
    **OPTIONS,
)

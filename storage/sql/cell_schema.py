"""The table of a cell: which organizations it holds. Empty in a database that is no cell."""

from sqlalchemy import CheckConstraint, Column, PrimaryKeyConstraint, Table, Text

from storage.sql.schema import KEY, LONG, OPTIONS, metadata

cell_organization = Table(
    "cell_organization",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("state", Text, nullable=False),
    Column("map_version", LONG, nullable=False, comment="of the map under which it came to be so"),
    Column("moved_to", Text, nullable=False, comment="the cell that it has gone to; empty: to none"),
    PrimaryKeyConstraint("organization_id", name="cell_organization_key"),
    CheckConstraint("state IN ('serving', 'frozen', 'gone')", name="cell_organization_state_is_known"),
    **OPTIONS,
)

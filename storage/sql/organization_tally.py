"""What a table has of an organization in a few figures: how many rows, and sums over each column.

Two tables that agree in all of them are not the same for certain. But a row that was missed, or is as it was before, is
seen: each change of a row moves its version, its state, a time or a quantity. It takes the database some milliseconds
for a table of 100,000 rows, where to compare the rows takes a second.
"""

from functools import cache

from msgspec.structs import asdict
from sqlalchemy import Column, Connection, Table

from actors.organization_moves import OrganizationTally
from actors.organization_stays import NO_SHIFT, Shift
from storage.sql.instants import Instant
from storage.sql.neutral_rows import columns_of, names_of
from storage.sql.organization_audit import of_one
from storage.sql.schema import metadata

TALLIED = (
    *("stock_movement", "stock_movement_archive", "journal_entry", "journal_entry_archive", "stock", "stock_opening"),
    *("reservation", "reservation_item", "reservation_archive", "reservation_item_archive"),
    *("transfer", "transfer_line", "request", "warehouse", "sourcing"),
)


def tally(connection: Connection, organization_id: str, name: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
    """The figures of a table, with its LSNs as they are after a shift."""
    query, names = _query(metadata.tables[name], connection.dialect.name), names_of(metadata.tables[name])
    values = {"the_organization": organization_id, **(asdict(shift) if "lsn" in names else {})}
    found = connection.execute(of_one(query, connection.dialect.name), values).one()
    rows, *sums = [int(value) for value in found]
    lsns = sums.pop(names.index("lsn")) if "lsn" in names else None
    return OrganizationTally(rows, lsns, sums)


@cache
def _query(table: Table, dialect: str) -> str:
    sums = ", ".join(f"coalesce(sum({_figure(column, dialect)}), 0)" for column in columns_of(table))
    return f"SELECT count(*), {sums} FROM {table.name}"


def _figure(column: Column[str | int], dialect: str) -> str:
    if isinstance(column.type, Instant):
        if dialect == "postgresql":
            return f"floor(extract(epoch FROM {column.name}))"
        return f"CAST(strftime('%s', {column.name}) AS INTEGER)"
    if column.name == "lsn":
        from_lsn, older, newer = [f"CAST(:{name} AS BIGINT)" for name in Shift.__struct_fields__]
        return f"lsn + CASE WHEN lsn >= {from_lsn} THEN {newer} ELSE {older} END"
    return f"length({column.name})" if column.type.python_type is str else column.name

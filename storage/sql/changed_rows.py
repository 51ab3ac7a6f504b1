"""Which rows of an organization may have changed in a part of its history.

Each table says it otherwise: lines and entries have an LSN; a stock row has lines, and a reservation has entries;
transfers and answers under request ids carry the LSN of what changed them last. Warehouses and the policy are few, and
all of them are meant. What housekeeping alone changes is not: it rests while an organization moves.

Of rows that may be there in another state, or be gone since, `changed_keys` says the keys: they are deleted where the
others are written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, false, literal, select, tuple_

from actors.organization_moves import OrganizationRows, Place, Span
from storage.sql.neutral_rows import Rows, delete_keys
from storage.sql.schema import journal_entry, metadata, stock_movement, transfer

BY_LSN = (
    *("import_low", "stock_movement", "journal_entry", "stock_movement_archive", "journal_entry_archive"),
    *("transfer", "request"),
)
SMALL = ("warehouse", "sourcing")
KEYS: Mapping[str, tuple[str, ...]] = {
    "stock": ("variant_id", "warehouse_id"),
    "reservation": ("reservation_id",),
    "reservation_item": ("reservation_id",),
    "transfer": ("transfer_id",),
    "transfer_line": ("transfer_id",),
    "warehouse": (),
    "sourcing": (),
}
GROWS = tuple(name for name in BY_LSN if name != "transfer")  # no row of it is ever another


def is_within(table: Table, organization_id: str, span: Span) -> Sequence[Any]:
    """The conditions under which a row is meant. Lines of the ledger are found by their entries."""
    name = table.name
    if span.after_lsn is None:
        return () if span.upto_lsn is None or name not in GROWS else (table.c.lsn <= span.upto_lsn,)
    if name in BY_LSN:
        return _lsn_within(table, span)
    if name in SMALL:
        return ()
    if name not in KEYS:
        return (false(),)
    key = [table.c[one] for one in KEYS[name]]
    return (tuple_(*key).in_(_changed(name, organization_id, span)),)


def changed_keys(
    connection: Connection, organization_id: str, name: str, span: Span, after: Place | None, keys_max: int
) -> OrganizationRows:
    """The keys of rows that may be there in another state, behind a place."""
    if name not in KEYS:
        return OrganizationRows([])
    if name in SMALL:
        return OrganizationRows([()])
    changed = _changed(name, organization_id, span)
    key = list(changed.selected_columns)
    if after is not None:
        place = [literal(value, column.type) for value, column in zip(after, key, strict=True)]
        changed = changed.where(tuple_(*key) > tuple_(*place))
    found = [tuple(row) for row in connection.execute(changed.order_by(*key).limit(keys_max))]
    return OrganizationRows(found, found[-1] if len(found) == keys_max else None)


def drop_keys(connection: Connection, organization_id: str, name: str, keys: Rows) -> None:
    """Delete the rows that have these keys."""
    if keys:
        names = ("organization_id", *KEYS[name])
        delete_keys(connection, metadata.tables[name], names, [(organization_id, *key) for key in keys])


def _changed(name: str, organization_id: str, span: Span) -> Any:
    source = {"stock": stock_movement, "transfer": transfer, "transfer_line": transfer}.get(name, journal_entry)
    keys = select(*[source.c[one] for one in KEYS[name]]).where(*_lsn_within(source, span))
    if source is journal_entry:
        keys = keys.where(source.c.reservation_id != "")
    return keys.where(source.c.organization_id == organization_id).distinct()


def _lsn_within(table: Table, span: Span) -> Sequence[Any]:
    after = () if span.after_lsn is None else (table.c.lsn > span.after_lsn,)
    upto = () if span.upto_lsn is None else (table.c.lsn <= span.upto_lsn,)
    return (*after, *upto)

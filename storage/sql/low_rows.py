"""Which rows of a large import fell to their minimum: too many for the import's row in the journal."""

from collections.abc import Sequence
from typing import Any

from msgspec import json
from sqlalchemy import Connection, select

from actors.feed_entries import EntryRow
from storage.sql.staging_schema import import_low

DETAILS = EntryRow.__struct_fields__.index("details")

LowRows = dict[int, tuple[int, int]]  # by position: the minimum, and the reorder point

STATEMENT = select(import_low.c.position, import_low.c.least, import_low.c.reorder)


def low_rows(connection: Connection, entries: Sequence[Any], lines: Sequence[Any]) -> dict[int, LowRows]:
    """Of these lines of the ledger, by LSN; most transactions are none that may have any."""
    found: dict[int, LowRows] = {}
    for lsn in dict.fromkeys(entry.lsn for entry in entries if entry.kind == "import"):
        positions = [line.position for line in lines if line.lsn == lsn]
        if positions:
            within = import_low.c.position.between(min(positions), max(positions))
            rows = connection.execute(STATEMENT.where(import_low.c.lsn == lsn, within))
            found[lsn] = {position: (least, reorder) for position, least, reorder in rows}
    return found


def with_low(entries: bytes, fell: Sequence[Any]) -> bytes:
    """Rows of the journal as JSON, with what they are to say of rows that fell: LSN, position and levels of each."""
    if not fell:
        return entries
    by_lsn: dict[int, list[list[int]]] = {}
    for lsn, *low in fell:
        by_lsn.setdefault(lsn, []).append(low)
    rows = json.decode(entries)
    for row in rows:
        if low_of_import := by_lsn.get(row[0]):
            details = json.decode(row[DETAILS]) if row[DETAILS] else {}
            row[DETAILS] = json.encode({**details, "low": low_of_import}).decode()
    return json.encode(rows)

"""Copies an organization's rows from one place to another and compares what came, wherever the two are."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from actors.organization_moves import OrganizationRows, Place, Value
from storage.sql.organization_rows import TABLES, shifted
from storage.sql.table_copy import Digest, DigestMaker

Rows = Sequence[Sequence[Value]]


class RowsEnd(Protocol):
    """Where an organization's rows are, or are to be."""

    async def read(self, table: str, after: Place | None) -> OrganizationRows:
        """Some rows of a table, behind a place."""
        ...

    async def write(self, table: str, rows: Rows) -> None:
        """Add rows."""
        ...


class NotTheSame(Exception):
    """What came is not what was there; the sentence names the table."""


async def copy_rows(source: RowsEnd, target: RowsEnd, shift: int) -> dict[str, Digest]:
    """Copy all tables, each transaction shifted by a number, and read them again. Returns what came.

    Raises:
        NotTheSame: another program writes there, or a part of this one is wrong.
    """
    wrote: dict[str, Digest] = {}
    for name in TABLES:
        made = DigestMaker()
        async with aclosing(_pages(source, name)) as pages:
            async for rows in pages:
                moved = shifted(name, rows, shift)
                made.add_values(moved)
                await target.write(name, moved)
        wrote[name] = made.statistics()
    for name, digest in wrote.items():
        made = DigestMaker()
        async with aclosing(_pages(target, name)) as pages:
            async for rows in pages:
                made.add_values(rows)
        if made.statistics() != digest:
            raise NotTheSame(f"{name} is not the same: {made.statistics()} for {digest}")
    return wrote


async def _pages(end: RowsEnd, table: str) -> AsyncGenerator[Rows, None]:
    after: Place | None = None
    while True:
        page = await end.read(table, after)
        if page.rows:
            yield page.rows
        if page.next is None:
            return
        after = page.next

"""Copies an organization's rows from one place to another and compares what came, wherever the two are."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from actors.organization_moves import WHOLE, OrganizationRows, OrganizationTally, Place, Span, Value
from actors.organization_stays import NO_SHIFT, Shift
from storage.sql.organization_rows import TABLES, shifted
from storage.sql.organization_tally import TALLIED
from storage.sql.table_copy import Digest, DigestMaker

Rows = Sequence[Sequence[Value]]


class RowsEnd(Protocol):
    """Where an organization's rows are, or are to be."""

    async def read(self, table: str, after: Place | None, span: Span, *, keys_only: bool = False) -> OrganizationRows:
        """Some rows of a table, behind a place; or keys under which there may be others than before the span."""
        ...

    async def write(self, table: str, rows: Rows, keys: Sequence[Place] = ()) -> None:
        """Delete what is under these keys, and add rows."""
        ...

    async def tally(self, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        """What the table has, in a few figures, with its LSNs as they are after a shift."""
        ...


class NotTheSame(Exception):
    """What came is not what was there; the sentence names the table."""


async def copy_rows(source: RowsEnd, target: RowsEnd, shift: Shift, span: Span = WHOLE) -> int:
    """Copy what the span means of all tables, each transaction shifted, and read it again. Returns how many
    rows came.

    Raises:
        NotTheSame: another program writes there, or a part of this one is wrong.
    """
    wrote: dict[str, Digest] = {}
    for name in TABLES:
        if span.after_lsn is not None:
            async with aclosing(_pages(source, name, span, keys_only=True)) as pages:
                async for keys in pages:
                    await target.write(name, (), keys)
        made = DigestMaker()
        async with aclosing(_pages(source, name, span)) as pages:
            async for rows in pages:
                moved = shifted(name, rows, shift)
                made.add_values(moved)
                await target.write(name, moved)
        wrote[name] = made.statistics()
    for name, digest in wrote.items():
        made = DigestMaker()
        async with aclosing(_pages(target, name, span.shifted(shift))) as pages:
            async for rows in pages:
                made.add_values(rows)
        if made.statistics() != digest:
            raise NotTheSame(f"{name} is not the same: {made.statistics()} for {digest}")
    return sum(digest.rows for digest in wrote.values())


async def compare_tallies(source: RowsEnd, target: RowsEnd, shift: Shift) -> int:
    """See that all tables have the same rows as far as a few figures tell. Returns how many rows there are.

    Raises:
        NotTheSame: they do not.
    """
    rows = 0
    for name in TALLIED:
        was, came = await source.tally(name, shift), await target.tally(name)
        if was != came:
            raise NotTheSame(f"{name} is not the same: {came} for {was}")
        rows += came.rows
    return rows


async def _pages(end: RowsEnd, table: str, span: Span, *, keys_only: bool = False) -> AsyncGenerator[Rows, None]:
    after: Place | None = None
    while True:
        page = await end.read(table, after, span, keys_only=keys_only)
        if page.rows:
            yield page.rows
        if page.next is None:
            return
        after = page.next

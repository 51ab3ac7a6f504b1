"""The part of `SqlStore` that keeps what a cell holds: see `storage.cell_store`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from actors.cell_records import CellRecord, HeldOrganization
from storage.sql.cell_schema import cell_organization
from storage.sql.schema import ownership

T = TypeVar("T")

ROWS_A_STATEMENT = 1_000


class CellTables:
    """`CellStore`, on what reads, and on what writes behind the fence."""

    async def _read(self, function: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    async def _change(self, function: Callable[[Connection], None]) -> None:
        raise NotImplementedError

    async def join_cell(self, cell: CellRecord, held: Sequence[HeldOrganization]) -> None:
        await self._change(partial(join, cell=cell, held=held))

    async def hold_organization(self, held: HeldOrganization) -> None:
        await self._change(partial(hold, held=[held]))

    async def load_organizations(self) -> Sequence[HeldOrganization]:
        return await self._read(load_organizations)


def join(connection: Connection, cell: CellRecord, held: Sequence[HeldOrganization]) -> None:
    """Be this cell, and hold these organizations."""
    values = {"cell": cell.name, "map_version": cell.version, "map_digest": cell.digest}
    connection.execute(update(ownership).values(values))
    hold(connection, held)


def hold(connection: Connection, held: Sequence[HeldOrganization]) -> None:
    """Keep these in place of what was known of them."""
    for begin in range(0, len(held), ROWS_A_STATEMENT):
        rows = [_row(one) for one in held[begin : begin + ROWS_A_STATEMENT]]
        ids = [row["organization_id"] for row in rows]
        connection.execute(delete(cell_organization).where(cell_organization.c.organization_id.in_(ids)))
        connection.execute(insert(cell_organization), rows)


def _row(held: HeldOrganization) -> dict[str, Any]:
    return {
        "organization_id": held.organization_id,
        "state": held.state,
        "map_version": held.version,
        "moved_to": held.moved_to,
    }


def load_organizations(connection: Connection) -> list[HeldOrganization]:
    """What a cell holds, and what it has given up."""
    table = cell_organization
    rows = connection.execute(select(table).order_by(table.c.organization_id))
    return [HeldOrganization(row.organization_id, row.state, row.map_version, row.moved_to) for row in rows]

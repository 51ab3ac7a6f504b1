"""The part of a store in memory that keeps what a cell holds: see `storage.cell_store`."""

from collections.abc import Sequence
from typing import Any

from actors.cell_records import CellRecord, HeldOrganization


class CellsOnDisk:
    """`storage.cell_store.CellStore`, on a simulated disk."""

    async def _read(self, operation: str) -> Any:
        raise NotImplementedError

    async def _own(self, operation: str) -> Any:
        raise NotImplementedError

    async def _after(self, operation: str) -> None:
        raise NotImplementedError

    async def join_cell(self, cell: CellRecord, held: Sequence[HeldOrganization]) -> None:
        disk = await self._own("join_cell")
        disk.cell = cell
        disk.held.update({one.organization_id: one for one in held})
        await self._after("join_cell")

    async def hold_organization(self, held: HeldOrganization) -> None:
        disk = await self._own("hold_organization")
        disk.held[held.organization_id] = held
        await self._after("hold_organization")

    async def load_organizations(self) -> Sequence[HeldOrganization]:
        disk = await self._read("load_organizations")
        return [disk.held[organization_id] for organization_id in sorted(disk.held)]

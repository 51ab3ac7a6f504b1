"""The part of the Store port that keeps what a cell holds. It is written behind the fence, as every batch is."""

from collections.abc import Sequence
from typing import Protocol

from actors.cell_records import CellRecord, HeldOrganization


class CellStore(Protocol):
    """What is written may raise `OwnershipLost`, and then nothing was; all methods may raise `StorageError`.

    `Ownership.cell` says at each opening what cell the database is.
    """

    async def join_cell(self, cell: CellRecord, held: Sequence[HeldOrganization]) -> None:
        """The database is this cell from now on, and holds these organizations beside those that it has: all or
        nothing.

        >>> await store.join_cell(CellRecord("north", version=1, digest="d"), [HeldOrganization("shop", "serving", 1)])
        """
        ...

    async def hold_organization(self, held: HeldOrganization) -> None:
        """Keep this in place of what was known of the organization.

        >>> await store.hold_organization(HeldOrganization("shop", "gone", version=2, moved_to="south"))
        """
        ...

    async def load_organizations(self) -> Sequence[HeldOrganization]:
        """All that the cell holds or held, by id.

        >>> await store.hold_organization(HeldOrganization("shop", "serving", version=1))
        >>> [held.state for held in await store.load_organizations()]
        ['serving']
        """
        ...

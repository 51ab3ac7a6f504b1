"""The part of the Store port that moves an organization from one cell's database to another's.

What is written is written behind the fence, as every batch is.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from actors.cell_records import HeldOrganization
from actors.organization_moves import Cleared, MoveRecord, OrganizationAudit, OrganizationRows, Place, Value
from actors.organization_stays import Stay


class OrganizationStore(Protocol):
    """All methods may raise `StorageError`; those that write may raise `OwnershipLost`: then nothing was written."""

    async def load_moves(self) -> Mapping[str, MoveRecord]:
        """The moves under way, by organization."""
        ...

    async def load_stays(self) -> Mapping[str, Sequence[Stay]]:
        """Where the histories of organizations have been, of those that were elsewhere."""
        ...

    async def freeze(self, held: HeldOrganization, move: MoveRecord) -> Sequence[Stay]:
        """Keep both, and say where the organization's history has been, up to now."""
        ...

    async def receive(self, organization_id: str, move: MoveRecord, stays: Sequence[Stay]) -> int:
        """Keep that the organization arrives, and make room for its history. Returns the shift of its LSNs."""
        ...

    async def settle(self, held: HeldOrganization) -> None:
        """The organization is here, and its move is over."""
        ...

    async def clear_rows(self, organization_id: str, *, is_gone: bool) -> Cleared:
        """Delete some rows of the organization. One that is gone cannot come back by its move from then on."""
        ...

    async def read_rows(self, organization_id: str, table: str, after: Place | None) -> OrganizationRows:
        """Some rows of a table, behind a place."""
        ...

    async def write_rows(self, table: str, rows: Sequence[Sequence[Value]]) -> None:
        """Add rows."""
        ...

    async def audit_rows(self, organization_id: str, part: int) -> OrganizationAudit:
        """One part of the audit of the organization's rows; they count from 0."""
        ...

"""The part of a store in memory that would move organizations: it has none to move, and none came. See
`storage.organization_store`.
"""

from collections.abc import Mapping, Sequence

from actors.cell_records import HeldOrganization
from actors.organization_moves import (
    WHOLE,
    Cleared,
    MoveRecord,
    OrganizationAudit,
    OrganizationRows,
    OrganizationTally,
    Place,
    Span,
    Value,
)
from actors.organization_stays import Stay
from storage.store import StorageError


class NoMoves:
    """`storage.organization_store.OrganizationStore`, of a store in which every organization stays."""

    async def load_moves(self) -> Mapping[str, MoveRecord]:
        return {}

    async def load_stays(self) -> Mapping[str, Sequence[Stay]]:
        return {}

    async def stays_up_to_now(self, organization_id: str) -> Sequence[Stay]:
        raise _unable()

    async def freeze(self, held: HeldOrganization, move: MoveRecord) -> Sequence[Stay]:
        raise _unable()

    async def receive(self, organization_id: str, move: MoveRecord, stays: Sequence[Stay]) -> int:
        raise _unable()

    async def settle(self, held: HeldOrganization) -> None:
        raise _unable()

    async def clear_rows(self, organization_id: str, *, is_gone: bool) -> Cleared:
        raise _unable()

    async def read_rows(
        self, organization_id: str, table: str, after: Place | None, span: Span = WHOLE
    ) -> OrganizationRows:
        raise _unable()

    async def changed_keys(self, organization_id: str, table: str, after: Place | None, span: Span) -> OrganizationRows:
        raise _unable()

    async def write_rows(
        self, organization_id: str, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()
    ) -> None:
        raise _unable()

    async def tally_rows(self, organization_id: str, table: str) -> OrganizationTally:
        raise _unable()

    async def audit_rows(self, organization_id: str, part: int) -> OrganizationAudit:
        raise _unable()


def _unable() -> StorageError:
    return StorageError("a store in memory moves no organization")

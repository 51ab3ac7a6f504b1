"""The part of the Store port that moves an organization from one cell's database to another's.

What is written is written behind the fence, as every batch is.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

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
from actors.organization_stays import NO_SHIFT, Shift, Stay


class OrganizationStore(Protocol):
    """All methods may raise `StorageError`; those that write may raise `OwnershipLost`: then nothing was written."""

    async def load_moves(self) -> Mapping[str, MoveRecord]:
        """The moves under way, by organization.

        >>> await store.load_moves()
        {}
        """
        ...

    async def load_stays(self) -> Mapping[str, Sequence[Stay]]:
        """Where the histories of organizations have been, of those that were elsewhere.

        >>> await store.load_stays()
        {}
        """
        ...

    async def stays_up_to_now(self, organization_id: str) -> Sequence[Stay]:
        """Where the organization's history has been, with the stay that goes on here ended at the newest LSN.

        >>> [stay.upto_lsn for stay in await store.stays_up_to_now("shop")]
        [2]
        """
        ...

    async def freeze(self, held: HeldOrganization, move: MoveRecord) -> Sequence[Stay]:
        """Keep both, and say where the organization's history has been, up to now.

        >>> leaving = MoveRecord("try-1", "leaving", cell="south")
        >>> [stay.upto_lsn for stay in await store.freeze(HeldOrganization("shop", "frozen", version=1), leaving)]
        [2]
        """
        ...

    async def receive(self, organization_id: str, move: MoveRecord, stays: Sequence[Stay]) -> Shift:
        """Keep that the organization arrives, and make room for its history, which may grow. Returns the shift of its
        LSNs: the same as before, for a try that has received it before.

        >>> arriving = MoveRecord("try-1", "arriving", cell="north")
        >>> (await store.receive("toys", arriving, [Stay("its old database", from_lsn=0, upto_lsn=9)])).of(9) < 0
        True
        """
        ...

    async def settle(self, held: HeldOrganization) -> None:
        """The organization is here, and its move is over.

        >>> await store.settle(HeldOrganization("toys", "serving", version=2))
        """
        ...

    async def clear_rows(self, organization_id: str, *, is_gone: bool) -> Cleared:
        """Delete some rows of the organization. One that is gone cannot come back by its move from then on.

        >>> await store.clear_rows("toys", is_gone=True)
        'all'
        """
        ...

    async def read_rows(
        self, organization_id: str, table: str, after: Place | None, span: Span = WHOLE
    ) -> OrganizationRows:
        """Some rows of a table, behind a place; those that the span means.

        >>> page = await store.read_rows("shop", "stock", after=None)
        >>> len(page.rows), page.next
        (1, None)
        """
        ...

    async def changed_keys(self, organization_id: str, table: str, after: Place | None, span: Span) -> OrganizationRows:
        """Some keys, behind a place, under which there may be other rows now than before the span.

        >>> (await store.changed_keys("shop", "stock", None, Span(after_lsn=1))).rows
        [('mug', 'madrid')]
        """
        ...

    async def write_rows(
        self, organization_id: str, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()
    ) -> None:
        """Delete what the organization has under these keys, and add rows.

        >>> page = await store.read_rows("shop", "stock", after=None)
        >>> await store.write_rows("shop", "stock", page.rows, keys=[("mug", "madrid")])
        """
        ...

    async def tally_rows(self, organization_id: str, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        """What the table has of the organization, in a few figures, with its LSNs as they are after a shift.

        >>> (await store.tally_rows("shop", "stock")).rows
        1
        """
        ...

    async def audit_rows(self, organization_id: str, part: int) -> OrganizationAudit:
        """One part of the audit of the organization's rows; they count from 0.

        >>> (await store.audit_rows("shop", 0)).disagreement
        ''
        """
        ...

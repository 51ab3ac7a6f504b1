"""A transfer between two warehouses, as it is kept."""

from typing import Literal, NamedTuple

from msgspec import Struct

from actors.plain_value import PlainValue

TransferState = Literal["in_transit", "received", "cancelled"]


class TransferKey(NamedTuple):
    """Whose shipment, receipts and cancellation meet in one mailbox."""

    organization_id: str
    transfer_id: str


class TransferLine(PlainValue, frozen=True):
    """Pieces of one variant: what was sent, and what became of it so far."""

    variant_id: str
    sent: int
    received: int = 0
    damaged: int = 0
    missing: int = 0

    @property
    def open(self) -> int:
        """Pieces that are still on their way."""
        return self.sent - self.received - self.damaged - self.missing


class TransferRecord(Struct, frozen=True):
    """A transfer as of its last transition. Each variant has one line."""

    transfer_id: str
    organization_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    state: TransferState
    lines: tuple[TransferLine, ...]
    shipped_at_ms: int
    ended_at_ms: int = 0  # 0: not yet received in full, closed or cancelled

    @property
    def key(self) -> TransferKey:
        return TransferKey(self.organization_id, self.transfer_id)

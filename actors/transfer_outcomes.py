"""Answers to commands about transfers, beside those in `actors/outcomes.py`."""

from msgspec import Struct

from actors.transfer_records import TransferRecord


class TransferShipped(Struct, frozen=True, tag=True):
    transfer: TransferRecord


class TransferReceived(Struct, frozen=True, tag=True):
    transfer: TransferRecord


class TransferCancelled(Struct, frozen=True, tag=True):
    transfer: TransferRecord


class WarehouseNotFound(Struct, frozen=True, tag=True):
    """There are no such warehouses."""

    warehouse_ids: tuple[str, ...]


class TransferExists(Struct, frozen=True, tag=True):
    """The id belongs to another transfer."""

    transfer_id: str


class TransferNotFound(Struct, frozen=True, tag=True):
    transfer_id: str


class TransferIsClosed(Struct, frozen=True, tag=True):
    """Nothing of it is on its way any more: it was received, closed or cancelled."""

    transfer_id: str
    state: str


class Excess(Struct, frozen=True):
    """More of a variant is said to have come than is still on its way."""

    variant_id: str
    sent: int
    open: int
    reported: int


class MoreThanSent(Struct, frozen=True, tag=True):
    """All variants of which that is so."""

    transfer_id: str
    rows: tuple[Excess, ...]

"""Commands about transfers between warehouses, beside those about goods in `actors/commands.py`."""

from msgspec import UNSET, Struct

from actors.plain_value import PlainValue
from actors.records import From


class ShippedLine(PlainValue, frozen=True):
    """Pieces that leave for another warehouse."""

    variant_id: str
    quantity: int


class ArrivedLine(PlainValue, frozen=True):
    """Pieces of a transfer that came and can be sold, that came damaged, and that are known not to come."""

    variant_id: str
    quantity: int
    damaged: int = 0
    missing: int = 0


class ShipTransfer(Struct, frozen=True, tag=True):
    """Goods leave a warehouse for another: all lines or none. An empty id lets the service choose one."""

    organization_id: str
    transfer_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    lines: tuple[ShippedLine, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class ReceiveTransfer(Struct, frozen=True, tag=True):
    """Some of a transfer has come. With `close`, what has not come is missing and nothing more is awaited."""

    organization_id: str
    transfer_id: str
    lines: tuple[ArrivedLine, ...]
    close: bool
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class CancelTransfer(Struct, frozen=True, tag=True):
    """What is still on its way goes back to where it came from."""

    organization_id: str
    transfer_id: str
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


TransferCommand = ShipTransfer | ReceiveTransfer | CancelTransfer
"""What the actor of a transfer carries out."""

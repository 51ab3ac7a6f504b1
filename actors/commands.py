"""Commands: what callers want done. Imperative, immutable, and already validated at the door
(`rpc/messages/validation.py`). Their tags name them on the link to a front-end and in fingerprints.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from actors.basket_commands import ReserveBasket
from actors.plain_value import PlainValue
from actors.records import From
from actors.transfer_commands import TransferCommand
from actors.warehouse_commands import WarehouseCommand


class Line(PlainValue, frozen=True):
    """A wish for `quantity` pieces. An empty warehouse lets the planner choose one."""

    variant_id: str
    warehouse_id: str
    quantity: int


class Reserve(Struct, frozen=True, tag=True):
    """Hold these lines for an order, all or none, for `ttl_minutes`."""

    organization_id: str
    order_id: str
    lines: tuple[Line, ...]
    ttl_minutes: int
    request_id: str = ""  # the idempotency key, if the caller gave one
    origin: From = UNSET


class Confirm(Struct, frozen=True, tag=True):
    """The payment succeeded: the time limit goes, the goods stay reserved until they are shipped."""

    organization_id: str
    reservation_id: str
    order_id: str
    request_id: str = ""  # the idempotency key, if the caller gave one
    origin: From = UNSET


class Release(Struct, frozen=True, tag=True):
    """The payment failed or the order was cancelled: the goods go back."""

    organization_id: str
    reservation_id: str
    reason: str
    request_id: str = ""
    origin: From = UNSET


class Fulfill(Struct, frozen=True, tag=True, omit_defaults=True):
    """Goods of a confirmed reservation were shipped: they leave `reserved` and the total.

    `lines` say which; without any it is all that is left. With `close` the rest is given back, else it stays confirmed.
    """

    # A whole shipment is encoded as it was before there were parts, so that keys given then belong to the same request.
    organization_id: str
    reservation_id: str
    request_id: str
    reference: str
    reason: str = ""
    lines: tuple[Line, ...] = ()
    close: bool = False
    origin: From = UNSET


class Extend(Struct, frozen=True, tag=True):
    """An active reservation is held for `ttl_minutes` from now, unless it is held for longer anyway."""

    organization_id: str
    reservation_id: str
    ttl_minutes: int
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class Expire(Struct, frozen=True, tag=True):
    """The time limit of the order's reservation may have passed: look, and give the goods back if so."""

    organization_id: str
    order_id: str


class DeliveryLine(PlainValue, frozen=True):
    """Pieces that came in: `quantity` can be sold, `damaged` more cannot.

    With `from_in_transit` all of them had been announced: the row's pieces in transit fall by their number, to 0 at
    the least.
    """

    variant_id: str
    warehouse_id: str
    quantity: int
    damaged: int = 0
    from_in_transit: bool = False


class Receive(Struct, frozen=True, tag=True):
    """Goods arrived: add them to their rows, all or none. A row that does not exist is made."""

    organization_id: str
    lines: tuple[DeliveryLine, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class Announce(Struct, frozen=True, tag=True):
    """Goods are on their way: they are in transit. A row that does not exist is made."""

    organization_id: str
    lines: tuple[Line, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class Deduct(Struct, frozen=True, tag=True):
    """Goods leave without a reservation, as over a counter: take them from what is available, all lines or none."""

    organization_id: str
    lines: tuple[Line, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


AdjustmentKind = Literal["delta", "mark_damaged", "repair", "write_off_damaged", "count"]


class Adjustment(PlainValue, frozen=True):
    """What was found about one row.

    `pieces` is what a `delta` adds to what is available, negative takes away; how many pieces are damaged now, were
    repaired or are thrown away; or the total that was counted. With `expected_total` a count holds only if the row has
    that total: one that was taken before a sale must not bring the sold pieces back.
    """

    variant_id: str
    warehouse_id: str
    kind: AdjustmentKind
    pieces: int
    expected_total: int | None = None


class Adjust(Struct, frozen=True, tag=True):
    """Rows are not as the service has them: set them right, all or none. Each row stands once.

    With `release_uncovered` pieces may be gone that active reservations hold: those are released that are not covered
    any more. It is set or unset, and never False, so that keys given before there was such a thing belong to the same
    request.
    """

    organization_id: str
    lines: tuple[Adjustment, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET
    release_uncovered: Literal[True] | UnsetType = UNSET


class Delete(Struct, frozen=True, tag=True):
    """A row was made by mistake, or is no longer needed: take it away. It must be empty."""

    organization_id: str
    variant_id: str
    warehouse_id: str
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class CountedLine(PlainValue, frozen=True):
    """A row as it was counted. A figure that is None, or unset, stays as it is. `line_number` names the line if it is
    bad.
    """

    organization_id: str
    variant_id: str
    warehouse_id: str
    warehouse_name: str
    total: int | None
    damaged: int | None
    in_transit: int | None
    min_stock: int | None
    max_stock: int | None
    line_number: int
    # Unset and never None, so that keys given before an import had it belong to the same request.
    reorder_point: int | UnsetType = UNSET


class Import(Struct, frozen=True, tag=True):
    """Set rows to counted totals, all or none."""

    lines: tuple[CountedLine, ...]
    request_id: str
    origin: From = UNSET


class StageLines(Struct, frozen=True, tag=True):
    """More lines of an import that is too large for one command: keep them in the database until it is decided.

    Args:
        import_id: of this upload, and of no other.
        first_place: how many of its lines were staged before these.
    """

    import_id: str
    first_place: int
    lines: tuple[CountedLine, ...]


class DropStaged(Struct, frozen=True, tag=True):
    """The upload broke off, or is over: lines of it that no decision mentions are not needed any more."""

    import_id: str


class ImportStaged(Struct, frozen=True, tag=True):
    """`Import`, of the lines that were staged.

    Args:
        scope: as `actors.idempotency.import_scope` has it of these lines.
        digest: of the lines, in their order.
        lines: how many were staged.
        organizations: whose rows they count.
        warehouses: organization, id and name of the warehouses that they name.
    """

    import_id: str
    request_id: str
    scope: str
    digest: str
    lines: int
    organizations: tuple[str, ...]
    warehouses: tuple[tuple[str, str, str], ...]
    origin: From = UNSET


Staging = StageLines | DropStaged
"""What has no idempotency key, and changes nothing that anybody sees."""

AnyImport = Import | ImportStaged

Ending = Release | Fulfill | Expire
"""What takes a reservation's goods out of `reserved`."""


class Amend(Struct, frozen=True, tag=True):
    """The order is another one now: its active or confirmed reservation holds these lines, the whole new basket."""

    organization_id: str
    reservation_id: str
    lines: tuple[Line, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class Reacquire(Struct, frozen=True, tag=True):
    """The payment came late: take an expired reservation's goods again, all or none, for `ttl_minutes`."""

    organization_id: str
    reservation_id: str
    ttl_minutes: int
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


Told = Fulfill | Extend | Amend | Reacquire
"""What comes with a reason and a reference for the ledger, and with an idempotency key."""

OfReservation = Confirm | Release | Told
"""What names a reservation, whose order has to be found."""

Noted = Told | ReserveBasket
"""What an order's actor is asked with a reason and a reference for the ledger."""

OrderCommand = Reserve | ReserveBasket | OfReservation | Expire
"""What the actor of an order carries out."""

GoodsCommand = Receive | Announce | Deduct | Adjust
"""What changes rows and belongs to no order."""

KeyedCommand = (
    Reserve | ReserveBasket | OfReservation | GoodsCommand | Delete | WarehouseCommand | TransferCommand | AnyImport
)
"""What has an idempotency key; it is empty in a `Reserve`, `Confirm` or `Release` without one."""

CallersCommand = (
    Reserve | ReserveBasket | OfReservation | GoodsCommand | Delete | WarehouseCommand | TransferCommand | AnyImport
)
"""What a caller sends, and has an origin."""

Command = OrderCommand | GoodsCommand | Delete | WarehouseCommand | TransferCommand | AnyImport | Staging

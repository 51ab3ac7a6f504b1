"""What other services say, as they say it: their events by name, with the fields that are read of each.

A message that is not as it should be is `Rejected` with a reason, and never half understood. Fields that are not read
may be there. An event that is not listened to is None: it is for another service.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import Meta, Struct

ID_CHARACTERS_MAX = 128
KEY_CHARACTERS_MAX = 100  # beyond that there is no room for what is put behind it
BODY_BYTES_MAX = 1_000_000
LINES_MAX = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOO_LATE_MS = 253_402_300_800_000  # the year 10000 has no place in RFC 3339

Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
Pieces = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Level = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Rejected(Exception):
    """It can never succeed. Its text says why, in one sentence."""


class VariantCreated(Struct):
    variant_id: Id
    track_inventory: bool = True
    default_min_stock: Level | None = None
    default_max_stock: Level | None = None


class Flipped(Struct):
    old: bool | None = None
    new: bool | None = None


class VariantChanges(Struct):
    track_inventory: Flipped | None = None


class VariantUpdated(Struct):
    variant_id: Id
    changes: VariantChanges = msgspec.field(default_factory=VariantChanges)


class VariantDeleted(Struct):
    variant_id: Id


class ProductDeleted(Struct):
    variant_ids: Annotated[list[Id], Meta(max_length=LINES_MAX)]


class PlacedItem(Struct):
    variant_id: Id
    quantity: Pieces
    preferred_warehouse_id: Id | None = None


class OrderPlaced(Struct):
    order_id: Id
    items: Annotated[list[PlacedItem], Meta(min_length=1, max_length=LINES_MAX)]
    reservation_ttl_minutes: Annotated[int, Meta(ge=0, le=44_640)] | None = None


class OrderConfirmed(Struct):
    order_id: Id
    reservation_id: Id | None = None


class OrderCancelled(Struct):
    order_id: Id
    reservation_id: Id | None = None
    cancellation_reason: str | None = None


class ShippedItem(Struct):
    variant_id: Id
    quantity: Pieces
    warehouse_id: Id | None = None


class OrderShipped(Struct):
    order_id: Id
    reservation_id: Id | None = None
    shipment_id: str | None = None
    shipped_items: Annotated[list[ShippedItem], Meta(max_length=LINES_MAX)] = msgspec.field(default_factory=list)


class ReturnedItem(Struct):
    variant_id: Id
    quantity: Pieces
    condition: str | None = None


class ReturnReceived(Struct):
    warehouse_id: Id
    returned_items: Annotated[list[ReturnedItem], Meta(min_length=1, max_length=LINES_MAX)]
    order_id: str | None = None
    return_id: str | None = None


class SoldItem(Struct):
    variant_id: Id
    quantity: Pieces


class TillSale(Struct):
    """A till's warehouse is its shop, which it may call `local_id`."""

    items: Annotated[list[SoldItem], Meta(min_length=1, max_length=LINES_MAX)]
    transaction_id: str | None = None
    warehouse_id: Id | None = None
    local_id: Id | None = None

    @property
    def where(self) -> str:
        place = self.warehouse_id or self.local_id
        if place is None:
            raise Rejected("data: neither warehouse_id nor local_id is there")
        return place


class TillReturn(TillSale):
    """What a till takes back."""


Said = (
    VariantCreated
    | VariantUpdated
    | VariantDeleted
    | ProductDeleted
    | OrderPlaced
    | OrderConfirmed
    | OrderCancelled
    | OrderShipped
    | ReturnReceived
    | TillSale
    | TillReturn
)
KINDS: Mapping[str, type[Any]] = {
    "catalog.variant.created": VariantCreated,
    "catalog.variant.updated": VariantUpdated,
    "catalog.variant.deleted": VariantDeleted,
    "catalog.product.deleted": ProductDeleted,
    "order.placed": OrderPlaced,
    "order.confirmed": OrderConfirmed,
    "order.cancelled": OrderCancelled,
    "order.shipped": OrderShipped,
    "return.received": ReturnReceived,
    "pos.transaction.completed": TillSale,
    "pos.return.processed": TillReturn,
}


class HeardEnvelope(Struct):
    """What is around the data."""

    event_id: Annotated[str, Meta(min_length=1, max_length=1_000)]
    organization_id: Id
    event: str = ""
    timestamp: str = ""
    correlation_id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Heard(Struct, frozen=True):
    """An event that is listened to.

    Args:
        key: the idempotency key of what it becomes.
        subject: what it is about: events of one subject are dealt with one after the other.
    """

    name: str
    event_id: str
    key: str
    organization_id: str
    correlation_id: str
    at_ms: int
    subject: str
    said: Said


_envelope = msgspec.json.Decoder(HeardEnvelope)


def read_event(body: bytes, routing_key: str, came_ms: int) -> Heard | None:
    """What a message says; None if it is no event that is listened to.

    Args:
        came_ms: when it came: this stands for its time where it does not say one.

    Raises:
        Rejected: it is none at all, or not as it must be.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Rejected(f"it has {len(body)} bytes, and at most {BODY_BYTES_MAX} are read")
    try:
        envelope = _envelope.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"it is no event: {_first_line(error)}") from error
    name = envelope.event or routing_key
    kind = KINDS.get(name)
    if kind is None:
        return None
    try:
        said: Said = msgspec.json.decode(envelope.data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"data: {_first_line(error)}") from error
    subject = getattr(said, "order_id", None) or getattr(said, "variant_id", None) or envelope.event_id
    correlation_id = envelope.correlation_id or envelope.event_id
    return Heard(
        name,
        envelope.event_id,
        key_of(envelope.event_id),
        envelope.organization_id,
        correlation_id,
        _at_ms(envelope.timestamp) or came_ms,
        subject,
        said,
    )


def key_of(event_id: str) -> str:
    """An idempotency key that has room behind it, and no character that none may have."""
    if len(event_id) <= KEY_CHARACTERS_MAX and event_id.isprintable() and event_id.isascii():
        return event_id
    return str(uuid5(NAMESPACE_URL, event_id))


def _at_ms(timestamp: str) -> int:
    """When it happened; 0 if it does not say so."""
    try:
        return possible_ms(datetime.fromisoformat(timestamp))
    except ValueError:
        return 0


def possible_ms(moment: datetime | None) -> int:
    """In milliseconds, and without a zone in UTC; 0 if there is none, or it can be no time of an event."""
    if moment is None:
        return 0
    since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - EPOCH
    found = since // timedelta(milliseconds=1)
    return found if 0 < found < TOO_LATE_MS else 0


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

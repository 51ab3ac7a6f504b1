"""How an event stands on the wire: as the older services read it (`erp`), or as CloudEvents 1.0 in structured JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, Literal, get_args
from uuid import UUID

from msgspec import Struct

EventsFormat = Literal["erp", "cloudevents"]
FORMATS: tuple[EventsFormat, ...] = get_args(EventsFormat)

SERVICE = "inventory-service"
CONTENT_TYPES: Mapping[EventsFormat, str] = {
    "erp": "application/json",
    "cloudevents": "application/cloudevents+json; charset=UTF-8",
}
_NAMESPACE = UUID("5b1f0f5e-2d0c-5c33-9f0e-6a6f5d1b7a10").bytes


class OutEvent(Struct, frozen=True):
    """Something that happened, for other services.

    Args:
        event_id: the same for the same fact, however often it is told.
        name: such as `inventory.stock.reserved`.
        at_ms: when it happened.
        subject: the row, reservation, warehouse or transfer that it is about.
        sequence: the transaction's LSN; 0: it is an answer, and no fact of the ledger.
        data: what it says.
    """

    event_id: str
    name: str
    at_ms: int
    organization_id: str
    correlation_id: str
    subject: str
    sequence: int
    data: Mapping[str, Any]


class Outgoing(Struct, frozen=True):
    """A message for a broker."""

    message_id: str
    name: str
    organization_id: str
    content_type: str
    body: bytes


def fact_id(database_id: str, place: str) -> str:
    """The id of a fact: of the database's identity and its place in the journal.

    >>> fact_id("d", "7/0/inventory.stock.updated") == fact_id("d", "7/0/inventory.stock.updated")
    True
    """
    return _named(f"{database_id}/{place}")


def answer_id(asked_event_id: str, name: str) -> str:
    """The id of an answer: of the event that asked for it, since a refusal has no place in the journal."""
    return _named(f"answer/{asked_event_id}/{name}")


def _named(name: str) -> str:
    """`str(uuid5(…))`, which takes six times as long, and a relay makes one for each event.

    >>> from uuid import UUID, uuid5
    >>> _named("a") == str(uuid5(UUID(bytes=_NAMESPACE), "a"))
    True
    """
    found = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(found[16], 16) & 3]
    return f"{found[:8]}-{found[8:12]}-5{found[13:16]}-{variant}{found[17:20]}-{found[20:32]}"


def moment(at_ms: int) -> str:
    """RFC 3339, UTC.

    >>> moment(1_790_000_000_123)
    '2026-09-21T14:13:20.123Z'
    """
    second, milliseconds = divmod(at_ms, 1_000)
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4_096)  # thousands of events happen in one
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()[:19]


def erp(event: OutEvent) -> dict[str, Any]:
    """As the older services read it."""
    return {
        "event_id": event.event_id,
        "event": event.name,
        "version": "1.0",
        "timestamp": moment(event.at_ms),
        "organization_id": event.organization_id,
        "correlation_id": event.correlation_id,
        "service": SERVICE,
        "data": event.data,
    }

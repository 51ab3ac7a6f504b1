"""What the consumer needs of a broker: `rabbit_inbox` and `nats_inbox` are its adapters. A lost one is opened anew: see
`broker_port`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from events.envelope import Outgoing

GRAVE, GRAVES = "inventory_dlq", "inventory_failed_events"
GRAVE_AGE_S, GRAVES_MAX = 24 * 60 * 60, 10_000


class Source(Struct, frozen=True):
    """Where events come from: a topic exchange and a queue, or a stream and its consumer.

    Args:
        words: that the events' names begin with.
        prefetch: how many may be under way.
    """

    exchange: str
    queue: str
    words: tuple[str, ...]
    prefetch: int


CATALOG = Source("catalog_events", "inventory_catalog_consumer", ("catalog",), 10)
ORDERS = Source("order_events", "inventory_order_consumer", ("order", "return", "pos"), 20)


class Delivery(Struct, frozen=True):
    """A message that waits to be acknowledged.

    Args:
        token: what the broker knows it by.
        came_ms: when it was sent, as far as the broker says so; else when it was received.
    """

    body: bytes
    routing_key: str
    exchange: str
    token: Any
    came_ms: int


class Inbox(Protocol):
    """Where events come from. Its methods raise `BrokerLost`; what was not acknowledged comes again after that."""

    @property
    def name(self) -> str:
        """As messages name it, without a password."""
        ...

    async def open(self) -> None:
        """Connect afresh, declare what is there to be declared, and begin to receive."""
        ...

    async def receive(self) -> Delivery:
        """The next message. No more than the prefetch are under way."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        """As `Broker.publish`: the answers."""
        ...

    async def acknowledge(self, delivery: Delivery) -> None:
        """It is dealt with, for good."""
        ...

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Put it where a person finds it, with the reason, and acknowledge it when it is there."""
        ...

    async def close(self) -> None:
        """Let go of the connection. Never raises; may be called at any time."""
        ...

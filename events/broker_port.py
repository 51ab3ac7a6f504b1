"""What the relay and the consumer need of a broker: `rabbit_broker` and `nats_broker` are its two adapters.

A broker is opened, used until it is lost, and opened again; the adapters connect plainly and never reconnect on their
own. aio-pika's robust connection has hung after a lost one (mosquito/aio-pika #636), and a reconnection that the relay
does not see would hide which messages it has to send again.
"""

from collections.abc import Sequence
from typing import Protocol

from events.envelope import Outgoing


class BrokerLost(Exception):
    """The broker cannot be reached, refuses, or does not confirm. What was under way may have arrived. Its text is one
    sentence.
    """


class Broker(Protocol):
    """Where events go. Its methods raise `BrokerLost`; after that, and after a cancelled call, `open` comes next."""

    @property
    def name(self) -> str:
        """As messages name it, without a password."""
        ...

    async def open(self) -> None:
        """Connect afresh, and declare what is there to be declared."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        """Publish all of them in their order; returns when every one is confirmed.

        Returns:
            How many of them nothing was bound for. They are confirmed, and gone.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection. Never raises; may be called at any time."""
        ...


def lost(name: str, error: BaseException) -> BrokerLost:
    """In one sentence."""
    lines = str(error).splitlines() or [type(error).__name__]
    return BrokerLost(f"{name}: {lines[0]}")

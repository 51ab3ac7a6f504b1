"""RabbitMQ, by aio-pika. A lost connection is not mended here: see `events/broker_port.py`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aio_pika
import anyio
from aio_pika.abc import AbstractConnection, DeliveryMode, ExchangeType
from aio_pika.exceptions import AMQPError
from msgspec import Struct
from yarl import URL

from events.broker_port import BrokerLost, lost
from events.envelope import Outgoing
from events.rabbit_bulk import BulkPublisher

OPEN_TIMEOUT_S = 10.0
CONFIRM_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0
FAILURES = (AMQPError, OSError, TimeoutError, RuntimeError)


class RabbitOptions(Struct, frozen=True):
    """How RabbitMQ is used.

    Args:
        exchange: the topic exchange that events go to.
        declare: whether it is declared, durable; otherwise it must be there.
        heartbeat_s: after twice this long without a word the connection is lost, in seconds.
        confirm_timeout_s: likewise, for confirms that do not come.
    """

    exchange: str = "inventory_events"
    declare: bool = True
    heartbeat_s: int = 60
    confirm_timeout_s: float = CONFIRM_TIMEOUT_S


class RabbitBroker:
    """`Broker` on a topic exchange. It belongs to the running asyncio loop.

    Args:
        url: such as `amqp://guest:guest@localhost/`.
    """

    def __init__(self, url: str, options: RabbitOptions) -> None:
        self._url = URL(url).update_query(heartbeat=options.heartbeat_s)
        self._options = options
        self._connection: AbstractConnection | None = None
        self._publisher: BulkPublisher | None = None

    def __repr__(self) -> str:
        return f"<RabbitBroker {self.name} {self._publisher or 'not connected'}>"

    @property
    def name(self) -> str:
        return str(self._url.with_password(None).with_query(None))

    async def open(self) -> None:
        await self.close()
        try:
            with anyio.fail_after(OPEN_TIMEOUT_S):
                self._connection = await connected(self._url)
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=False)
                if self._options.declare:
                    await channel.declare_exchange(self._options.exchange, ExchangeType.TOPIC, durable=True)
                else:
                    await channel.get_exchange(self._options.exchange, ensure=True)
                bare: Any = await channel.get_underlay_channel()
                self._publisher = BulkPublisher(bare, self._options.exchange)
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        publisher = self._publisher
        if publisher is None:
            raise BrokerLost(f"{self.name}: not connected")
        try:
            with anyio.fail_after(self._options.confirm_timeout_s):
                return await publisher.publish(messages)
        except TimeoutError as error:
            raise BrokerLost(f"{self.name}: no confirm for {self._options.confirm_timeout_s:g} s") from error
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def close(self) -> None:
        connection, self._connection, self._publisher = self._connection, None, None
        if connection is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
                await connection.close()


async def connected(url: URL) -> AbstractConnection:
    """A plain connection."""
    return await aio_pika.connect(url, timeout=OPEN_TIMEOUT_S)


def amqp_message(one: Outgoing) -> aio_pika.Message:
    """As the other services read it."""
    return aio_pika.Message(
        one.body,
        content_type=one.content_type,
        message_id=one.message_id,
        delivery_mode=DeliveryMode.PERSISTENT,
        headers={"event": one.name, "organization_id": one.organization_id},
    )

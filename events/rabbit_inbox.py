"""What the consumer hears on RabbitMQ: two queues, each on a channel of its own; a third is for what it says."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aio_pika
import anyio
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, DeliveryMode, ExchangeType
from yarl import URL

from events.broker_port import BrokerLost, lost
from events.envelope import Outgoing
from events.inbox_port import CATALOG, GRAVE, GRAVE_AGE_S, GRAVES, GRAVES_MAX, ORDERS, Delivery, Source
from events.incoming import possible_ms
from events.rabbit_broker import (
    CLOSE_TIMEOUT_S,
    CONFIRM_TIMEOUT_S,
    FAILURES,
    OPEN_TIMEOUT_S,
    RabbitOptions,
    amqp_message,
    connected,
)

GRAVE_ARGUMENTS = {"x-message-ttl": GRAVE_AGE_S * 1_000, "x-max-length": GRAVES_MAX}
REASON = "x-reason"
FROM_EXCHANGE, FROM_KEY = "x-from-exchange", "x-from-routing-key"


class RabbitInbox:
    """`Inbox` on RabbitMQ. It belongs to the running asyncio loop.

    Args:
        url: such as `amqp://guest:guest@localhost/`.
        options: of the exchange to which answers go, and whether what is not there is made.
        prefetch: of both queues; 0: that of each.
    """

    def __init__(self, url: str, options: RabbitOptions, prefetch: int = 0) -> None:
        self._url = URL(url).update_query(heartbeat=options.heartbeat_s)
        self._options = options
        self._prefetch = prefetch
        self._connection: AbstractConnection | None = None
        self._saying: AbstractChannel | None = None
        self._came: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

    def __repr__(self) -> str:
        return f"<RabbitInbox {self.name} waiting={self._came.qsize()}>"

    @property
    def name(self) -> str:
        return str(self._url.with_password(None).with_query(None))

    async def open(self) -> None:
        await self.close()
        came = self._came = asyncio.Queue()
        try:
            with anyio.fail_after(OPEN_TIMEOUT_S):
                connection = self._connection = await connected(self._url)
                connection.close_callbacks.add(lambda *_: came.put_nowait(None))
                self._saying = await connection.channel(publisher_confirms=True, on_return_raises=False)
                await self._prepare(self._saying)
                for source in (CATALOG, ORDERS):
                    await self._hear(connection, source, came)
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def _prepare(self, channel: AbstractChannel) -> None:
        """Where answers and what is buried go."""
        if self._options.declare:
            await channel.declare_exchange(self._options.exchange, ExchangeType.TOPIC, durable=True)
            grave = await channel.declare_exchange(GRAVE, ExchangeType.TOPIC, durable=True)
            graves = await channel.declare_queue(GRAVES, durable=True, arguments=dict(GRAVE_ARGUMENTS))
            await graves.bind(grave, "#")

    async def _hear(self, connection: AbstractConnection, source: Source, came: "asyncio.Queue[Any]") -> None:
        channel = await connection.channel()
        channel.close_callbacks.add(lambda *_: came.put_nowait(None))
        await channel.set_qos(prefetch_count=self._prefetch or source.prefetch)
        if self._options.declare:
            exchange = await channel.declare_exchange(source.exchange, ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(source.queue, durable=True)
            for word in source.words:
                await queue.bind(exchange, f"{word}.#")
        else:
            queue = await channel.get_queue(source.queue)
        await queue.consume(came.put)

    async def receive(self) -> Delivery:
        message = await self._came.get()
        if message is None:
            raise BrokerLost(f"{self.name}: the connection is lost")
        came_ms = possible_ms(message.timestamp) or possible_ms(datetime.now(UTC))
        return Delivery(message.body, message.routing_key or "", message.exchange or "", message, came_ms)

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        for one in messages:
            await self._say(self._options.exchange, one.name, amqp_message(one))
        return 0

    async def bury(self, delivery: Delivery, reason: str) -> None:
        message: AbstractIncomingMessage = delivery.token
        headers = {REASON: reason, FROM_EXCHANGE: delivery.exchange, FROM_KEY: delivery.routing_key}
        await self._say(GRAVE, delivery.routing_key, copied(message, headers))
        await self.acknowledge(delivery)

    async def _say(self, exchange_name: str, routing_key: str, message: aio_pika.Message) -> None:
        channel = self._saying
        if channel is None:
            raise BrokerLost(f"{self.name}: not connected")
        try:
            with anyio.fail_after(CONFIRM_TIMEOUT_S):
                exchange = await channel.get_exchange(exchange_name, ensure=False)
                await exchange.publish(message, routing_key=routing_key, mandatory=False)
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def acknowledge(self, delivery: Delivery) -> None:
        message: AbstractIncomingMessage = delivery.token
        try:
            await message.ack()
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def close(self) -> None:
        connection, self._connection, self._saying = self._connection, None, None
        if connection is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
                await connection.close()


def copied(message: AbstractIncomingMessage, headers: Mapping[str, Any]) -> aio_pika.Message:
    """The same message with other headers added, or taken away where they are None."""
    merged = {name: value for name, value in {**message.headers, **headers}.items() if value is not None}
    return aio_pika.Message(
        message.body,
        content_type=message.content_type,
        message_id=message.message_id,
        timestamp=message.timestamp,
        delivery_mode=DeliveryMode.PERSISTENT,
        headers=merged,
    )


async def redrive(url: str) -> int:
    """Send what was buried to where it came from. Returns how many there were.

    Raises:
        BrokerLost: what was not sent is where it was.
    """
    name, count = RabbitInbox(url, RabbitOptions()).name, 0
    try:
        async with await connected(URL(url)) as connection:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
            graves = await channel.get_queue(GRAVES)
            for _ in range(graves.declaration_result.message_count or 0):
                message = await graves.get(fail=False)
                if message is None:
                    break
                exchange_name = str(message.headers.get(FROM_EXCHANGE) or "")
                exchange = await channel.get_exchange(exchange_name or ORDERS.exchange, ensure=False)
                again = copied(message, {REASON: None, FROM_EXCHANGE: None, FROM_KEY: None})
                await exchange.publish(again, routing_key=str(message.headers.get(FROM_KEY) or message.routing_key))
                await message.ack()
                count += 1
    except FAILURES as error:
        raise lost(name, error) from error
    return count

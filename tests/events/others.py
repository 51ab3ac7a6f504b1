"""The catalog, the orders and the tills, as they stand on each broker, and what the consumer could not do."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from uuid import uuid4

import aio_pika
import nats
import nats.js.errors
from aio_pika.abc import AbstractChannel
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from events.inbox_port import CATALOG, GRAVES, ORDERS, Source
from events.rabbit_inbox import REASON
from tests.events.heard import bind_rabbit
from tests.events.real_brokers import BrokerProcess
from tests.system.servers import ORGANIZATION

STAYS = "a_stream_that_stays"
"""With its last stream NATS 2.15 takes its folder of streams away, a moment later: what makes one just then is refused
("error creating store for stream", once in some 1,500 times)."""


def said(event: str, data: object, event_id: str, correlation_id: str = "") -> bytes:
    """An event as the other services write it."""
    envelope = {"event_id": event_id, "event": event, "organization_id": ORGANIZATION, "data": data}
    envelope["correlation_id"] = correlation_id or f"because-of-{event_id}"
    return json.dumps({**envelope, "timestamp": "2026-01-31T12:00:00Z"}).encode()


def source_of(event: str) -> Source:
    return CATALOG if event.startswith("catalog") else ORDERS


class Others(Protocol):
    async def say(self, event: str, data: object, event_id: str, *, body: bytes | None = None) -> None:
        """Say something; `body`: this, whatever it is."""
        ...

    async def waiting(self, queue: str) -> int:
        """How many wait in a queue, or are with the consumer."""
        ...

    async def buried(self) -> list[tuple[str, str]]:
        """What could not be done, by its id, with the reasons. It is taken out."""
        ...

    async def bounds(self) -> tuple[float, int]:
        """For how many seconds, and how many, of what could not be done are kept."""
        ...


class RabbitOthers:
    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def say(self, event: str, data: object, event_id: str, *, body: bytes | None = None) -> None:
        name = source_of(event).exchange
        exchange = await self._channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
        payload = said(event, data, event_id) if body is None else body
        mode = aio_pika.DeliveryMode.PERSISTENT
        message = aio_pika.Message(payload, message_id=event_id, delivery_mode=mode)
        await exchange.publish(message, routing_key=event)

    async def waiting(self, queue: str) -> int:
        found = await self._channel.declare_queue(queue, durable=True, passive=True)
        return found.declaration_result.message_count or 0

    async def buried(self) -> list[tuple[str, str]]:
        queue = await self._channel.get_queue(GRAVES)
        found = []
        while (message := await queue.get(fail=False)) is not None:
            found.append((message.message_id or "", str(message.headers[REASON])))
            await message.ack()
        return found

    async def bounds(self) -> tuple[float, int]:
        wanted: Any = {"x-message-ttl": 86_400_000, "x-max-length": 10_000}
        await self._channel.declare_queue(GRAVES, durable=True, arguments=wanted)  # refused where it has others
        return 86_400, 10_000


class NatsOthers:
    def __init__(self, stream: JetStreamContext) -> None:
        self._stream = stream

    async def say(self, event: str, data: object, event_id: str, *, body: bytes | None = None) -> None:
        payload = said(event, data, event_id) if body is None else body
        await self._stream.publish(event, payload, headers={"x-message": event_id, "Nats-Msg-Id": str(uuid4())})

    async def waiting(self, queue: str) -> int:
        if queue == GRAVES:
            return (await self._stream.stream_info(GRAVES)).state.messages
        stream = next(one.exchange for one in (CATALOG, ORDERS) if one.queue == queue)
        info = await self._stream.consumer_info(stream, queue)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def buried(self) -> list[tuple[str, str]]:
        state = (await self._stream.stream_info(GRAVES)).state
        found = []
        for place in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await self._stream.get_msg(GRAVES, place)
            except nats.js.errors.NotFoundError:
                continue
            assert message.headers is not None
            found.append((message.headers["x-message"], message.headers[REASON]))
            await self._stream.delete_msg(GRAVES, place)
        return found

    async def bounds(self) -> tuple[float, int]:
        config = (await self._stream.stream_info(GRAVES)).config
        return config.max_age or 0.0, config.max_msgs or 0


@asynccontextmanager
async def others_on(
    kind: str, broker: BrokerProcess, *, is_new: bool = True, is_heard: bool = False
) -> AsyncIterator[Others]:
    """The others, on a broker where nothing has been said yet, if it `is_new` to them.

    What `is_heard` must not be dropped: a RabbitMQ that is killed may forget what was declared in its last seconds, and
    confirms what then has no queue.
    """
    if kind == "rabbit":
        async with await aio_pika.connect(broker.url) as connection:
            channel = await connection.channel(publisher_confirms=True)
            if is_new:
                for queue in (CATALOG.queue, ORDERS.queue, GRAVES, "a_listener"):
                    await channel.queue_delete(queue)
                await bind_rabbit(broker.url)
            yield RabbitOthers(await connection.channel(publisher_confirms=True, on_return_raises=is_heard))
        return
    client = await nats.connect(broker.url, allow_reconnect=False)
    try:
        stream = client.jetstream()
        await stream.add_stream(StreamConfig(STAYS, subjects=[STAYS]))
        for name in (CATALOG.exchange, ORDERS.exchange, GRAVES, "inventory_events") if is_new else ():
            with suppress(nats.js.errors.NotFoundError):
                await stream.delete_stream(name)
        for source in (CATALOG, ORDERS) if is_new else ():
            await stream.add_stream(StreamConfig(source.exchange, subjects=[f"{word}.>" for word in source.words]))
        yield NatsOthers(stream)
    finally:
        await client.close()

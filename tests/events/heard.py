"""A consumer of other people's: it keeps what it hears by `event_id`, and what it hears again."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import aio_pika
import nats
import nats.js.errors

QUEUE = "a_listener"
EXCHANGE = "inventory_events"


ANSWERS_OF_THE_MOMENT = ("inventory.stock.initialized", "inventory.stock.validation_failed")


class Heard:
    """What a broker has delivered: each event once, in the order in which it was first heard."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.repeated = 0

    def note(self, body: bytes) -> None:
        message = json.loads(body)
        event_id = message.get("event_id") or message["id"]
        if event_id in self.events:
            first, again = self._compared(self.events[event_id]), self._compared(message)
            if again.get("data", {}).get("stock_id") == "":  # its row was deleted since
                again["data"] = {**again["data"], "stock_id": first["data"]["stock_id"]}
            assert first == again, f"the same id says something else: {first} and then {again}"
            self.repeated += 1
        else:
            self.events[event_id] = message

    def _compared(self, message: dict[str, Any]) -> dict[str, Any]:
        """What must not change. An answer to the catalog that is given again tells the figures of that moment."""
        is_of_the_moment = self.name_of(message) in ANSWERS_OF_THE_MOMENT
        return {
            key: value for key, value in message.items() if not is_of_the_moment or key not in ("data", "timestamp")
        }

    @property
    def names(self) -> list[str]:
        return [self.name_of(message) for message in self.events.values()]

    @staticmethod
    def name_of(message: dict[str, Any]) -> str:
        """In either form."""
        return str(message.get("event") or message["type"])


async def bind_rabbit(url: str) -> None:
    """Make an empty queue before anything is published, as a service does that is installed first."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        await channel.queue_delete(QUEUE)
        queue = await channel.declare_queue(QUEUE, durable=True)
        await queue.bind(exchange, "#")


async def hear_rabbit(url: str, heard: Heard) -> None:
    """All that is in the queue."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        queue = await channel.declare_queue(QUEUE, durable=True, passive=True)
        left = queue.declaration_result.message_count
        if not left:
            return
        async with queue.iterator() as messages:
            async for message in messages:
                assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
                heard.note(message.body)
                left -= 1
                if left <= 0 or left % 200 == 0:
                    await message.ack(multiple=True)
                if left <= 0:
                    return


async def hear_nats(url: str, heard: Heard) -> None:
    """All that is in the stream, which keeps it."""
    client = await nats.connect(url, allow_reconnect=False)
    async with aclosing(_Closing(client)):
        stream = client.jetstream()
        try:
            state = (await stream.stream_info(EXCHANGE)).state
        except nats.js.errors.NotFoundError:
            return  # no relay has been here yet
        subscription = await stream.pull_subscribe("inventory.>", durable=QUEUE, stream=EXCHANGE)
        delivered = (await subscription.consumer_info()).delivered
        left = state.messages - (0 if delivered is None else delivered.stream_seq)
        while left > 0:
            for message in await subscription.fetch(min(left, 500), timeout=5):
                heard.note(message.data)
                await message.ack()
                left -= 1


class _Closing:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def aclose(self) -> None:
        await self._client.close()


async def hear(kind: str, url: str, heard: Heard) -> None:
    await {"rabbit": hear_rabbit, "nats": hear_nats}[kind](url, heard)


async def until_heard(kind: str, url: str, heard: Heard, count: int, timeout_s: float = 60.0) -> None:
    """Listen until there are this number of different events."""
    async with asyncio.timeout(timeout_s):
        while len(heard.events) < count:
            await hear(kind, url, heard)
            await asyncio.sleep(0.05)

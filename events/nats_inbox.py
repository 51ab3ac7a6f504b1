"""What the consumer hears on NATS: two JetStream streams, each by a durable pull consumer. It answers on a third.

A message that is not acknowledged comes again after `ACK_WAIT_S`. While one is being dealt with, or waits to be tried
again, the broker is told every third of that: so it waits as long as on RabbitMQ, and later events of its order wait
behind it. (A refusal with a delay would let those pass it.) Likewise what a killed consumer had comes again before
anything new is asked for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RawStreamMsg, StreamConfig

from events.broker_port import BrokerLost, lost
from events.envelope import Outgoing
from events.inbox_port import CATALOG, GRAVE, GRAVE_AGE_S, GRAVES, GRAVES_MAX, ORDERS, Delivery, Source
from events.nats_broker import (
    CLOSE_TIMEOUT_S,
    CONFIRM_TIMEOUT_S,
    FAILURES,
    OPEN_TIMEOUT_S,
    SUBJECTS,
    NatsOptions,
    connected,
)
from events.nats_streams import find_or_make, name_of

ACK_WAIT_S = 6.0
FETCH_S, LEFT_S = 10.0, 0.5
HEADER_BYTES_MAX = 4_000
REASON, FROM_STREAM, FROM_SUBJECT = "x-reason", "x-from-exchange", "x-from-routing-key"
OURS = ("x-reason", "x-from-exchange", "x-from-routing-key", "nats-msg-id")


class NatsInbox:
    """`Inbox` on JetStream. It belongs to the running asyncio loop.

    Args:
        url: such as `nats://localhost:4222`.
        options: of the stream to which answers go, and whether what is not there is made.
        prefetch: of both streams; 0: that of each.
    """

    def __init__(self, url: str, options: NatsOptions, prefetch: int = 0) -> None:
        self._url = url
        self._options = options
        self._prefetch = prefetch
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._came: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._held: dict[str, Msg] = {}
        self._subscriptions: list[JetStreamContext.PullSubscription] = []
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<NatsInbox {self.name} waiting={self._came.qsize()} held={len(self._held)}>"

    @property
    def name(self) -> str:
        return name_of(self._url)

    async def open(self) -> None:
        await self.close()
        came, closed = asyncio.Queue[Msg | None](), asyncio.Event()
        self._came, self._held = came, {}
        try:
            with anyio.fail_after(OPEN_TIMEOUT_S):
                self._client = await connected(self._url, closed)
                stream = self._stream = self._client.jetstream(timeout=CONFIRM_TIMEOUT_S)
                await self._prepare(stream)
                hearing = [await self._hear(stream, source, came) for source in (CATALOG, ORDERS)]
        except FAILURES as error:
            raise lost(self.name, error) from error
        work = [*hearing, self._keep(self._held), _tell(closed, came)]
        self._tasks = [asyncio.create_task(one) for one in work]

    async def _prepare(self, stream: JetStreamContext) -> None:
        """Where answers and what is buried go."""
        declare = self._options.declare
        await find_or_make(stream, StreamConfig(self._options.stream, subjects=[SUBJECTS]), declare=declare)
        graves = StreamConfig(GRAVES, subjects=[f"{GRAVE}.>"], max_age=GRAVE_AGE_S, max_msgs=GRAVES_MAX)
        await find_or_make(stream, graves, declare=declare)

    async def _hear(self, stream: JetStreamContext, source: Source, came: "asyncio.Queue[Msg | None]") -> Any:
        """What brings the messages of a stream, for as long as it runs."""
        subjects = [f"{word}.>" for word in source.words]
        await find_or_make(stream, StreamConfig(source.exchange, subjects=subjects), declare=self._options.declare)
        config = ConsumerConfig(
            durable_name=source.queue,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=self._prefetch or source.prefetch,
            max_deliver=-1,
        )
        info = await stream.add_consumer(source.exchange, config)
        subscription = await stream.pull_subscribe_bind(source.queue, stream=source.exchange)
        self._subscriptions.append(subscription)
        return self._fetch(subscription, came, self._held, info.num_ack_pending or 0)

    async def _fetch(
        self,
        subscription: JetStreamContext.PullSubscription,
        came: "asyncio.Queue[Msg | None]",
        held: dict[str, Msg],
        left: int,
    ) -> None:
        """One message after another, no more than may be under way. Another consumer has `left`, or it is dead."""
        try:
            for message in await _left_by_others(subscription, left) if left else ():
                held[message.reply] = message
                came.put_nowait(message)
            while True:
                try:
                    [message] = await subscription.fetch(1, timeout=FETCH_S)
                except nats.errors.TimeoutError:
                    await subscription.consumer_info()  # it may be gone
                    await asyncio.sleep(0.05)
                    continue
                held[message.reply] = message
                came.put_nowait(message)
        except FAILURES:
            came.put_nowait(None)

    async def _keep(self, held: dict[str, Msg]) -> None:
        """Say of what is under way that it still is."""
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            with suppress(*FAILURES):  # the one that listens is told
                for message in list(held.values()):
                    await message.in_progress()

    async def receive(self) -> Delivery:
        message = await self._came.get()
        if message is None:
            raise BrokerLost(f"{self.name}: the connection is lost")
        told = message.metadata
        return Delivery(message.data, message.subject, told.stream, message, int(told.timestamp.timestamp() * 1_000))

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        for one in messages:
            await self._say(one.name, one.body, {"Nats-Msg-Id": one.message_id, "Content-Type": one.content_type})
        return 0

    async def bury(self, delivery: Delivery, reason: str) -> None:
        message: Msg = delivery.token
        place = f"{delivery.exchange}/{message.metadata.sequence.stream}"
        headers = {
            **without_ours(message.headers or {}),
            REASON: "".join(one if one.isascii() and one.isprintable() else "?" for one in reason),
            FROM_STREAM: delivery.exchange,
            FROM_SUBJECT: delivery.routing_key,
            "Nats-Msg-Id": place,
        }
        body = delivery.body[: self._room]
        await self._say(f"{GRAVE}.{delivery.routing_key}", body, headers)
        await self.acknowledge(delivery)

    @property
    def _room(self) -> int:
        """How much of a body can be buried: the reason takes room too, and the broker's messages have a bound."""
        return (self._client.max_payload if self._client is not None else 1 << 20) - HEADER_BYTES_MAX

    async def _say(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        if self._stream is None:
            raise BrokerLost(f"{self.name}: not connected")
        try:
            with anyio.fail_after(CONFIRM_TIMEOUT_S):
                await self._stream.publish(subject, body, headers=headers)
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def acknowledge(self, delivery: Delivery) -> None:
        message: Msg = delivery.token
        try:
            await message.ack_sync(timeout=OPEN_TIMEOUT_S)
        except FAILURES as error:
            raise lost(self.name, error) from error
        self._held.pop(message.reply, None)

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if client is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
                for subscription in self._subscriptions:
                    await subscription.unsubscribe()  # else what is given back comes here
                for message in self._held.values():
                    await message.nak()  # it need not wait until its time is over
                await client.close()
        self._held, self._subscriptions = {}, []


async def _left_by_others(subscription: JetStreamContext.PullSubscription, left: int) -> list[Msg]:
    """What a consumer had that is gone, as it stands in the stream. Another that lives keeps what it has."""
    await asyncio.sleep(ACK_WAIT_S)  # then it may be had again
    found: list[Msg] = []
    with suppress(nats.errors.TimeoutError):
        while len(found) < left:
            found += await subscription.fetch(1, timeout=LEFT_S)
    return sorted(found, key=lambda one: one.metadata.sequence.stream)


async def _tell(closed: asyncio.Event, came: "asyncio.Queue[Msg | None]") -> None:
    await closed.wait()
    came.put_nowait(None)


def without_ours(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in OURS}


async def redrive(url: str) -> int:
    """Send what was buried to where it came from. Returns how many there were.

    Raises:
        BrokerLost: what was not sent is where it was.
    """
    count = 0
    try:
        client = await connected(url, asyncio.Event())
        try:
            stream = client.jetstream(timeout=CONFIRM_TIMEOUT_S)
            state = (await stream.stream_info(GRAVES)).state
            place = state.first_seq
            while state.messages and place <= state.last_seq:
                try:
                    buried = await stream.get_msg(GRAVES, seq=place, next=True, subject=">")
                except nats.js.errors.NotFoundError:
                    break
                if buried.seq is None or buried.seq > state.last_seq:
                    break
                await _send_again(stream, buried, buried.seq)
                place, count = buried.seq + 1, count + 1
        finally:
            await client.close()
    except FAILURES as error:
        raise lost(name_of(url), error) from error
    return count


async def _send_again(stream: JetStreamContext, buried: RawStreamMsg, place: int) -> None:
    """The id keeps it from being sent twice where it is sent and not taken away."""
    headers = buried.headers or {}
    subject = headers.get(FROM_SUBJECT) or (buried.subject or "").removeprefix(f"{GRAVE}.")
    again = {**without_ours(headers), "Nats-Msg-Id": f"redrive/{place}"}
    await stream.publish(subject, buried.data or b"", headers=again)
    await stream.delete_msg(GRAVES, place)

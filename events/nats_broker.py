"""NATS JetStream, by nats-py. A lost connection is not mended here: see `events/broker_port.py`."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import anyio
import nats
import nats.errors
import nats.js.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from yarl import URL

from events.broker_port import BrokerLost, lost
from events.envelope import Outgoing

OPEN_TIMEOUT_S = 10.0
CONFIRM_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0
SUBJECTS = "inventory.>"
FAILURES = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)


class NatsOptions(Struct, frozen=True):
    """How NATS is used.

    Args:
        stream: the JetStream stream that keeps the events.
        declare: whether it is made if it is not there; otherwise it must be there.
        confirm_timeout_s: after so long without a confirm the connection counts as lost.
    """

    stream: str = "inventory_events"
    declare: bool = True
    confirm_timeout_s: float = CONFIRM_TIMEOUT_S


class NatsBroker:
    """`Broker` on a JetStream stream, whose subjects are the events' names. It belongs to the running asyncio loop.

    Args:
        url: such as `nats://localhost:4222`.
    """

    def __init__(self, url: str, options: NatsOptions) -> None:
        self._url = url
        self._options = options
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<NatsBroker {self.name} open={self._client is not None}>"

    @property
    def name(self) -> str:
        return str(URL(self._url).with_password(None))

    async def open(self) -> None:
        await self.close()
        closed = self._closed = asyncio.Event()
        try:
            with anyio.fail_after(OPEN_TIMEOUT_S):
                self._client = await connected(self._url, closed)
                self._stream = self._client.jetstream(timeout=self._options.confirm_timeout_s)
                await self._find_or_make()
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def _find_or_make(self) -> None:
        assert self._stream is not None
        try:
            await self._stream.stream_info(self._options.stream)
        except nats.js.errors.NotFoundError:
            if not self._options.declare:
                raise
            await self._stream.add_stream(StreamConfig(self._options.stream, subjects=[SUBJECTS]))

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        stream = self._stream
        if stream is None:
            raise BrokerLost(f"{self.name}: not connected")
        # They begin in this order, and each is in the client's buffer before the next begins.
        found = await self._unless_closed([_publish(stream, one) for one in messages])
        for one in found:
            if isinstance(one, BaseException):
                raise lost(self.name, one) from one
        return 0  # where no stream takes an event it is refused

    async def _unless_closed(self, publishing: Sequence[Coroutine[Any, Any, None]]) -> Sequence[Any]:
        """What became of all. The client leaves those that wait for a confirm waiting when the connection is lost."""
        every = asyncio.gather(*publishing, return_exceptions=True)
        every.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is not always asked for
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((every, closing), return_when=asyncio.FIRST_COMPLETED)
            if every.done():
                return every.result()
        finally:
            closing.cancel()
            every.cancel()
        raise BrokerLost(f"{self.name}: the connection is lost")

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
                await client.close()


async def connected(url: str, closed: asyncio.Event) -> Client:
    """A connection that is not mended; `closed` is set when it is gone."""

    async def note_closed() -> None:
        closed.set()

    async def note_error(error: Exception) -> None:
        """It is raised where it matters."""

    return await nats.connect(
        url,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        connect_timeout=OPEN_TIMEOUT_S / 2,
        closed_cb=note_closed,
        disconnected_cb=note_closed,
        error_cb=note_error,
    )


async def _publish(stream: JetStreamContext, one: Outgoing) -> None:
    headers = {"Nats-Msg-Id": one.message_id, "Content-Type": one.content_type}
    await stream.publish(one.name, one.body, headers=headers)

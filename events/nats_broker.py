"""NATS JetStream, by nats-py. A lost connection is not mended here: see `events/broker_port.py`."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
import nats.errors
import nats.js.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.js.api import StreamConfig
from yarl import URL

from events.broker_port import BrokerLost, lost
from events.envelope import Outgoing
from events.nats_bulk import BulkStream
from events.nats_streams import find_or_make, name_of

OPEN_TIMEOUT_S = 10.0
CONFIRM_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0
SUBJECTS = "inventory.>"
ENCRYPTED = ("tls", "wss")
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
        self._stream: BulkStream | None = None

    def __repr__(self) -> str:
        return f"<NatsBroker {self.name} open={self._client is not None}>"

    @property
    def name(self) -> str:
        return name_of(self._url)

    async def open(self) -> None:
        await self.close()
        closed = asyncio.Event()
        try:
            with anyio.fail_after(OPEN_TIMEOUT_S):
                self._client = await connected(self._url, closed)
                wanted = StreamConfig(self._options.stream, subjects=[SUBJECTS])
                jetstream = self._client.jetstream(timeout=OPEN_TIMEOUT_S)
                await find_or_make(jetstream, wanted, declare=self._options.declare)
                stream = BulkStream(self._client, closed)
                await stream.listen()
                self._stream = stream
        except FAILURES as error:
            raise lost(self.name, error) from error

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        stream = self._stream
        if stream is None:
            raise BrokerLost(f"{self.name}: not connected")
        try:
            with anyio.fail_after(self._options.confirm_timeout_s):
                await stream.publish(messages)
        except FAILURES as error:
            raise lost(self.name, error) from error
        return 0  # where no stream takes an event it is refused

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
                await client.close()


async def connected(url: str, closed: asyncio.Event) -> Client:
    """A connection that is not mended; `closed` is set when it is gone.

    The client goes on in plain text where a server does not ask for TLS, whatever the URL says. So where TLS is asked
    for, a password is given only when the server has.

    Args:
        url: with the files of TLS in its query, as `cafile`, `certfile` and `keyfile`.

    Raises:
        ConnectionError: TLS is asked for, and not offered.
    """

    async def note_closed() -> None:
        closed.set()

    async def note_error(error: Exception) -> None:
        """It is raised where it matters."""

    given, client = URL(url), Client()
    is_encrypted = given.scheme in ENCRYPTED

    def checked(secret: str) -> Callable[[], str]:
        def give() -> str:
            if is_encrypted and not _is_encrypted(client):
                raise ConnectionError("the broker offers no TLS")
            return secret

        return give

    # What stands alone before the @ is a token.
    secrets = [None if text is None else checked(text) for text in (given.user, given.password)]
    user, password, token = (*secrets, None) if secrets[1] else (None, None, secrets[0])
    try:
        await client.connect(
            str(given.with_query(None).with_user(None)),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            connect_timeout=OPEN_TIMEOUT_S / 2,  # type: ignore[arg-type]
            closed_cb=note_closed,
            disconnected_cb=note_closed,
            error_cb=note_error,
            tls=_tls(given) if is_encrypted else None,
            user=user,
            password=password,
            token=token,
        )
        if is_encrypted and not _is_encrypted(client):
            raise ConnectionError("the broker offers no TLS")
    except BaseException:
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True), suppress(Exception):
            await client.close()
        raise
    return client


def _is_encrypted(client: Client) -> bool:
    """A server says so before TLS begins, and its word alone makes the client begin it. (`wss` begins with it.)"""
    server = client._current_server
    return (server is not None and server.uri.scheme == "wss") or bool(client._server_info.get("tls_required"))


def _tls(url: URL) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=url.query.get("cafile"))
    if "certfile" in url.query:
        context.load_cert_chain(url.query["certfile"], url.query.get("keyfile"))
    return context

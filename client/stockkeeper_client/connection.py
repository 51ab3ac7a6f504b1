"""One connection, shared by the clients of both services: its channel, deadline, metadata and circuit breaker."""

# The generic types of grpc.aio have no subscript at run time before grpcio 1.84.
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc.aio

from stockkeeper_client.bearer import GivesToken
from stockkeeper_client.channel import ChannelOption, RetryPolicy, open_channel
from stockkeeper_client.circuit import CircuitBreaker, Permit
from stockkeeper_client.correlation import correlation_metadata
from stockkeeper_client.refusals import typed
from stockkeeper_client.upload import FirstStatus, write_all

Request = TypeVar("Request")
Response = TypeVar("Response")
Metadata = Sequence[tuple[str, str]]

# What tells that the service is in trouble. Everything else is an answer, if an unwelcome one. RESOURCE_EXHAUSTED is
# not here, because gRPC itself gives it for a message that is too large: that says nothing of the service, which
# reports overload as UNAVAILABLE.
SERVICE_FAILURES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """What InventoryClient is given for its connection, and means there."""

    timeout_s: float
    retry: RetryPolicy | None
    breaker: CircuitBreaker | None
    credentials: grpc.ChannelCredentials | None
    metadata: Metadata
    options: Sequence[ChannelOption]
    token: GivesToken | None = None

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s={self.timeout_s} has to be positive")


class AnyConnection:
    """What a connection is, whether its calls are awaited or block."""

    def __init__(self, target: str, settings: ConnectionSettings) -> None:
        self.target = target
        self.settings = settings
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.target} {self._state()} breaker={self.breaker}>"

    def _state(self) -> str:
        return "closed" if self._closed else "open"

    @property
    def breaker(self) -> CircuitBreaker | None:
        return self.settings.breaker

    def time_limit_s(self, timeout_s: float | None) -> float:
        """What a method was given, or the connection's own limit."""
        return self.settings.timeout_s if timeout_s is None else timeout_s

    def with_own(self, metadata: Metadata) -> Metadata:
        """The metadata of one call: its correlation id, which goes before the client's own, and those of all."""
        return [*correlation_metadata(), *self.of_all(metadata)]

    def of_all(self, metadata: Metadata = ()) -> Metadata:
        """Those of all calls and then `metadata`, with the token as it is now: for a stream that calls share."""
        bearer = self.bearer()
        own = [*self.settings.metadata, *metadata]
        return [*own, ("authorization", f"Bearer {bearer}")] if bearer else own

    def bearer(self) -> str:
        """The token as it is now; empty if there is none."""
        return "" if self.settings.token is None else self.settings.token()

    def is_worth_another_try(self, error: grpc.RpcError, bearer: str) -> bool:
        """Whether a stream that ended so can go on: the service was away, or what the stream began with ran out.

        `bearer`: the token that it began with.
        """
        code: grpc.StatusCode | None = error.code() if hasattr(error, "code") else None
        if code is grpc.StatusCode.UNAUTHENTICATED:
            return self.bearer() != bearer
        return code is grpc.StatusCode.UNAVAILABLE

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"The client of {self.target} is closed")


class Connection(AnyConnection):
    """The way to one target. Its channel is opened by the first call."""

    def __init__(self, target: str, settings: ConnectionSettings) -> None:
        super().__init__(target, settings)
        self._channel: grpc.aio.Channel | None = None

    def _state(self) -> str:
        return "new" if self._channel is None and not self._closed else super()._state()

    @property
    def channel(self) -> grpc.aio.Channel:
        """Opened when first asked for: a channel belongs to the event loop that runs then, a client to none yet.

        Raises RuntimeError after `close`.
        """
        self._require_open()
        if self._channel is None:
            settings = self.settings
            self._channel = open_channel(
                self.target, retry=settings.retry, credentials=settings.credentials, options=settings.options
            )
        return self._channel

    async def close(self, grace_s: float | None = None) -> None:
        """Lets calls run for `grace_s` seconds more, then cancels them. Closing again does nothing."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close(grace_s)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Response:
        """Sends `request` and returns the answer. Raises AioRpcError and CircuitOpenError."""
        self._require_open()
        with guarded(self.breaker):
            return await method(request, timeout=self.time_limit_s(timeout_s), metadata=self.with_own(metadata))

    async def upload(
        self,
        method: grpc.aio.StreamUnaryMultiCallable[Request, Response],
        requests: AsyncIterable[Request],
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> Response:
        """Sends all of `requests` and returns the answer. Raises as `call` does, and what `requests` raises."""
        self._require_open()
        with guarded(self.breaker) as permit:
            call = method(timeout=timeout_s, metadata=self.with_own(metadata))
            status = FirstStatus(call)
            try:
                await write_all(call, requests)
            except grpc.aio.AioRpcError:
                # From `requests`, which come from another service: it says nothing of this one.
                if permit is not None:
                    permit.abandoned()
                raise
            return await status.answer(call)

    async def download(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Response], request: Request, *, timeout_s: float
    ) -> AsyncGenerator[Response, None]:
        """Sends `request` and gives the answers as they come. Raises as `call` does. Closing it cancels the call."""
        self._require_open()
        with guarded(self.breaker) as permit:
            call = method(request, timeout=timeout_s, metadata=self.with_own(()))
            try:
                async for answer in call:
                    if permit is not None:
                        permit.succeeded()  # the service is there; others need not wait for the last answer
                    yield answer
            finally:
                call.cancel()

    async def subscribe(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
    ) -> AsyncGenerator[Response, None]:
        """Sends `request` and returns what comes, for as long as it comes. Raises AioRpcError.

        It has no time limit, and says nothing to the breaker: a stream ends when the service is started anew.
        """
        self._require_open()
        with guarded(None):
            call = method(request, metadata=self.with_own(()))
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    async def pause(self, seconds: float) -> None:
        """Returns after this number of seconds."""
        await asyncio.sleep(seconds)


@contextmanager
def guarded(breaker: CircuitBreaker | None) -> Iterator[Permit | None]:
    """Tells `breaker` how the call in the body went, and gives a refusal its own class.

    Raises CircuitOpenError if there must be no call. A cancelled call, or one that this side could not even make,
    counts as neither success nor failure.
    """
    permit = None if breaker is None else breaker.admit()
    try:
        yield permit
        if permit is not None:
            permit.succeeded()
    except grpc.RpcError as error:
        if permit is not None:
            _report(permit, error)
        refusal = typed(error)
        if refusal is error:
            raise
        raise refusal from None
    finally:
        if permit is not None:
            permit.abandoned()


def _report(permit: Permit, error: grpc.RpcError) -> None:
    # One that the caller's own code raised may have none.
    code: grpc.StatusCode | None = error.code() if hasattr(error, "code") else None
    if code in SERVICE_FAILURES:
        permit.failed()
    elif code is not grpc.StatusCode.CANCELLED:
        permit.succeeded()

"""The connection of a client whose calls block: any thread may make them, and the process may fork."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from stockkeeper_client.channel import merged_options
from stockkeeper_client.connection import AnyConnection, ConnectionSettings, Metadata, guarded
from stockkeeper_client.sync.feed import Feed
from stockkeeper_client.sync.fork_gate import FORK_GATE
from stockkeeper_client.sync.fork_safe_channel import ForkSafeChannel

if TYPE_CHECKING:
    from stockkeeper_client.v1 import calls

Request = TypeVar("Request")
Response = TypeVar("Response")


class BlockingConnection(AnyConnection):
    """The way to one target. Its channel is opened by the first call, and by the first one after each fork."""

    def __init__(self, target: str, settings: ConnectionSettings) -> None:
        super().__init__(target, settings)
        if settings.breaker is not None:
            FORK_GATE.add(settings.breaker)
        self._subscriptions: set[calls.BlockingResponses[Any]] = set()
        self._channel = ForkSafeChannel(self._open, self._cut_subscriptions)

    @property
    def channel(self) -> ForkSafeChannel:
        """Raises RuntimeError after `close`."""
        self._require_open()
        return self._channel

    def close(self, grace_s: float | None = None) -> None:
        """Lets calls run for `grace_s` seconds more, then cancels them. Closing again does nothing."""
        self._closed = True
        self._channel.close(grace_s)

    def call(
        self,
        method: calls.BlockingUnaryUnary[Request, Response],
        request: Request,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Response:
        """Sends `request` and returns the answer. Raises grpc.RpcError and CircuitOpenError."""
        self._require_open()
        with guarded(self.breaker):
            return method(request, timeout=self.time_limit_s(timeout_s), metadata=self.with_own(metadata))

    def upload(
        self,
        method: calls.BlockingStreamUnary[Request, Response],
        requests: Iterable[Request],
        *,
        timeout_s: float,
        metadata: Metadata = (),
    ) -> Response:
        """Sends all of `requests` and returns the answer. Raises as `call` does, and what `requests` raises."""
        self._require_open()
        with guarded(self.breaker) as permit:
            feed = Feed[Request]()
            call = method.future(feed, timeout=timeout_s, metadata=self.with_own(metadata))
            call.add_done_callback(lambda _: feed.stop())
            try:
                for request in requests:
                    if not feed.put(request):
                        break  # the service has answered, and reads no more
                feed.end()
            except BaseException:
                if permit is not None:
                    permit.abandoned()
                call.cancel()
                feed.stop()
                raise
            return call.result()

    def download(
        self, method: calls.BlockingUnaryStream[Request, Response], request: Request, *, timeout_s: float
    ) -> Generator[Response, None, None]:
        """Sends `request` and gives the answers as they come. Raises as `call` does. Closing it cancels the call."""
        self._require_open()
        with guarded(self.breaker) as permit:
            call = method(request, timeout=timeout_s, metadata=self.with_own(()))
            try:
                for answer in call:
                    if permit is not None:
                        permit.succeeded()  # the service is there; others need not wait for the last answer
                    yield answer
            finally:
                call.cancel()

    def subscribe(
        self, method: calls.BlockingUnaryStream[Request, Response], request: Request
    ) -> Generator[Response, None, None]:
        """Sends `request` and returns what comes, for as long as it comes, or until a fork. Raises grpc.RpcError.

        It has no time limit, and says nothing to the breaker: a stream ends when the service is started anew.
        """
        self._require_open()
        with guarded(None):
            call = method(request, metadata=self.with_own(()))
            self._subscriptions.add(call)
            try:
                yield from call
            except grpc.RpcError:
                if call in self._subscriptions:
                    raise
            finally:
                self._subscriptions.discard(call)
                call.cancel()

    def pause(self, seconds: float) -> None:
        """Returns after this number of seconds."""
        time.sleep(seconds)

    def _cut_subscriptions(self) -> None:
        """As if the service had ended them: a fork cannot wait for what has no end."""
        cut, self._subscriptions = self._subscriptions, set()
        for call in cut:
            call.cancel()

    def _open(self) -> grpc.Channel:
        settings = self.settings
        merged = merged_options(self.target, settings.retry, settings.options)
        if settings.credentials is None:
            return grpc.insecure_channel(self.target, options=merged)
        return grpc.secure_channel(self.target, settings.credentials, options=merged)

"""The connection of a client whose calls block: any thread may make them, and the process may fork."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

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
        self._channel = ForkSafeChannel(self._open)

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

    def _open(self) -> grpc.Channel:
        settings = self.settings
        merged = merged_options(self.target, settings.retry, settings.options)
        if settings.credentials is None:
            return grpc.insecure_channel(self.target, options=merged)
        return grpc.secure_channel(self.target, settings.credentials, options=merged)

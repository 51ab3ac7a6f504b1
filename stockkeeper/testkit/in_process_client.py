"""InventoryClient itself, over a wire that is no socket."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar, cast

import anyio
import grpc.aio
from stockkeeper_client.channel import RetryPolicy
from stockkeeper_client.circuit import CircuitBreaker
from stockkeeper_client.client import InventoryClient
from stockkeeper_client.connection import Connection, ConnectionSettings, Metadata, guarded
from stockkeeper_client.reservations import Reservations

from stockkeeper.testkit.in_process_reservations import InProcessReservations
from stockkeeper.testkit.wire import DEADLINE_EXCEEDED, Wire

Request = TypeVar("Request")
Response = TypeVar("Response")


class InProcessClient(InventoryClient):
    """An InventoryClient in a simulated world. Only how it reaches the service is different.

    It runs on trio as well as on asyncio, and its time is the world's.

    Args:
        name: what people are told of its calls.
        timeout_s, streaming, retry, breaker, metadata: those of InventoryClient.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        *,
        timeout_s: float,
        streaming: bool,
        retry: RetryPolicy | None,
        breaker: CircuitBreaker | bool,
        metadata: Metadata,
    ) -> None:
        self._wire = wire
        self._name = name
        super().__init__(
            name, timeout_s=timeout_s, streaming=streaming, retry=retry, breaker=breaker, metadata=metadata
        )

    def _connect(self, target: str, settings: ConnectionSettings) -> Connection:
        return InProcessConnection(self._wire, self._name, settings)

    def _stream_reservations(self) -> Reservations:
        return InProcessReservations(self._connection, self._wire)


class InProcessConnection(Connection):
    """Deadlines, metadata and breaker are the client's own; the channel leads to a Wire."""

    def __init__(self, wire: Wire, name: str, settings: ConnectionSettings) -> None:
        super().__init__(name, settings)
        self._in_process = _Channel(wire, name, settings.retry)

    @property
    def channel(self) -> grpc.aio.Channel:
        self._require_open()
        return cast(grpc.aio.Channel, self._in_process)

    async def upload(
        self, method: Any, requests: AsyncIterable[Any], *, timeout_s: float, metadata: Metadata = ()
    ) -> Any:
        # Not the original, which needs a grpc.aio call and asyncio: all requests are read, and then they are sent.
        self._require_open()
        ends_s = anyio.current_time() + timeout_s
        with guarded(self.breaker) as permit:
            gathered = None
            with anyio.move_on_after(timeout_s):
                try:
                    gathered = [request async for request in requests]
                except grpc.aio.AioRpcError:
                    if permit is not None:
                        permit.abandoned()
                    raise
            if gathered is None:
                raise DEADLINE_EXCEEDED.error()
            remaining_s = ends_s - anyio.current_time()
            return await method(gathered, timeout=remaining_s, metadata=self.with_own(metadata))

    async def subscribe(self, method: Any, request: Any) -> AsyncGenerator[Any, None]:
        self._require_open()
        with guarded(None):
            async with aclosing(method(request, metadata=self.with_own(()))) as responses:
                async for response in responses:
                    yield response

    async def download(self, method: Any, request: Any, *, timeout_s: float) -> AsyncGenerator[Any, None]:
        # Not the original: the wire knows neither retries of a stream nor its deadline.
        self._require_open()
        ends_s = anyio.current_time() + timeout_s
        with guarded(self.breaker) as permit:
            async with aclosing(self._begun(method, request, ends_s)) as responses:
                async for response in responses:
                    if permit is not None:
                        permit.succeeded()
                    yield response

    async def _begun(self, method: Any, request: Any, ends_s: float) -> AsyncGenerator[Any, None]:
        """What comes of a stream, which is begun again while it is UNAVAILABLE before anything came."""
        retry, attempts, has_begun = self.settings.retry, 0, False
        while True:
            attempts += 1
            try:
                async with aclosing(method(request, metadata=self.with_own(()))) as responses:
                    while (response := await _next_until(ends_s, responses)) is not None:
                        has_begun = True
                        yield response
                return
            except grpc.aio.AioRpcError as error:
                is_last = retry is None or attempts >= retry.attempts_max
                if error.code() is not grpc.StatusCode.UNAVAILABLE or has_begun or is_last:
                    raise
            assert retry is not None
            await anyio.sleep(min(retry.backoff_s * retry.backoff_factor ** (attempts - 1), retry.backoff_s_max))

    async def pause(self, seconds: float) -> None:
        await anyio.sleep(seconds)


async def _next_until(ends_s: float, responses: AsyncGenerator[Response, None]) -> Response | None:
    """The next response; None: there is none."""
    with anyio.move_on_after(ends_s - anyio.current_time()):
        return await anext(responses, None)
    raise DEADLINE_EXCEEDED.error()


class _Channel:
    """As much of grpc.aio.Channel as the generated stubs use."""

    def __init__(self, wire: Wire, name: str, retry: RetryPolicy | None) -> None:
        self._wire = wire
        self._name = name
        self._retry = retry

    def __repr__(self) -> str:
        return f"<_Channel of {self._name} over {self._wire}>"

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes],
        response_deserializer: Callable[[bytes], Response],
        _registered_method: bool = False,
    ) -> Any:
        send = self.stream_unary(method, request_serializer, response_deserializer)

        async def call(
            request: Request,
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - as grpc.aio calls it
            metadata: Metadata = (),
        ) -> Response:
            return cast(Response, await send([request], timeout=timeout, metadata=metadata))

        return call

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes],
        response_deserializer: Callable[[bytes], Response],
        _registered_method: bool = False,
    ) -> Any:
        async def call(request: Request, *, metadata: Metadata = ()) -> AsyncGenerator[Response, None]:
            stream = self._wire.stream(self._name, method, request_serializer(request), tuple(metadata))
            async with aclosing(stream) as bodies:
                async for body in bodies:
                    yield response_deserializer(body)

        return call

    def stream_unary(
        self,
        method: str,
        request_serializer: Callable[[Request], bytes],
        response_deserializer: Callable[[bytes], Response],
        _registered_method: bool = False,
    ) -> Any:
        async def call(
            requests: Iterable[Request],
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - as above
            metadata: Metadata = (),
        ) -> Response:
            body = await self._wire.call(
                self._name,
                method,
                [request_serializer(request) for request in requests],
                timeout_s=timeout,
                metadata=tuple(metadata),
                retry=self._retry,
            )
            return response_deserializer(body)

        return call

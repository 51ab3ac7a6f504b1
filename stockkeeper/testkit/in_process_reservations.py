"""A client's reservations over one stream, in a simulated world.

The attempts, the delays between them, the errors and the deadline are the client's own. Its stream is one of grpc.aio,
with tasks of asyncio; here the wire carries each request by itself, and what makes a stream of them is kept: when one
loses its connection, all that are under way lose it, and the next attempt opens another.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import grpc.aio
from stockkeeper_client.connection import Connection
from stockkeeper_client.reservations import (
    ChannelStatistics,
    ReservationChannel,
    Reservations,
    broken,
    copy_of,
    outcome_of,
)
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stream_pb2

from stockkeeper.testkit.wire import Wire

PATH = "/inventory.v1.ReservationStream/ReserveStock"
Outcome = pb.ReserveStockResponse | grpc.aio.AioRpcError


class InProcessReservations(Reservations):
    """Makes reservations over a stream of the wire."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        super().__init__(connection)
        self._wire = wire
        self._random = wire.random_of(f"stream/{connection.target}")

    def _open_stream(self, channel: grpc.aio.Channel) -> ReservationChannel:
        return _WireStream(self._connection, self._wire)

    def _time_limit(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return _time_limit(seconds)

    async def _rest(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def _jitter(self) -> float:
        return self._random.uniform(0.8, 1.2)


@asynccontextmanager
async def _time_limit(seconds: float) -> AsyncIterator[None]:
    with anyio.fail_after(seconds):
        yield


class _WireStream(ReservationChannel):
    """What its requests have in common: one connection, which all of them lose together."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        self.is_over = False
        self._connection = connection
        self._wire = wire
        self._sequence = 0
        self._under_way: dict[int, anyio.CancelScope] = {}
        self._error: grpc.aio.AioRpcError | None = None

    def __repr__(self) -> str:
        return f"<_WireStream under_way={len(self._under_way)} over={self.is_over}>"

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(len(self._under_way), 0)

    async def ask(self, request: pb.ReserveStockRequest, idempotency_key: str) -> Outcome:
        self._sequence += 1
        streamed = stream_pb2.StreamedRequest(sequence=self._sequence, request=request, idempotency_key=idempotency_key)
        with anyio.CancelScope() as scope:
            self._under_way[streamed.sequence] = scope
            try:
                return await self._send(streamed)
            except grpc.aio.AioRpcError as ended:
                self._end(broken(ended))
            finally:
                del self._under_way[streamed.sequence]
        assert self._error is not None
        return copy_of(self._error)

    async def close(self, grace_s: float | None) -> None:
        if grace_s:
            with anyio.move_on_after(grace_s):
                while self._under_way:  # noqa: ASYNC110 - they do not tell
                    await anyio.sleep(0.01)
        self._end(grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata()))

    async def _send(self, streamed: stream_pb2.StreamedRequest) -> Outcome:
        message = stream_pb2.ReserveStockRequests(requests=[streamed])
        raw = await self._wire.call(
            self._connection.target,
            PATH,
            [message.SerializeToString()],
            timeout_s=None,
            metadata=tuple(self._connection.of_all()),
            retry=None,
            gives_up_s=anyio.current_effective_deadline(),
        )
        [reply] = stream_pb2.ReserveStockReplies.FromString(raw).replies
        return outcome_of(reply)

    def _end(self, error: grpc.aio.AioRpcError) -> None:
        if not self.is_over:
            self.is_over = True
            self._error = error
            for scope in self._under_way.values():
                scope.cancel()

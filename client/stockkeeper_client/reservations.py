"""ReserveStock over one stream that all callers share; each of them sees a call of its own.

Requests are gathered while the last message is written, and each reply is handed to the caller that waits for it. So
the price of a call, most of which is HTTP/2's, is paid once for all that are made at a time.

The stream's end is not the callers': those under way see UNAVAILABLE, the next attempt opens another, and the
order finds the reservation that it may have already. gRPC's own retries do not reach into a stream, and could
only replay it whole, so what `channel.py` says of them is done here for each request: UNAVAILABLE alone,
a number of attempts, a delay spread by 20 % or as long as the service says, one deadline for all.
"""

# The generic types of grpc.aio have no subscript at run time before grpcio 1.84.
from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import grpc.aio

from stockkeeper_client.channel import RetryPolicy
from stockkeeper_client.circuit import CircuitStatistics
from stockkeeper_client.connection import Connection, guarded
from stockkeeper_client.errors import DETAILS_KEY, error_details
from stockkeeper_client.upload import FirstStatus
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stream_pb2
from stockkeeper_client.v1.status_pb2 import Status
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

if TYPE_CHECKING:
    Outcome = pb.ReserveStockResponse | grpc.aio.AioRpcError

# A larger request costs more than its call, and one that the service will not even read ends the stream of all.
STREAMED_BYTES_MAX = 64 * 1024
_REQUESTS_A_MESSAGE_MAX = 256
_REQUESTS_BYTES_MAX = 256 * 1024
_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
# How a stream ends that was lost, or cancelled by a server that stops: INTERNAL is what grpc.aio makes of a write that
# failed. It says nothing of the requests.
_BROKEN = frozenset({grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})


class ReservationsStatistics(NamedTuple):
    """How many streams were opened, and what waits on the last: requests for an answer, those of them not sent yet."""

    streams_opened: int
    waiting: int
    unsent: int


class ClientStatistics(NamedTuple):
    """What the breaker has seen, and what the stream of reservations has to do; None without a breaker or a stream."""

    breaker: CircuitStatistics | None
    reservations: ReservationsStatistics | None


class Reservations:
    """Makes reservations over the stream, which is opened by the first and opened again when it broke."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream: ReservationChannel | None = None
        self._bearer = ""  # that the stream was opened with
        self._streams_opened = 0

    def __repr__(self) -> str:
        return f"<Reservations of {self._connection.target} over {self._stream or 'no stream yet'}>"

    def statistics(self) -> ReservationsStatistics:
        waiting, unsent = (0, 0) if self._stream is None else self._stream.statistics()
        return ReservationsStatistics(self._streams_opened, waiting, unsent)

    async def reserve(
        self, request: pb.ReserveStockRequest, *, idempotency_key: str, timeout_s: float | None
    ) -> pb.ReserveStockResponse:
        """As the unary call. Cancelling it gives up the wait: what was sent may be carried out."""
        connection = self._connection
        with guarded(connection.breaker):
            try:
                async with self._time_limit(connection.time_limit_s(timeout_s)):
                    return await self._attempt(request, idempotency_key)
            except TimeoutError:
                raise error_of(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None

    async def close(self, grace_s: float | None = None) -> None:
        """Lets requests run for `grace_s` seconds more, then cancels them."""
        if self._stream is not None:
            await self._stream.close(grace_s)

    async def _attempt(self, request: pb.ReserveStockRequest, idempotency_key: str) -> pb.ReserveStockResponse:
        retry, attempt = self._connection.settings.retry, 0
        while True:
            attempt += 1
            outcome = await self._usable_stream().ask(request, idempotency_key)
            if isinstance(outcome, pb.ReserveStockResponse):
                return outcome
            can_go_on = self._connection.is_worth_another_try(outcome, self._bearer)
            if not can_go_on or retry is None or attempt >= retry.attempts_max:
                raise outcome
            await self._rest(delay_s(outcome, retry, attempt, self._jitter()))

    def _usable_stream(self) -> ReservationChannel:
        channel = self._connection.channel  # raises if the client was closed
        if self._stream is None or self._stream.is_over:
            self._bearer = self._connection.bearer()
            self._stream = self._open_stream(channel)
            self._streams_opened += 1
        return self._stream

    # What follows is asyncio's and gRPC's; the test kit has others.

    def _open_stream(self, channel: grpc.aio.Channel) -> ReservationChannel:
        return _Stream(ReservationStreamStub(channel).ReserveStock(metadata=self._connection.of_all()))

    def _time_limit(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _jitter(self) -> float:
        return random.uniform(0.8, 1.2)


class ChannelStatistics(NamedTuple):
    """Requests that wait for an answer, and those of them that are not sent yet."""

    waiting: int
    unsent: int


class ReservationChannel(Protocol):
    """One stream, from its first request to its end."""

    is_over: bool

    def statistics(self) -> ChannelStatistics: ...

    async def ask(self, request: pb.ReserveStockRequest, idempotency_key: str) -> Outcome:
        """The answer, or the error, which is returned because its caller may be gone."""
        ...

    async def close(self, grace_s: float | None) -> None:
        """Lets requests run for `grace_s` seconds more, then cancels them."""
        ...


class _Stream(ReservationChannel):
    """A stream of grpc.aio."""

    def __init__(
        self, call: grpc.aio.StreamStreamCall[stream_pb2.ReserveStockRequests, stream_pb2.ReserveStockReplies]
    ) -> None:
        self.is_over = False
        self._call = call
        self._sequence = 0
        self._unsent: dict[int, stream_pb2.StreamedRequest] = {}
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._has_unsent = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._writing = asyncio.create_task(self._write())
        self._status = FirstStatus(call, self._writing)
        self._reading = asyncio.create_task(self._read())

    def __repr__(self) -> str:
        return f"<_Stream waiting={len(self._waiting)} unsent={len(self._unsent)} over={self.is_over}>"

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(len(self._waiting), len(self._unsent))

    async def ask(self, request: pb.ReserveStockRequest, idempotency_key: str) -> Outcome:
        self._sequence += 1
        sequence = self._sequence
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        self._unsent[sequence] = stream_pb2.StreamedRequest(
            sequence=sequence, request=request, idempotency_key=idempotency_key
        )
        self._has_unsent.set()
        try:
            return await answer
        finally:
            self._waiting.pop(sequence, None)
            self._unsent.pop(sequence, None)
            if not self._waiting:
                self._is_idle.set()

    async def close(self, grace_s: float | None) -> None:
        if self._waiting and grace_s:
            self._is_idle.clear()
            try:
                async with asyncio.timeout(grace_s):
                    await self._is_idle.wait()
            except TimeoutError:
                pass
        self.is_over = True
        for answer in self._waiting.values():
            answer.cancel()  # as a call that the channel's end cancels
        self._call.cancel()
        self._writing.cancel()
        await asyncio.gather(self._writing, self._reading, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            while not self._unsent:
                self._has_unsent.clear()
                await self._has_unsent.wait()
            try:
                await self._call.write(next_message(self._unsent))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reader learns why

    async def _read(self) -> None:
        error = error_of(grpc.StatusCode.UNAVAILABLE, "The service ended the stream")
        try:
            while True:
                message = await self._call.read()
                if not isinstance(message, stream_pb2.ReserveStockReplies):
                    return  # the end
                for reply in message.replies:
                    self._give(reply.sequence, outcome_of(reply))
        except grpc.aio.AioRpcError as ended:
            self.is_over = True
            error = broken(await self._status.behind(ended))
        finally:
            self.is_over = True
            self._writing.cancel()
            for sequence in list(self._waiting):
                self._give(sequence, copy_of(error))

    def _give(self, sequence: int, outcome: Outcome) -> None:
        answer = self._waiting.pop(sequence, None)
        if answer is not None and not answer.done():
            answer.set_result(outcome)


def next_message(unsent: dict[int, stream_pb2.StreamedRequest]) -> stream_pb2.ReserveStockRequests:
    """As many of `unsent` as one message has, taken out of it."""
    requests, size = [], 0
    for sequence in list(unsent):
        requests.append(unsent.pop(sequence))
        size += requests[-1].ByteSize()
        if len(requests) >= _REQUESTS_A_MESSAGE_MAX or size >= _REQUESTS_BYTES_MAX:
            break
    return stream_pb2.ReserveStockRequests(requests=requests)


def outcome_of(reply: stream_pb2.ReserveStockReply) -> Outcome:
    if reply.HasField("status"):
        status = reply.status
        return error_of(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status)
    response = pb.ReserveStockResponse()
    response.CopyFrom(reply.response)  # which would keep all replies of its message in memory
    return response


def error_of(code: grpc.StatusCode, message: str, status: Status | None = None) -> grpc.aio.AioRpcError:
    """What a call raises that ends so."""
    trailers = () if status is None or not status.details else ((DETAILS_KEY, status.SerializeToString()),)
    return grpc.aio.AioRpcError(
        code,
        initial_metadata=grpc.aio.Metadata(),
        trailing_metadata=grpc.aio.Metadata(*trailers),
        details=message,
        debug_error_string=message,
    )


def broken(ended: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
    """What the stream's end is to those that still wait: their requests may be sent again, unless it says otherwise."""
    if ended.code() in _BROKEN:
        return error_of(grpc.StatusCode.UNAVAILABLE, f"The stream broke: {ended.details()}")
    return ended


def copy_of(error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
    """One for each caller that raises it: an exception keeps the traceback of every raise."""
    return grpc.aio.AioRpcError(
        error.code(),
        initial_metadata=error.initial_metadata(),
        trailing_metadata=error.trailing_metadata(),
        details=error.details(),
        debug_error_string=error.debug_error_string(),
    )


def delay_s(error: grpc.aio.AioRpcError, retry: RetryPolicy, attempt: int, jitter: float) -> float:
    """How long to wait before the next attempt, in seconds. `jitter` spreads what gRPC would spread, around 1."""
    told_s = error_details(error).retry_delay_s
    if told_s is not None:
        return told_s
    backoff_s = min(retry.backoff_s * retry.backoff_factor ** (attempt - 1), retry.backoff_s_max)
    return backoff_s * jitter

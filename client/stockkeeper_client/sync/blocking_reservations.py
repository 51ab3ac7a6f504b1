"""ReserveStock over one stream that all threads share; each of them sees a call of its own.

The counterpart of `stockkeeper_client.reservations`, which says what a stream is good for and how it is retried.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

import grpc

from stockkeeper_client.connection import guarded
from stockkeeper_client.reservations import (
    ChannelStatistics,
    ReservationsStatistics,
    broken,
    copy_of,
    delay_s,
    error_of,
    next_message,
    outcome_of,
)
from stockkeeper_client.sync.blocking_connection import BlockingConnection
from stockkeeper_client.sync.fork_gate import FORK_GATE, FORK_PATIENCE_S, Turnstile
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stream_pb2
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamBlockingStub

if TYPE_CHECKING:
    from stockkeeper_client.reservations import Outcome
    from stockkeeper_client.v1 import calls

    Open = Callable[
        [Iterator[stream_pb2.ReserveStockRequests]], calls.BlockingResponses[stream_pb2.ReserveStockReplies]
    ]


class BlockingReservations:
    """Makes reservations over the stream, which is opened by the first and opened again when it broke.

    A fork waits for those under way, and then ends the stream.
    """

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._under_way = Turnstile()
        self._opening = threading.Lock()
        self._stream: ThreadedStream | None = None
        self._bearer = ""  # that the stream was opened with
        self._streams_opened = 0
        FORK_GATE.add(self)  # after the channel, so that a fork ends the stream before it waits for the channel

    def __repr__(self) -> str:
        return f"<BlockingReservations of {self._connection.target} over {self._stream or 'no stream yet'}>"

    def statistics(self) -> ReservationsStatistics:
        waiting, unsent = (0, 0) if self._stream is None else self._stream.statistics()
        return ReservationsStatistics(self._streams_opened, waiting, unsent)

    def reserve(
        self, request: pb.ReserveStockRequest, *, idempotency_key: str, timeout_s: float | None
    ) -> pb.ReserveStockResponse:
        """As the unary call."""
        connection = self._connection
        with guarded(connection.breaker), self._under_way.inside():
            ends_s = time.monotonic() + connection.time_limit_s(timeout_s)
            return self._attempt(request, idempotency_key, ends_s)

    def close(self, grace_s: float | None = None) -> None:
        """Lets requests run for `grace_s` seconds more, then cancels them."""
        self._under_way.wait_until_empty(grace_s or 0)
        self._end_stream()

    def _end_stream(self) -> None:
        with self._opening:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _attempt(self, request: pb.ReserveStockRequest, idempotency_key: str, ends_s: float) -> pb.ReserveStockResponse:
        retry, attempt = self._connection.settings.retry, 0
        while True:
            attempt += 1
            outcome = self._usable_stream().ask(request, idempotency_key, ends_s)
            if isinstance(outcome, pb.ReserveStockResponse):
                return outcome
            can_go_on = self._connection.is_worth_another_try(outcome, self._bearer)
            if not can_go_on or retry is None or attempt >= retry.attempts_max:
                raise outcome
            rest_s = delay_s(outcome, retry, attempt, random.uniform(0.8, 1.2))
            remaining_s = max(ends_s - time.monotonic(), 0)
            time.sleep(min(rest_s, remaining_s))
            if rest_s >= remaining_s:
                raise _deadline_exceeded()

    def _usable_stream(self) -> ThreadedStream:
        with self._opening:
            channel = self._connection.channel  # raises if the client was closed
            if self._stream is None or self._stream.is_over:
                stub = ReservationStreamBlockingStub(channel)
                self._bearer = self._connection.bearer()
                metadata = self._connection.of_all()
                self._stream = ThreadedStream(lambda messages: stub.ReserveStock(messages, metadata=metadata))
                self._streams_opened += 1
            return self._stream

    def before_fork(self) -> None:
        self._under_way.hold()
        if self._under_way.wait_until_empty(FORK_PATIENCE_S):
            self._end_stream()

    def after_fork_in_parent(self) -> None:
        self._under_way.release()

    def after_fork_in_child(self) -> None:
        self._under_way, self._opening = Turnstile(), threading.Lock()
        self._stream = None


class ThreadedStream:
    """One stream, from its first request to its end. gRPC has a thread that sends, and here is one that receives."""

    def __init__(self, begin: Open) -> None:
        self.is_over = False
        self._ended: grpc.aio.AioRpcError | None = None
        self._changed = threading.Condition()
        self._sequence = 0
        self._unsent: dict[int, stream_pb2.StreamedRequest] = {}
        self._waiting: dict[int, Future[Outcome]] = {}
        self._call = begin(self._messages())
        self._reading = threading.Thread(target=self._read, daemon=True, name="stockkeeper reservations")
        self._reading.start()

    def __repr__(self) -> str:
        return f"<ThreadedStream waiting={len(self._waiting)} unsent={len(self._unsent)} over={self.is_over}>"

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(len(self._waiting), len(self._unsent))

    def ask(self, request: pb.ReserveStockRequest, idempotency_key: str, ends_s: float) -> Outcome:
        """The answer, or the error."""
        answer: Future[Outcome] = Future()
        with self._changed:
            if self._ended is not None:  # since its caller looked; it may be refused for good
                return copy_of(self._ended)
            self._sequence += 1
            sequence = self._sequence
            self._waiting[sequence] = answer
            self._unsent[sequence] = stream_pb2.StreamedRequest(
                sequence=sequence, request=request, idempotency_key=idempotency_key
            )
            self._changed.notify_all()
        try:
            return answer.result(max(ends_s - time.monotonic(), 0))
        except TimeoutError:
            return _deadline_exceeded()
        finally:
            with self._changed:
                self._waiting.pop(sequence, None)
                self._unsent.pop(sequence, None)

    def close(self) -> None:
        """Cancels what is under way, and waits until gRPC has let go of the stream."""
        self._end(error_of(grpc.StatusCode.CANCELLED, "The client was closed"))
        self._call.cancel()
        self._reading.join()

    def _messages(self) -> Iterator[stream_pb2.ReserveStockRequests]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent or self.is_over)
                if self.is_over:
                    return
                message = next_message(self._unsent)
            yield message

    def _read(self) -> None:
        error = error_of(grpc.StatusCode.UNAVAILABLE, "The service ended the stream")
        try:
            for message in self._call:
                for reply in message.replies:
                    self._give(reply.sequence, outcome_of(reply))
        except grpc.RpcError as ended:
            error = broken(cast(grpc.aio.AioRpcError, ended))  # it tells all that one does
        finally:
            self._end(error)

    def _end(self, error: grpc.aio.AioRpcError) -> None:
        with self._changed:
            self.is_over = True
            self._ended = self._ended or error
            waiting, self._waiting = self._waiting, {}
            self._changed.notify_all()
        for answer in waiting.values():
            answer.set_result(copy_of(error))

    def _give(self, sequence: int, outcome: Outcome) -> None:
        with self._changed:
            answer = self._waiting.pop(sequence, None)
        if answer is not None:
            answer.set_result(outcome)


def _deadline_exceeded() -> grpc.aio.AioRpcError:
    return error_of(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

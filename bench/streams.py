"""Reservations over the bidirectional stream: many orders under way on a few calls, each answered in the stream."""

import selectors
import time
from collections.abc import Sequence
from itertools import islice

from stockkeeper_client.v1 import stream_pb2 as pb

from bench.generator import Call, Outcome
from bench.http2 import Connection

METHOD = "/inventory.v1.ReservationStream/ReserveStock"
STREAMS = 8
WINDOW = 32  # orders under way on a stream
STUCK_S = 60.0
UNIMPLEMENTED = 12


def is_served(port: int) -> bool:
    """Whether the server has the stream at all."""
    connection = Connection(port)
    try:
        connection.call(METHOD, b"", 0)
        connection.flush()
        while not (answers := connection.receive()):
            connection.flush()
        return answers[0].status != UNIMPLEMENTED
    finally:
        connection.close()


def drive_streams(port: int, calls: Sequence[Call], *, duration_s: float) -> Outcome:
    """Keep WINDOW orders under way on each of STREAMS streams, each on a connection of its own.

    Raises:
        ConnectionError: a stream ended before its orders were answered.
        TimeoutError: no answer came for a minute.
    """
    requests = [_encoded(sequence, call) for sequence, call in enumerate(calls)]
    streams = [_Stream(Connection(port)) for _ in range(STREAMS)]
    try:
        return _drive(streams, calls, requests, duration_s)
    finally:
        for stream in streams:
            stream.connection.close()


def _encoded(sequence: int, call: Call) -> bytes:
    """A message of one request. Messages that follow each other are one message of all their requests."""
    request = pb.StreamedRequest(sequence=sequence)
    request.request.ParseFromString(call.message)
    return pb.ReserveStockRequests(requests=[request]).SerializeToString()


class _Stream:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.number = connection.open_stream(METHOD)
        self.sent_s: dict[int, float] = {}  # by sequence

    def __repr__(self) -> str:
        return f"<_Stream {self.number} waiting={len(self.sent_s)}>"

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, requests: Sequence[tuple[int, bytes]]) -> None:
        if requests:
            now = time.perf_counter()
            self.sent_s.update((sequence, now) for sequence, _ in requests)
            self.connection.send_message(self.number, b"".join(request for _, request in requests))
        self.connection.flush()


def _drive(streams: Sequence[_Stream], calls: Sequence[Call], requests: Sequence[bytes], duration_s: float) -> Outcome:
    outcome = Outcome()
    pending = iter(enumerate(requests))
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        cpu, begin = time.thread_time(), time.perf_counter()
        for stream in streams:
            stream.send(list(islice(pending, WINDOW)))
        while any(stream.sent_s for stream in streams):
            ready = selector.select(STUCK_S)
            if not ready:
                raise TimeoutError("orders got no answer")
            for key, _ in ready:
                answered = _take(key.data, calls, outcome, begin + duration_s)
                in_time = time.perf_counter() < begin + duration_s
                key.data.send(list(islice(pending, answered)) if in_time else [])
        outcome.elapsed_s = min(time.perf_counter() - begin, duration_s)
        outcome.client_cpu_s = time.thread_time() - cpu
    return outcome


def _take(stream: _Stream, calls: Sequence[Call], outcome: Outcome, deadline: float) -> int:
    if stream.connection.receive():
        raise ConnectionError("the server has ended a stream")
    answered = 0
    now = time.perf_counter()
    for message in stream.connection.take_messages(stream.number):
        for reply in pb.ReserveStockReplies.FromString(message).replies:
            answered += 1
            outcome.latencies_s.append(now - stream.sent_s.pop(reply.sequence))
            outcome.statuses[reply.status.code] += 1
            if reply.response.success:
                outcome.accepted.append(calls[reply.sequence].number)
    outcome.calls += answered
    if now <= deadline:
        outcome.in_time += answered
    return answered

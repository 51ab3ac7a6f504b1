"""Reservations over the bidirectional stream: many orders under way on a few calls, each answered in the stream."""

import selectors
import time
from collections.abc import Sequence
from itertools import islice

from bench.generator import Call, Outcome
from bench.http2 import Connection

METHOD = "/inventory.v1.ReservationStream/ReserveStock"
STREAMS = 8
WINDOW = 16  # orders under way on a stream; together twice the callers of the unary calls
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

    An answer is taken for that of the oldest order of its stream that has none. Should they come in another order, then
    latencies are mixed up, but not what was accepted: in the end each order has an answer.

    Raises:
        ConnectionError: a stream ended before its orders were answered.
        TimeoutError: no answer came for a minute.
    """
    streams = [_Stream(Connection(port)) for _ in range(STREAMS)]
    try:
        return _drive(streams, calls, duration_s)
    finally:
        for stream in streams:
            stream.connection.close()


class _Stream:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.number = connection.open_stream(METHOD)
        self.sent: list[tuple[int, float]] = []  # which call, and when
        self.answered = 0

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, token: int, call: Call, now: float) -> None:
        self.sent.append((token, now))
        self.connection.send_message(self.number, call.message)


def _drive(streams: Sequence[_Stream], calls: Sequence[Call], duration_s: float) -> Outcome:
    outcome = Outcome()
    pending = iter(enumerate(calls))
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        cpu, begin = time.thread_time(), time.perf_counter()
        sent = 0
        for stream in streams:
            for token, call in islice(pending, WINDOW):
                stream.send(token, call, begin)
                sent += 1
            stream.connection.flush()
        while outcome.calls < sent:
            ready = selector.select(STUCK_S)
            if not ready:
                raise TimeoutError(f"{sent - outcome.calls} orders got no answer")
            for key, _ in ready:
                answered = _serve(key.data, calls, outcome, begin + duration_s)
                if time.perf_counter() < begin + duration_s:
                    for token, call in islice(pending, answered):
                        key.data.send(token, call, time.perf_counter())
                        sent += 1
                key.data.connection.flush()
        outcome.elapsed_s = min(time.perf_counter() - begin, duration_s)
        outcome.client_cpu_s = time.thread_time() - cpu
    return outcome


def _serve(stream: _Stream, calls: Sequence[Call], outcome: Outcome, deadline: float) -> int:
    if stream.connection.receive():
        raise ConnectionError("the server has ended a stream")
    answers = stream.connection.take_messages(stream.number)
    now = time.perf_counter()
    for _ in answers:
        token, sent_s = stream.sent[stream.answered]
        stream.answered += 1
        outcome.latencies_s.append(now - sent_s)
        outcome.statuses[0] += 1
        outcome.accepted.append(calls[token].number)
    outcome.calls += len(answers)
    if now <= deadline:
        outcome.in_time += len(answers)
    return len(answers)

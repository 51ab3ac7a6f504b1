"""Closed-loop callers over a few connections, all in this thread: as many calls are under way as there are callers.

Each caller has one call under way and makes the next one when its answer has come. Callers share connections, as the
tasks of an Order Service's processes do. Calls are made from a list that was prepared before.
"""

import gc
import selectors
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.http2 import Connection

CONNECTIONS = 8
SERVICE = "/inventory.v1.InventoryService/"
STUCK_S = 60.0


class Call(NamedTuple):
    """A call to make.

    Args:
        method: of InventoryService.
        message: the encoded request.
        number: the order that it reserves for; -1 for none.
        releases: the order whose reservation it ends; -1 for none.
    """

    method: str
    message: bytes
    number: int = -1
    releases: int = -1


@dataclass
class Outcome:
    """What came of a list of calls. The generator checks the status of each, and whether the answer says true.

    Args:
        calls: how many were answered.
        in_time: how many of them before the time was over.
        elapsed_s: the time that those took.
        latencies_s: the latency of every call.
        statuses: how often each gRPC status came; a status of OK with an answer of false counts as "false".
        accepted: the numbers of the orders whose reservation was acknowledged.
        released: the numbers of the orders whose reservation is acknowledged to have ended.
        answers: the answers that are kept, each with the position of its call, in the order in which they came.
        client_cpu_s: the CPU time of this thread.
    """

    calls: int = 0
    in_time: int = 0
    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[object] = field(default_factory=Counter)
    accepted: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    client_cpu_s: float = 0.0

    @property
    def calls_per_s(self) -> float:
        return self.in_time / self.elapsed_s

    def latency_ms(self, quantile: float) -> float:
        """Of all calls, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1_000


def drive(
    port: int | Sequence[int],
    calls: Sequence[Call],
    *,
    callers: int,
    duration_s: float = float("inf"),
    connections: int = CONNECTIONS,
    keep_every: int = 200,
) -> Outcome:
    """Make calls until all are made or the time is over, then wait for the calls under way.

    Args:
        port: of the server, or of several, to which the connections go by turns.
        duration_s: how long calls are made.
        keep_every: how many answers come for each one that is kept for a closer look.

    Raises:
        ConnectionError: the server went away.
        TimeoutError: no answer came for a minute.
    """
    ports = [port] if isinstance(port, int) else port
    opened = [Connection(ports[number % len(ports)]) for number in range(min(connections, callers))]
    collecting = gc.isenabled()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    try:
        return _Round(opened, calls, keep_every).run(callers, duration_s)
    finally:
        if collecting:
            gc.enable()
        for connection in opened:
            connection.close()


class _Round:
    def __init__(self, connections: Sequence[Connection], calls: Sequence[Call], keep_every: int) -> None:
        self._connections = connections
        self._calls = calls
        self._keep_every = keep_every
        self._next = 0
        self._sent_s = [0.0] * len(calls)
        self._outcome = Outcome()

    def __repr__(self) -> str:
        return f"<_Round sent={self._next} of {len(self._calls)} on {len(self._connections)} connections>"

    def run(self, callers: int, duration_s: float) -> Outcome:
        outcome = self._outcome
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection, selectors.EVENT_READ, connection)
            cpu, begin = time.thread_time(), time.perf_counter()
            deadline = begin + duration_s
            for caller in range(min(callers, len(self._calls))):
                self._send(self._connections[caller % len(self._connections)], begin)
            for connection in self._connections:
                connection.flush()
            while outcome.calls < self._next:
                ready = selector.select(STUCK_S)
                if not ready:
                    raise TimeoutError(f"{self._next - outcome.calls} calls got no answer")
                for key, _ in ready:
                    self._serve(key.data, deadline)
            outcome.elapsed_s = min(time.perf_counter() - begin, duration_s)
            outcome.client_cpu_s = time.thread_time() - cpu
        return outcome

    def _serve(self, connection: Connection, deadline: float) -> None:
        answers = connection.receive()
        now = time.perf_counter()
        outcome = self._outcome
        for token, status, message in answers:
            outcome.latencies_s.append(now - self._sent_s[token])
            # Every answer but GetStockInfo's begins with a bool, and a false one is not encoded.
            good = status == 0 and message[:2] == b"\x08\x01"
            outcome.statuses["false" if status == 0 and not good else status] += 1
            if good:
                call = self._calls[token]
                if call.number >= 0:
                    outcome.accepted.append(call.number)
                elif call.releases >= 0:
                    outcome.released.append(call.releases)
            if token % self._keep_every == 0:
                outcome.answers.append((token, message))
            if now < deadline and self._next < len(self._calls):
                self._send(connection, now)
        outcome.calls += len(answers)
        if now <= deadline:
            outcome.in_time += len(answers)
        connection.flush()

    def _send(self, connection: Connection, now: float) -> None:
        token = self._next
        self._next += 1
        self._sent_s[token] = now
        call = self._calls[token]
        connection.call(SERVICE + call.method, call.message, token)

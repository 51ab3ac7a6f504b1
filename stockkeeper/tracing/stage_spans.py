"""Spans of an order's way through the core: its order's mailbox, the rows' holds, the journal, the database.

They are the children of the call's own span, which may be of another process: a command carries its `traceparent`. What
is not sampled has none, and is not followed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import UNSET, Struct
from opentelemetry.context import Context as SpanContext
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from actors.records import Transaction

WAYS_MAX = 10_000  # of commands under way; the oldest is forgotten, as one that was refused is

V = TypeVar("V")


class Way(Struct):
    """A command under way: its call's span, and when it came to where it is."""

    parent: SpanContext
    since_s: float


class StageSpansStatistics(NamedTuple):
    """Commands that are followed, and transactions of theirs that are not durable."""

    commands: int
    decided: int


class StageSpans:
    """`actors.stages.Stages`, as spans.

    Args:
        tracer: makes them.
        clock_s: the core's monotonic clock, in seconds.
        now_ns: the time of day.
    """

    def __init__(
        self,
        tracer: Tracer,
        clock_s: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer
        self._clock_s = clock_s
        self._zero_ns = now_ns() - int(clock_s() * 1e9)
        self._propagator = TraceContextTextMapPropagator()
        self._ways: dict[str, Way] = {}
        self._waits: dict[int, list[tuple[float, float]]] = {}
        self._decided: dict[int, Way] = {}

    def __repr__(self) -> str:
        return f"<StageSpans {self.statistics()}>"

    def statistics(self) -> StageSpansStatistics:
        return StageSpansStatistics(len(self._ways), len(self._decided))

    def submitted(self, command: object) -> None:
        traceparent = _traceparent_of(getattr(command, "origin", UNSET))
        if traceparent:
            parent = self._propagator.extract({"traceparent": traceparent})
            _keep(self._ways, traceparent, Way(parent, self._clock_s()))

    def begun(self, command: object) -> None:
        way = self._ways.get(_traceparent_of(getattr(command, "origin", UNSET)))
        if way is not None:
            self._pass("mailbox", way, self._clock_s())

    def waited(self, transaction_id: int, began_s: float, ended_s: float) -> None:
        if self._ways:
            waits = self._waits.get(transaction_id, [])
            _keep(self._waits, transaction_id, [*waits, (began_s, ended_s)])

    def decided(self, transaction_id: int, transaction: Transaction) -> None:
        waits = self._waits.pop(transaction_id, ())
        way = self._ways.pop(_traceparent_of(transaction.origin), None)
        if way is not None:
            for began_s, ended_s in waits:
                self._span("wait for rivals", way.parent, began_s, ended_s)
            self._pass("hold", way, self._clock_s(), {"stockkeeper.rows": len(transaction.changes)})
            _keep(self._decided, transaction.lsn, way)

    def written(self, batch: Sequence[Transaction], began_s: float, ended_s: float) -> None:
        if not self._decided:
            return
        for transaction in batch:
            way = self._decided.pop(transaction.lsn, None)
            if way is not None:
                # One that was decided while the batch was being written has not waited for it to begin.
                self._pass("journal", way, max(began_s, way.since_s), {"stockkeeper.lsn": transaction.lsn})
                self._pass("commit", way, ended_s, {"stockkeeper.batch_transactions": len(batch)})

    def _pass(self, name: str, way: Way, ended_s: float, attributes: dict[str, Any] | None = None) -> None:
        self._span(name, way.parent, way.since_s, ended_s, attributes)
        way.since_s = ended_s

    def _span(
        self, name: str, parent: SpanContext, began_s: float, ended_s: float, attributes: dict[str, Any] | None = None
    ) -> None:
        span = self._tracer.start_span(name, parent, attributes=attributes, start_time=self._ns(began_s))
        span.end(self._ns(ended_s))

    def _ns(self, at_s: float) -> int:
        return self._zero_ns + int(at_s * 1e9)


def _traceparent_of(origin: Any) -> str:
    return origin.traceparent if origin else ""


K = TypeVar("K")


def _keep(ways: dict[K, V], key: K, value: V) -> None:
    ways[key] = value
    if len(ways) > WAYS_MAX:
        del ways[next(iter(ways))]

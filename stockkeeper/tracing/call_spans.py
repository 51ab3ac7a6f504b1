"""The span of each call that is sampled, by OpenTelemetry's conventions for RPCs; its parent is the caller's."""

import time
from typing import NamedTuple

from opentelemetry.context import Context as SpanContext
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rpc.call_watch import CODES
from rpc.messages.call_ids import CallIds
from rpc.transport.transport_port import Context

FAILURES = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
FIELDS = ("traceparent", "tracestate")


class CallSpansStatistics(NamedTuple):
    """Calls that were sampled."""

    sampled: int


class CallSpans:
    """`rpc.call_watch.CallTraces`, as spans.

    Args:
        tracer: makes them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._sampled = 0

    def __repr__(self) -> str:
        return f"<CallSpans sampled={self._sampled}>"

    def statistics(self) -> CallSpansStatistics:
        return CallSpansStatistics(self._sampled)

    def begin(self, method: str, context: Context) -> "CallSpan | None":
        """The span of a call that has come; None if it is not sampled."""
        metadata = context.invocation_metadata()
        carrier = {name: value for name, value in metadata if name in FIELDS and isinstance(value, str)}
        parent = self._propagator.extract(carrier)
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        span = self._tracer.start_span(method, parent, kind=SpanKind.SERVER, attributes=attributes)
        if not span.is_recording():
            return None
        self._sampled += 1
        return CallSpan(self._tracer, span)


class CallSpan:
    """One of them."""

    __slots__ = ("_began_ns", "_span", "_tracer", "traceparent")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._began_ns = time.time_ns()
        found = span.get_span_context()
        self.traceparent = f"00-{found.trace_id:032x}-{found.span_id:016x}-01"

    def __repr__(self) -> str:
        return f"<CallSpan {self.traceparent}>"

    def checked(self) -> str:
        """Its request was checked, and goes to the core. Returns the parent of what happens there."""
        within: SpanContext = set_span_in_context(self._span)
        self._tracer.start_span("validation", within, start_time=self._began_ns).end()
        return self.traceparent

    def ended(self, code: int, ids: CallIds) -> None:
        """The call is over."""
        name = CODES.get(code, "UNKNOWN")
        self._span.set_attribute("rpc.response.status_code", name)
        for key, value in ids._asdict().items():
            if value:
                self._span.set_attribute(f"stockkeeper.{key}", value)
        if name in FAILURES:
            self._span.set_attribute("error.type", name)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

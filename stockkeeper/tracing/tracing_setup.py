"""Sets OpenTelemetry up, by its own variables: where spans go (OTEL_EXPORTER_OTLP_ENDPOINT and its like), which calls
are sampled (OTEL_TRACES_SAMPLER), and what the service is called (OTEL_SERVICE_NAME).
"""

import os
from importlib.metadata import version

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from stockkeeper.tracing.call_spans import CallSpans
from stockkeeper.tracing.stage_spans import StageSpans

SAMPLED = 0.01  # of the calls whose caller says nothing, unless OTEL_TRACES_SAMPLER says otherwise
FLUSH_MS = 2_000


class Traces:
    """The traces of one process.

    Args:
        processor: takes the spans.
        sampler: says which; None: by OTEL_TRACES_SAMPLER, or one call of a hundred.
    """

    def __init__(self, processor: SpanProcessor, sampler: Sampler | None = None) -> None:
        if sampler is None and "OTEL_TRACES_SAMPLER" not in os.environ:
            sampler = ParentBased(TraceIdRatioBased(SAMPLED))
        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "stockkeeper"}
        resource = Resource.create({**name, "service.version": version("stockkeeper")})
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        tracer = self._provider.get_tracer("stockkeeper")
        self.calls = CallSpans(tracer)
        self.stages = StageSpans(tracer)

    def __repr__(self) -> str:
        return f"<Traces {self.calls} {self.stages}>"

    def flush(self) -> None:
        """Send what is not sent, for two seconds at most. It blocks."""
        self._provider.force_flush(FLUSH_MS)


def exported_traces() -> Traces:
    """Traces that go where OpenTelemetry's variables say, by OTLP over HTTP."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return Traces(BatchSpanProcessor(OTLPSpanExporter()))

"""What callers do, by the names that OpenTelemetry's conventions give to RPCs where there are any."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from rpc.rpc_server import RpcServerStatistics
from stockkeeper.metrics.metric_families import counter, gauge, histograms

CALL_LABELS = ("rpc_system_name", "rpc_method", "rpc_response_status_code")


def call_metrics(found: RpcServerStatistics) -> Iterable[Metric]:
    yield histograms(
        "rpc_server_call_duration_seconds",
        "How long calls took, by method and status; a stream ends when its client is done with it.",
        CALL_LABELS,
        [(("grpc", one.method, one.code), one.durations_s) for one in found.watched.calls],
    )
    yield gauge("stockkeeper_calls_under_way", "Calls that have no answer yet.", found.calls_under_way)
    yield counter("stockkeeper_calls_turned_away", "Calls that were one too many.", found.calls_turned_away)
    yield counter("stockkeeper_slow_calls", "Calls that took as long as --slow-call-ms says.", found.watched.slow)
    yield gauge("stockkeeper_reservation_streams", "Open ReservationStreams.", found.streams.streams)
    yield gauge("stockkeeper_stream_lines", "Lines of the requests under way on them.", found.streams.lines)
    yield counter("stockkeeper_streams_cut_off", "Streams that had to go.", found.streams.cut_off)
    yield gauge(
        "stockkeeper_large_requests_waiting",
        "Requests of more than 4 KB that wait for their turn.",
        found.large_requests.requests,
    )
    yield gauge(
        "stockkeeper_calls_held",
        "Calls of an organization that has many under way, which wait for those while other organizations call.",
        found.held.calls,
    )

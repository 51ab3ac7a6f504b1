"""What the process does beside: which version it is, and what held its event loop."""

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client.metrics_core import Metric

from rpc.call_watch import OTHER_METHOD
from stockkeeper.metrics.metric_families import counter, counters, gauge, gauges
from stockkeeper.turn_watch import TurnStatistics


def build_metrics() -> Iterable[Metric]:
    yield gauges("stockkeeper_build_info", "Which version this is.", ["version"], [((version("stockkeeper"),), 1)])


def turn_metrics(found: TurnStatistics, methods: Iterable[str]) -> Iterable[Metric]:
    """Of turns that took more than 50 ms of CPU.

    Args:
        methods: the paths that there are here; callers may name any other.
    """
    known, counts = set(methods), dict.fromkeys([("",)], 0.0)
    for method, times in found.by_method:
        name = method.removeprefix("/") if method in known or not method else OTHER_METHOD
        counts[name,] = counts.get((name,), 0) + times
    yield counters(
        "stockkeeper_event_loop_held",
        "Turns of the event loop that took more than 50 ms of CPU, by the method that they served.",
        ["rpc_method"],
        counts.items(),
    )
    yield counter("stockkeeper_event_loop_held_seconds", "The CPU time of these.", found.held_s)
    yield gauge("stockkeeper_event_loop_longest_turn_seconds", "Of the longest of them.", found.longest_s)

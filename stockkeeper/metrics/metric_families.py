"""Short names for what prometheus_client calls metric families."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from actors.buckets import BucketCounts

Labelled = Iterable[tuple[tuple[str, ...], float]]


def counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, labels: Iterable[str], values: Labelled) -> Metric:
    family = CounterMetricFamily(name, text, labels=tuple(labels))
    for of, value in values:
        family.add_metric(of, value)
    return family


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, labels: Iterable[str], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, text, labels=tuple(labels))
    for of, value in values:
        family.add_metric(of, value)
    return family


def histogram(name: str, text: str, counts: BucketCounts) -> Metric:
    return histograms(name, text, (), [((), counts)])


def histograms(
    name: str, text: str, labels: Iterable[str], values: Iterable[tuple[tuple[str, ...], BucketCounts]]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=tuple(labels))
    for of, counts in values:
        family.add_metric(of, _cumulated(counts), counts.total)
    return family


def _cumulated(counts: BucketCounts) -> list[tuple[str, float]]:
    buckets, below = [], 0
    for bound, count in zip((*counts.bounds, float("inf")), counts.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(below)))
    return buckets

"""Each figure of the core stands under its own metric, whatever its neighbours are."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, get_type_hints

import msgspec
import pytest

from actors.buckets import BucketCounts
from stockkeeper.metrics.core_metrics import CoreFigures, core_metrics
from supervisor.core_statistics import Statistics

SHOWN: dict[str, Callable[[Statistics], float]] = {
    "stockkeeper_core_calls_under_way": lambda it: it.calls_under_way,
    "stockkeeper_core_queries_under_way": lambda it: it.queries_under_way,
    "stockkeeper_journal_last_lsn": lambda it: it.journal.last_lsn,
    "stockkeeper_journal_durable_lsn": lambda it: it.journal.durable_lsn,
    "stockkeeper_journal_undurable_entries": lambda it: it.journal.last_lsn - it.journal.durable_lsn,
    "stockkeeper_journal_answers_waiting": lambda it: it.journal.answers_waiting,
    "stockkeeper_journal_batch_transactions_count": lambda it: it.journal_sizes.batch_transactions.values,
    "stockkeeper_journal_batch_transactions_sum": lambda it: it.journal_sizes.batch_transactions.total,
    "stockkeeper_journal_commit_seconds_count": lambda it: it.journal_sizes.commit_s.values,
    "stockkeeper_journal_commit_seconds_sum": lambda it: it.journal_sizes.commit_s.total,
    "stockkeeper_activations variants": lambda it: it.variants.activations,
    "stockkeeper_activations orders": lambda it: it.orders.activations,
    "stockkeeper_activations requests": lambda it: it.requests.activations,
    "stockkeeper_activations transfers": lambda it: it.transfers.activations,
    "stockkeeper_passivated_total variants": lambda it: it.variants.passivated,
    "stockkeeper_loaded_total orders": lambda it: it.order_loads.keys_read,
    "stockkeeper_loads_waiting variants": lambda it: it.variant_loads.wanted,
    "stockkeeper_holds_total": lambda it: it.coordinator.holds,
    "stockkeeper_transactions_turned_down_total": lambda it: it.coordinator.turned_down,
    "stockkeeper_rivals_waiting": lambda it: it.coordinator.waiting,
    "stockkeeper_rival_wait_seconds_count": lambda it: it.coordinator.waits_s.values,
    "stockkeeper_rival_wait_seconds_sum": lambda it: it.coordinator.waits_s.total,
    "stockkeeper_reservations_expired_total": lambda it: it.expiry.expired,
    "stockkeeper_expiries_under_way": lambda it: it.expiry.under_way,
    "stockkeeper_expiries_failed": lambda it: it.expiry.failed,
    "stockkeeper_housekeeping_rows_total": lambda it: it.housekeeping.rows_moved,
    "stockkeeper_housekeeping_failures_total": lambda it: it.housekeeping.failures,
    "stockkeeper_lease_looks_total": lambda it: it.lease.looks,
    "stockkeeper_lease_answers_waiting": lambda it: it.lease.waiting,
    "stockkeeper_database_stalls_total": lambda it: it.heartbeat.stalls,
}


def numbered(kind: Any, numbers: Iterator[int]) -> Any:
    """One whose figures are all different."""
    if kind in (int, float):
        return kind(next(numbers))
    if kind is BucketCounts:
        return BucketCounts((1.0,), (next(numbers), 0), float(next(numbers)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**{name: numbered(hint, numbers) for name, hint in get_type_hints(kind).items()})
    return kind()


@pytest.fixture
def shown() -> tuple[dict[str, float], Statistics]:
    statistics: Statistics = numbered(Statistics, count(1_000))
    figures = CoreFigures(True, False, 2, 7, 0, statistics, None, None)
    samples = [sample for metric in core_metrics(figures) for sample in metric.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}, statistics


def test_each_figure_is_under_its_name(shown: tuple[dict[str, float], Statistics]) -> None:
    values, statistics = shown
    assert {name: values[name] for name in SHOWN} == {name: figure(statistics) for name, figure in SHOWN.items()}
    assert (values["stockkeeper_serving"], values["stockkeeper_epoch"]) == (1, 7)
    assert values["stockkeeper_standing_by"] == 0
    assert values["stockkeeper_incarnations_total"] == 2


def test_a_core_that_does_not_run_says_so_and_no_more() -> None:
    samples = [
        sample
        for metric in core_metrics(CoreFigures(False, True, 3, 0, 0, None, None, None))
        for sample in metric.samples
    ]
    assert {sample.name: sample.value for sample in samples} == {
        "stockkeeper_serving": 0,
        "stockkeeper_standing_by": 1,
        "stockkeeper_epoch": 0,
        "stockkeeper_incarnations_total": 3,
    }

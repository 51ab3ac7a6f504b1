"""What the core does: the journal, what is in memory, holds, expiries, relays, and who owns the database."""

from collections.abc import Iterable
from typing import NamedTuple

import anyio
from prometheus_client.metrics_core import Metric

from actors.activity import Activity
from actors.history_feed import CursorList, CursorView
from actors.queries import GetActivity, ListCursors
from actors.unavailable import Unavailable
from rpc.messages.activity_messages import reason_of
from stockkeeper.metrics.metric_families import counter, counters, gauge, gauges, histogram
from supervisor.core_statistics import Statistics
from supervisor.supervisor import Supervisor

ASKED_FOR_S = 1.0  # a database that does not answer must not keep the rest from being shown
CURSORS_MAX = 100


class CoreFigures(NamedTuple):
    """What a core has to say of itself; None where it does not run, or its database does not answer."""

    is_serving: bool
    is_standing_by: bool
    incarnations: int
    epoch: int
    now_ms: int
    statistics: Statistics | None
    activity: Activity | None
    cursors: CursorList | None


async def look_at_core(supervisor: Supervisor, now_ms: int) -> CoreFigures:
    """Ask it. It is asked in its event loop, and answers in a moment."""
    activity, cursors = None, None
    try:
        with anyio.move_on_after(ASKED_FOR_S):
            activity = await supervisor.answer(GetActivity("")).wait()
            cursors = await supervisor.answer(ListCursors("")).wait()
    except Unavailable:
        pass  # that it does not serve is said below
    ownership = supervisor.ownership
    return CoreFigures(
        supervisor.serving,
        bool(supervisor.waits_for),
        supervisor.incarnations,
        ownership.epoch if ownership is not None else 0,
        now_ms,
        supervisor.statistics(),
        activity,
        cursors,
    )


def core_metrics(found: CoreFigures) -> Iterable[Metric]:
    yield gauge("stockkeeper_serving", "Whether calls are served: 1 or 0.", found.is_serving)
    yield gauge(
        "stockkeeper_standing_by",
        "Whether it waits for the server that has the database: 1 or 0.",
        found.is_standing_by,
    )
    yield gauge("stockkeeper_epoch", "Of the ownership of the database; each start raises it.", found.epoch)
    yield counter(
        "stockkeeper_incarnations", "Times that the core was started, at first and after failures.", found.incarnations
    )
    if found.statistics is not None:
        yield from _journal(found.statistics)
        yield from _memory(found.statistics)
        yield from _holds(found.statistics)
        yield from _background(found.statistics)
    if found.activity is not None:
        yield from _refusals(found.activity)
    if found.cursors is not None:
        yield from _relays(found.cursors.cursors[:CURSORS_MAX], found.now_ms)


def _journal(found: Statistics) -> Iterable[Metric]:
    journal, sizes = found.journal, found.journal_sizes
    yield gauge("stockkeeper_core_calls_under_way", "Commands without an answer.", found.calls_under_way)
    yield gauge("stockkeeper_core_queries_under_way", "Questions without an answer.", found.queries_under_way)
    yield gauge("stockkeeper_journal_last_lsn", "The newest transaction.", journal.last_lsn)
    yield gauge("stockkeeper_journal_durable_lsn", "The newest that is durable.", journal.durable_lsn)
    yield gauge(
        "stockkeeper_journal_undurable_entries",
        "Transactions that are decided and not durable yet.",
        journal.last_lsn - journal.durable_lsn,
    )
    yield gauge("stockkeeper_journal_answers_waiting", "Answers that wait for that.", journal.answers_waiting)
    yield histogram("stockkeeper_journal_batch_transactions", "Transactions a batch.", sizes.batch_transactions)
    yield histogram("stockkeeper_journal_commit_seconds", "How long a batch took to be durable.", sizes.commit_s)


def _memory(found: Statistics) -> Iterable[Metric]:
    kinds = {
        "variants": found.variants,
        "orders": found.orders,
        "requests": found.requests,
        "transfers": found.transfers,
    }
    yield gauges(
        "stockkeeper_activations",
        "What is in memory.",
        ["kind"],
        [((kind,), one.activations) for kind, one in kinds.items()],
    )
    yield counters(
        "stockkeeper_passivated",
        "What was dropped from memory.",
        ["kind"],
        [((kind,), one.passivated) for kind, one in kinds.items()],
    )
    loads = {"variants": found.variant_loads, "orders": found.order_loads}
    yield counters(
        "stockkeeper_loaded", "What was read.", ["kind"], [((kind,), one.keys_read) for kind, one in loads.items()]
    )
    yield gauges(
        "stockkeeper_loads_waiting",
        "What waits to be read.",
        ["kind"],
        [((kind,), one.wanted) for kind, one in loads.items()],
    )


def _holds(found: Statistics) -> Iterable[Metric]:
    coordinator = found.coordinator
    yield counter("stockkeeper_holds", "Holds that rows have granted.", coordinator.holds)
    yield counter("stockkeeper_transactions_turned_down", "Transactions that a row refused.", coordinator.turned_down)
    yield gauge("stockkeeper_rivals_waiting", "Transactions that wait for a rival's decision.", coordinator.waiting)
    yield histogram("stockkeeper_rival_wait_seconds", "How long they waited.", coordinator.waits_s)


def _background(found: Statistics) -> Iterable[Metric]:
    yield counter("stockkeeper_reservations_expired", "Reservations that ran out.", found.expiry.expired)
    yield gauge("stockkeeper_expiries_under_way", "Orders that are asked to expire now.", found.expiry.under_way)
    yield gauge("stockkeeper_expiries_failed", "Orders that failed to, and are asked again.", found.expiry.failed)
    yield counter("stockkeeper_housekeeping_rows", "Rows that were moved out.", found.housekeeping.rows_moved)
    yield counter("stockkeeper_housekeeping_failures", "Steps of that which failed.", found.housekeeping.failures)
    yield counter("stockkeeper_lease_looks", "Looks at the database that found it ours.", found.lease.looks)
    yield gauge("stockkeeper_lease_answers_waiting", "Answers that wait for such a look.", found.lease.waiting)
    yield counter("stockkeeper_database_stalls", "Times that the database hung.", found.heartbeat.stalls)


def _refusals(activity: Activity) -> Iterable[Metric]:
    counts: dict[tuple[str, ...], float] = {}
    for one in activity.refusals:  # two kinds may have one reason
        counts[reason_of(one.name),] = counts.get((reason_of(one.name),), 0) + one.count
    yield counters("stockkeeper_refusals", "Refusals, by their reason.", ["reason"], counts.items())


def _relays(cursors: Iterable[CursorView], now_ms: int) -> Iterable[Metric]:
    every = [((one.record.name,), one) for one in cursors]
    yield gauges(
        "stockkeeper_relay_lag_transactions",
        "Transactions that a relay has not passed on.",
        ["cursor"],
        [(of, one.behind) for of, one in every],
    )
    yield gauges(
        "stockkeeper_relay_lag_seconds",
        "How old the first of them is.",
        ["cursor"],
        [(of, max(0, now_ms - one.waiting_since_ms) / 1_000 if one.waiting_since_ms else 0) for of, one in every],
    )
    yield gauges(
        "stockkeeper_relay_running",
        "Whether a relay has the cursor.",
        ["cursor"],
        [(of, one.is_held) for of, one in every],
    )
    yield counters(
        "stockkeeper_relay_published",
        "Events that were published.",
        ["cursor"],
        [(of, one.record.published) for of, one in every],
    )
    yield counters(
        "stockkeeper_relay_unroutable",
        "Events for which nothing was bound.",
        ["cursor"],
        [(of, one.record.unroutable) for of, one in every],
    )

"""A look into a running server's memory: the one place that knows the core's private names."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from unittest import mock

import supervisor.activations.order_directory
import supervisor.activations.request_directory
import supervisor.background.housekeeping
import supervisor.transactions.chunks
import supervisor.transactions.journal
from simulation.disks.watched_disk import WatchedDisk
from supervisor.activations.bloom_filter import KnownKeys
from supervisor.activations.stock_directory import VariantStock
from supervisor.order_actor import OrderActor
from supervisor.supervisor import Supervisor

FILTER_BITS = 1 << 11


@contextmanager
def small_scale() -> Iterator[None]:
    """Filters of known keys so small that they are often wrong, which is to cost a read and nothing else; steps so
    small that others have their turn in the middle of every import; housekeeping in steps as small, for which a
    day is a second; and a journal for which three callers are a crowd.

    The real filters take 2 ms to make, more than everything else in an incarnation.
    """
    small_filters = partial(KnownKeys, bits=FILTER_BITS, hash_key=_stable_hash)
    with (
        mock.patch.object(supervisor.activations.order_directory, "KnownKeys", small_filters),
        mock.patch.object(supervisor.activations.request_directory, "KnownKeys", small_filters),
        mock.patch.object(supervisor.transactions.chunks, "ROWS_A_STEP", 2),
        mock.patch.object(supervisor.background.housekeeping, "ROWS_A_STEP", 5),
        mock.patch.object(supervisor.transactions.journal, "CROWD_MIN", 3),
        mock.patch.object(supervisor.background.housekeeping, "DAY_MS", 1_000),
    ):
        yield


def _stable_hash(key: tuple[str, str]) -> int:
    """The same in every process, so that the same seed is wrong about the same keys."""
    return int.from_bytes(blake2b("\0".join(key).encode(), digest_size=8).digest(), "little")


def look_at(supervisor: Supervisor, disk: WatchedDisk) -> Iterator[str]:
    """What is wrong in memory while nothing is under way, a sentence each."""
    core = supervisor._core
    if core is None:
        yield "the server does not serve"
        return
    if core._open_calls:
        yield f"{len(core._open_calls)} calls are still open"
    if core.journal.undurable_entries:
        yield f"{core.journal!r} has undurable entries"
    for variant in core.stock._directory.activations():
        yield from _variant(variant, disk)
    for order in core.orders._directory.activations():
        yield from _order(order, disk)


def _variant(variant: VariantStock, disk: WatchedDisk) -> Iterator[str]:
    if not variant.loaded.is_done:
        yield f"{variant!r} is not loaded"
    if variant.pins:
        yield f"{variant!r} is pinned, so holds may be left"
    on_disk = disk.rows_by_variant.get(variant.key, [])
    for key in on_disk:
        if variant.loaded.is_done and key.warehouse_id not in variant.rows:
            yield f"memory has no row {key}"
    for row in variant.rows.values():
        state = row.state
        if state.holds:
            yield f"a hold is left: {row!r} {state.holds!r}"
        if row._waiting or not row.is_idle:
            yield f"{row!r} has messages that wait for a hold"
        kept = disk.stock.get(state.record.key)
        if kept is None:
            if state.record.exists:
                yield f"the disk has no row {state.record.key}"
        elif state.record != kept or state.durable != kept:
            yield f"memory has {state.record}, durable {state.durable}, the disk {kept}"


def _order(order: OrderActor, disk: WatchedDisk) -> Iterator[str]:
    if not order.is_idle:
        yield f"{order!r} is not idle"
    if order._load is not None:
        return
    organization_id = order.key.organization_id
    ids = disk.reservations_by_order.get(order.key, [])
    if [one for one in order.reservations if (organization_id, one) not in disk.moved] != ids:
        yield f"{order!r} has reservations {list(order.reservations)}, the disk {ids}"
        return
    for reservation_id, reservation in order.reservations.items():
        key = (organization_id, reservation_id)
        kept = disk.moved.get(key) or disk.reservations[key]
        if kept != reservation:
            yield f"memory has {reservation}, the disk {kept}"

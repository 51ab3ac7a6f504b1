"""A look into a running server's memory: the one place that knows the core's private names."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from unittest import mock

import actors.basket
import actors.bounds
import actors.packing
import supervisor.activations.order_directory
import supervisor.activations.request_directory
import supervisor.background.housekeeping
import supervisor.transactions.chunks
import supervisor.transactions.folding
import supervisor.transactions.importing
import supervisor.transactions.journal
import supervisor.transactions.large_imports
import supervisor.transactions.uploads
from actors.order_actor import OrderActor
from actors.variant_stock import VariantStock
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import LATE_S_MAX
from simulation.world.leftovers import expiries_left, leftovers
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.activations.stock_directory import StockDirectory
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.background.row_claims import what_of
from supervisor.incarnation import Incarnation
from supervisor.supervisor import Supervisor

FILTER_BITS = 1 << 11


@contextmanager
def small_scale(crowd_min: int = 3) -> Iterator[None]:
    """Within this block the core works on a small scale, so that rare cases happen often.

    Filters of known keys are small enough to be wrong often, which may cost a read and nothing else. Imports,
    housekeeping and packing go in short steps, with others' turns between them. A day of housekeeping is a second.
    Three callers, or `crowd_min`, are a crowd for the journal. (The real filters take 2 ms to make, more than the rest
    of an incarnation.)
    """
    small_filters = partial(BloomFilter, bits=FILTER_BITS, hash_key=_stable_hash)
    with (
        mock.patch.object(supervisor.activations.order_directory, "BloomFilter", small_filters),
        mock.patch.object(supervisor.activations.request_directory, "BloomFilter", small_filters),
        mock.patch.object(supervisor.transactions.chunks, "ROWS_MAX", 2),
        mock.patch.object(supervisor.transactions.large_imports, "LINES_A_LOOK", 2),
        mock.patch.object(supervisor.transactions.folding, "LINES_A_STEP", 2),
        mock.patch.object(supervisor.transactions.folding, "REST_S", 0.3),
        mock.patch.object(supervisor.transactions.uploads, "LINES_A_DROP", 2),
        mock.patch.object(supervisor.transactions.uploads, "IDLE_S", 4.0),
        mock.patch.object(actors.packing, "PACKING_STEPS_A_TURN", 2),
        mock.patch.object(actors.packing, "ROWS_A_TURN", 1),
        mock.patch.object(actors.basket, "LINES_A_TURN", 2),
        mock.patch.object(supervisor.background.expiry_hints, "AT_ONCE_MAX", 2),
        mock.patch.object(supervisor.background.housekeeping, "ROWS_A_STEP", 5),
        mock.patch.object(supervisor.transactions.journal, "CROWD_MIN", crowd_min),
        mock.patch.object(supervisor.background.housekeeping, "DAY_MS", 1_000),
        mock.patch.object(supervisor.background.housekeeping, "MARGIN_MS", LATE_S_MAX * 1_000),
    ):
        yield


@contextmanager
def short_lists() -> Iterator[None]:
    """Within this block the refusal of an import names two bad lines, so that it often leaves some out."""
    with (
        mock.patch.object(actors.bounds, "LINE_ERRORS_MAX", 2),
        mock.patch.object(supervisor.transactions.importing, "LINE_ERRORS_MAX", 2),
    ):
        yield


def _stable_hash(key: tuple[str, str]) -> int:
    """The same in every process: one seed has the same false positives everywhere."""
    return int.from_bytes(blake2b("\0".join(key).encode(), digest_size=8).digest(), "little")


def hints_since_lsn(supervisor: Supervisor) -> int:
    """What a server has decided so far, if it has learned from the database which reservations are active, so that its
    hints are exact from now on; else -1. Refusals that it decided before, durable or not, had none to give.
    """
    core = supervisor._core
    return core.journal.last_lsn if core is not None and core._hints._changed is None else -1


def look_at(supervisor: Supervisor, disk: WatchedDisk) -> Iterator[tuple[str, str]]:
    """Look at a server's memory while nothing is under way.

    Yields:
        A guarantee and a sentence for each thing that is wrong.
    """
    core = supervisor._core
    if core is None:
        yield "G10", "the server does not serve"
        return
    for sentence in _unlike(core, disk):
        yield "G2" if "hold" in sentence else "G3", sentence
    if disk.staged.lines or disk.staged.decided:
        yield "nothing is left over", f"{disk.staged!r} keeps lines of imports that are over"
    for sentence in (*leftovers(core), *expiries_left(core)):
        yield "nothing is left over", sentence


def _unlike(core: Incarnation, disk: WatchedDisk) -> Iterator[str]:
    """What memory has that is not so on the disk."""
    yield from _claims(core._hints, disk)
    yield from _names(core.stock, disk)
    for variant in core.stock._directory.activations():
        yield from _variant(variant, disk)
    for order in core.orders._directory.activations():
        yield from _order(order, disk)
    for actor in core.transfers._directory.activations():
        if actor._is_loaded and actor.transfer != disk.transfers.get(actor.key):
            yield f"memory has {actor.transfer}, the disk {disk.transfers.get(actor.key)}"
        if not actor.is_idle:
            yield f"{actor!r} is not idle"
    for request in core.requests._directory.activations():
        kept = disk.requests.get(request.key)
        if request._record is not None and kept is not None and request._record != kept:
            yield f"memory has {request._record}, the disk {kept}"


def _claims(hints: ExpiryHints, disk: WatchedDisk) -> Iterator[str]:
    """Only active reservations have claims, and once they were learned all of them do."""
    if hints._aside:
        yield f"{hints!r} is still to note something"
    known = sorted((key, claim) for key, claims in hints._claims.items() for claim in claims)
    active = [disk.reservations[entry[1:]] for entry in disk.active]
    claims = sorted(
        (
            (one.organization_id, item.variant_id, item.warehouse_id),
            (one.expires_at_ms, what_of(one.reservation_id) | item.quantity),
        )
        for one in active
        for item in one.items
    )
    if hints._changed is not None:
        known = [claim for claim in known if claim not in claims]
        claims = []
    if known != claims:
        yield f"the hints have the claims {known}, active reservations {claims}"


def _names(stock: StockDirectory, disk: WatchedDisk) -> Iterator[str]:
    registry, on_disk = stock.warehouses, disk.warehouses
    closed = {key for key, warehouse in on_disk.items() if not warehouse.is_active}
    for what, known, sourcing in (
        ("shown", registry.durable, registry.durable_sourcing),
        ("decided", registry.decided, registry.sourcing),
    ):
        flat = {(organization, one): its[one] for organization, its in known.items() for one in its}
        if flat != on_disk:
            yield f"the warehouses {what} are {flat}, the disk has {on_disk}"
        if {(organization, one) for organization, its in sourcing.items() for one in its.closed} != closed:
            yield f"the closed warehouses {what} are {sourcing}, the disk has {closed}"
        policies = {
            one: its.policy for one, its in sourcing.items() if one in disk.sourcing or its.policy != "most_stock"
        }
        if policies != {one: record.policy for one, record in disk.sourcing.items()}:
            yield f"the policies {what} are {sourcing}, the disk has {disk.sourcing}"


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

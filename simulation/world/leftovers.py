"""What is left in a core's memory when nothing is under way: every count is 0 and every index is empty, or names only
what is there. It knows the core's private names, as `inspection.py` does.
"""

from collections.abc import Iterator, Sized
from typing import Any

from supervisor.activations.directory import Directory
from supervisor.activations.request_directory import RequestDirectory
from supervisor.activations.transfer_directory import TransferDirectory
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.incarnation import Incarnation


def leftovers(core: Incarnation) -> Iterator[str]:
    """Yields a sentence for each thing that should have gone with the calls that brought it."""
    for what, left in _counted(core):
        if left:
            yield f"{len(left)} {what} are left: {left!r}"
    if core.journal.undurable_entries:
        yield f"{core.journal!r} has undurable entries"
    if core.journal._wakes_at != 1:
        yield f"the journal is woken by {core.journal._wakes_at} entries"
    if core.journal.batch_began_s is not None:
        yield "the journal takes a batch for under way"
    yield from _activations(core)
    yield from _index_of_orders(core)
    yield from _lines_of_transfers(core.transfers)
    yield from _hints(core._hints)


def expiries_left(core: Incarnation) -> Iterator[str]:
    """Yields a sentence for each thing that expiry should have finished. It tries an order that met a bug for ever."""
    if core.expiry._under_way:
        yield f"{len(core.expiry._under_way)} expiries are under way: {core.expiry._under_way!r}"
    if core.expiry._failed:
        yield f"{len(core.expiry._failed)} expiries failed: {core.expiry._failed!r}"


def _counted(core: Incarnation) -> Iterator[tuple[str, Sized]]:
    yield "open calls", core._open_calls
    yield "open queries", core._open_queries
    yield "entries of the journal", core.journal._entries
    yield "answers in the journal", core.journal._answers
    yield "waiters for what is durable", core.journal._durable_waiters
    yield "waiters for a proof of ownership", core.lease._waiting
    yield "wanted variants", core.stock.loader._wanted
    yield "wanted orders", core.orders.loader._wanted
    yield "loads of orders", core.orders._loading
    yield "loads that an import holds up", core.stock._held_loads
    yield "organizations that are shut", core.stock._shut
    yield "uploads", core.uploads._open
    yield "uploads that are being decided", core.uploads._taken
    yield "imports to be folded", core.folding._open


def _activations(core: Incarnation) -> Iterator[str]:
    directories: tuple[Directory[Any, Any], ...] = (
        core.stock._directory,
        core.orders._directory,
        core.requests._directory,
    )
    for directory in directories:
        for activation in directory.activations():
            if not activation.is_quiet:
                yield f"{activation!r} is not quiet"
    for variant in core.stock._directory.activations():
        if variant.waits:
            yield f"{len(variant.waits)} calls wait for {variant!r} to be loaded"
        if variant.has_unmade_rows or any(not row.state.record.exists for row in variant.rows.values()):
            yield f"{variant!r} keeps rows that were not made"
    yield from _requests(core.requests)


def _requests(requests: RequestDirectory) -> Iterator[str]:
    for request in requests._directory.activations():
        if request._record is not None and request._record.key != request.key:
            yield f"{request!r} keeps the answer of {request._record.key}"


def _index_of_orders(core: Incarnation) -> Iterator[str]:
    in_memory = {
        (order.key.organization_id, reservation_id): order.key
        for order in core.orders._directory.activations()
        for reservation_id in order.reservations
    }
    index = core.orders._order_of_reservation
    if index != in_memory:
        yield f"the index of reservations is {index}, those in memory are {in_memory}"


def _lines_of_transfers(transfers: TransferDirectory) -> Iterator[str]:
    its = {one.key: one.transfer for one in transfers._directory.activations() if one.transfer is not None}
    lines = {key: len(transfer.lines) for key, transfer in its.items()}
    if (transfers._lines_of, transfers._lines) != (lines, sum(lines.values())):
        yield f"the lines of transfers are counted as {transfers._lines_of}, those in memory are {lines}"


def _hints(hints: ExpiryHints) -> Iterator[str]:
    if not all(hints._claims.values()):
        yield f"{hints!r} keeps rows without claims"
    if len(hints) != sum(len(claims) for claims in hints._claims.values()):
        yield f"{hints!r} counts wrong"

"""A second opinion on short histories: is there any order at all that explains the answers?

The search of Wing and Gong (1993) with Lowe's memoisation (2017). It knows nothing of the journal and its LSNs, and
has a model of the service of its own, so a mistake in the auditor's model shows as a disagreement. Its time is
exponential in the worst case: it takes histories of a few dozen operations. Time does not pass in its model: nothing
expires.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from actors import queries
from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Confirm,
    Deduct,
    Delete,
    Extend,
    Fulfill,
    GoodsCommand,
    Import,
    Line,
    OfReservation,
    Reacquire,
    Receive,
    Release,
    Reserve,
)
from actors.outcomes import (
    BasketReserved,
    ImportRejected,
    InsufficientStock,
    RequestIdReused,
    ReservationExists,
    StockAdjusted,
    StockDeducted,
    StockDeleted,
    StockImported,
    StockNotFound,
    StockReserved,
)
from actors.queries import (
    CheckBasket,
    ExplainBasket,
    FindStock,
    GetReservation,
    GetSourcing,
    GetStock,
    GetTransfer,
    ListReservations,
    ListStock,
    ListTransfers,
    ListWarehouses,
)
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from actors.warehouse_outcomes import SourcingSet, WarehouseInactive
from simulation.audit.basket_model import asked_for, fits, is_checked_so, is_explained_so, unknown, wanted_by
from simulation.audit.goods_model import Row, RowKey, is_deleted_so, rows_after
from simulation.audit.history import Operation
from simulation.audit.reservation_model import Booking, is_found_so, move, release_lost
from simulation.audit.transfer_model import Sent, after_transfer, is_told_so
from simulation.audit.warehouse_model import (
    are_found,
    closed_after,
    closed_lines,
    is_closed_so,
    is_listed_so,
    levels_after,
    open_rows,
)

STATES_MAX = 200_000


class Model(NamedTuple):
    """A state of the service: sorted tuples, so that equal states are equal."""

    rows: tuple[tuple[RowKey, Row], ...] = ()
    levels: tuple[tuple[RowKey, tuple[int, int]], ...] = ()  # the least and the most of a row
    bookings: tuple[tuple[tuple[str, str], Booking], ...] = ()
    latest: tuple[tuple[tuple[str, str], str], ...] = ()
    requests: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = ()
    closed: tuple[tuple[str, str], ...] = ()  # warehouses that are not active
    transfers: tuple[tuple[tuple[str, str], Sent], ...] = ()
    policies: tuple[tuple[str, str], ...] = ()


class TooLong(Exception):
    """The search was given up."""


def is_linearizable(history: Sequence[Operation]) -> bool:
    """Whether some order that respects real time explains all answers.

    Raises:
        TooLong: the search was given up without an answer.
    """
    operations = sorted(history, key=lambda operation: operation.begin)
    everything = (1 << len(operations)) - 1
    seen: set[tuple[int, Model]] = set()
    stack: list[tuple[int, Model]] = [(0, Model())]
    while stack:
        done, model = stack.pop()
        if done == everything:
            return True
        first_end = min(o.end for i, o in enumerate(operations) if not done >> i & 1)
        for i, operation in enumerate(operations):
            if done >> i & 1 or operation.begin > first_end:
                continue
            after = apply(model, operation.request, operation.answer)
            if after is not None and (key := (done | 1 << i, after)) not in seen:
                seen.add(key)
                if len(seen) > STATES_MAX:
                    raise TooLong
                stack.append(key)
    return False


def _owner_of(request: Any) -> str:
    """The organization, or organizations, that the request's id belongs to."""
    if isinstance(request, Import):
        return " and ".join(sorted({line.organization_id for line in request.lines}))
    organization: str = request.organization_id
    return organization


def apply(model: Model, request: Any, answer: Any) -> Model | None:
    """The state after the request if it may have been answered so in this state; else None."""
    request_id = getattr(request, "request_id", "")
    if not request_id:
        return _carry_out(model, request, answer)
    key = (_owner_of(request), request_id)
    known = dict(model.requests).get(key)
    if known is not None:
        if known[0] != repr(request):
            return model if isinstance(answer, RequestIdReused) else None
        return model if known[1] == repr(answer) else None
    after = _carry_out(model, request, answer)
    if after is None:
        return None
    return after._replace(requests=_put(after.requests, key, (repr(request), repr(answer))))


def _carry_out(model: Model, request: Any, answer: Any) -> Model | None:
    if isinstance(request, queries.HistoryQuery):
        return model  # it has no past
    match request:
        case Reserve():
            return _reserve(model, request, answer)
        case ReserveBasket():
            return _reserve_basket(model, request, answer)
        case Confirm() | Release() | Fulfill() | Extend() | Amend() | Reacquire():
            return _move(model, request, answer)
        case GetReservation():
            booking = dict(model.bookings).get((request.organization_id, request.reservation_id))
            return model if is_found_so(booking, answer) else None
        case Receive() | Announce() | Deduct() | Adjust():
            return _goods(model, request, answer)
        case Delete():
            return _delete(model, request, answer)
        case UpsertWarehouse():
            closed = closed_after(model.closed, request, answer)
            return None if closed is None else model._replace(closed=closed)
        case SetSourcing():
            return policy_after(model, request, answer)
        case GetSourcing():
            is_set = dict(model.policies).get(request.organization_id, "most_stock") == answer.policy
            return model if is_set else None
        case SetLevels():
            levels = levels_after(dict(model.rows), dict(model.levels), request, answer)
            return None if levels is None else model._replace(levels=tuple(sorted(levels.items())))
        case ListWarehouses():
            return model if is_listed_so(model.closed, request, answer) else None
        case Import():
            return _import(model, request, answer)
        case CheckBasket():
            return model if is_checked_so(dict(model.rows), model.closed, request, answer) else None
        case ExplainBasket():
            return model if is_explained_so(dict(model.rows), model.closed, request, answer) else None
        case GetStock() | ListStock():
            return model if _is_listed(model, request, answer) else None
        case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
            moved = after_transfer(dict(model.rows), dict(model.transfers), model.closed, request, answer)
            if moved is None:
                return None
            return model._replace(rows=tuple(sorted(moved[0].items())), transfers=tuple(sorted(moved[1].items())))
        case GetTransfer() | ListTransfers():
            return model if is_told_so(dict(model.transfers), request, answer) else None
        case FindStock():
            return model if are_found(dict(model.rows), answer) else None
        case ListReservations():
            return model if _are_reservations(model, request, answer) else None
    raise AssertionError(request)


def policy_after(model: Model, request: SetSourcing, answer: Any) -> Model | None:
    """The policy is kept and told. To a basket this model lets any warehouse be chosen that has enough."""
    if answer != SourcingSet(request.policy):
        return None
    return model._replace(policies=_put(model.policies, request.organization_id, request.policy))


def _reserve(model: Model, request: Reserve, answer: Any) -> Model | None:
    rows, bookings = dict(model.rows), dict(model.bookings)
    order = (request.organization_id, request.order_id)
    latest = dict(model.latest).get(order)
    booking = bookings.get((order[0], latest)) if latest is not None else None
    asked = _asked(request.lines)
    if booking is not None and booking.state in ("active", "confirmed", "fulfilled"):
        if booking.asked == asked:
            is_same = isinstance(answer, StockReserved) and (
                (answer.reservation.reservation_id, answer.reservation.state) == (latest, booking.state)
            )
            return model if is_same else None
        if booking.state != "fulfilled":
            return model if answer == ReservationExists(latest or "") else None
    is_refused = is_closed_so(request, answer, model.closed)
    if is_refused is not None:
        return model if is_refused else None
    if isinstance(answer, StockReserved):
        return _book(model, request, answer, rows, asked)
    return model if _is_short(model, request, answer) else None


def _is_short(model: Model, request: Reserve | Deduct, answer: Any) -> bool:
    """Whether a basket is refused so."""
    rows = dict(model.rows)
    able = open_rows(rows, model.closed)
    if isinstance(answer, StockNotFound):
        return unknown(rows, request) == (answer.variant_id, answer.warehouse_id)
    is_short = unknown(rows, request) is None and not fits(able, request.organization_id, request.lines)
    if not isinstance(answer, InsufficientStock) or not is_short:
        return False
    for short in answer.shortages:
        row = able.get((request.organization_id, short.variant_id, short.warehouse_id))
        if (row is None and short.warehouse_id) or short.available != (row[0] if row is not None else 0):
            return False
    return True


def _reserve_basket(model: Model, request: ReserveBasket, answer: Any) -> Model | None:
    """How much of a basket there was, and from where it comes, is the auditor's to say."""
    order, asked = (request.organization_id, request.order_id), wanted_by(request)
    latest = dict(model.latest).get(order)
    booking = dict(model.bookings).get((order[0], latest)) if latest is not None else None
    if booking is not None and booking.state in ("active", "confirmed", "fulfilled"):
        if booking.asked == asked:
            is_same = isinstance(answer, BasketReserved) and answer.reservation.reservation_id == latest
            return model if is_same else None
        if booking.state != "fulfilled":
            return model if answer == ReservationExists(latest or "") else None
    if isinstance(answer, BasketReserved):
        return _book(model, request, answer, dict(model.rows), asked)
    return model if isinstance(answer, InsufficientStock | StockNotFound | WarehouseInactive) else None


def _book(
    model: Model,
    request: Reserve | ReserveBasket,
    answer: StockReserved | BasketReserved,
    rows: dict[RowKey, Row],
    wanted: tuple[tuple[str, str, int], ...],
) -> Model | None:
    reservation = answer.reservation
    order = (request.organization_id, request.order_id)
    key = (order[0], reservation.reservation_id)
    if reservation.state != "active" or asked_for(reservation) != wanted or key in dict(model.bookings):
        return None
    for item in reservation.items:
        place = (order[0], item.variant_id, item.warehouse_id)
        row = rows.get(place)
        is_open = (order[0], item.warehouse_id) not in model.closed
        if row is None or not is_open or row[0] < item.quantity or row[0] != item.stock_before:
            return None
        rows[place] = (row[0] - item.quantity, row[1] + item.quantity, row[2], row[3])
    pieces = tuple((i.variant_id, i.warehouse_id, i.quantity) for i in reservation.items)
    return model._replace(
        rows=tuple(sorted(rows.items())),
        bookings=_put(model.bookings, key, Booking(request.order_id, "active", pieces, wanted)),
        latest=_put(model.latest, order, reservation.reservation_id),
    )


def _move(model: Model, request: OfReservation, answer: Any) -> Model | None:
    key = (request.organization_id, request.reservation_id)
    moved = move(dict(model.rows), key, dict(model.bookings).get(key), request, answer)
    if moved is None or moved[1] is None:
        return None if moved is None else model
    rows, booking = moved
    return model._replace(rows=tuple(sorted(rows.items())), bookings=_put(model.bookings, key, booking))


def _goods(model: Model, request: GoodsCommand, answer: Any) -> Model | None:
    before = dict(model.rows)
    if isinstance(request, Deduct) and (is_refused := is_closed_so(request, answer, model.closed)) is not None:
        return model if is_refused else None
    bookings = dict(model.bookings)
    if isinstance(answer, StockAdjusted) and not release_lost(before, bookings, request, answer):
        return None
    rows = rows_after(before, request, answer, lambda request, answer: _is_short(model, request, answer))
    if isinstance(request, Deduct) and isinstance(answer, StockDeducted):
        rows = None if closed_lines(replace(request, lines=answer.lines), model.closed) else rows
    if rows is None:
        return None
    return model._replace(rows=tuple(sorted(rows.items())), bookings=tuple(sorted(bookings.items())))


def _delete(model: Model, request: Delete, answer: Any) -> Model | None:
    rows, levels = dict(model.rows), dict(model.levels)
    if not is_deleted_so(rows, request, answer):
        return None
    if isinstance(answer, StockDeleted):
        for of_row in (rows, levels):
            of_row.pop((request.organization_id, request.variant_id, request.warehouse_id), None)
    return model._replace(rows=tuple(sorted(rows.items())), levels=tuple(sorted(levels.items())))


def _import(model: Model, request: Import, answer: Any) -> Model | None:
    rows, levels = dict(model.rows), dict(model.levels)
    counted: dict[RowKey, Row] = {}
    bad = []
    for line in request.lines:
        key = (line.organization_id, line.variant_id, line.warehouse_id)
        row = rows.get(key, (0, 0, 0, 0))
        reserved = row[1]
        total = sum(row) if line.total is None else line.total
        damaged = row[2] if line.damaged is None else line.damaged
        in_transit = row[3] if line.in_transit is None else line.in_transit
        counted[key] = (total - reserved - damaged - in_transit, reserved, damaged, in_transit)
        least, most = levels.get(key, (0, 0))
        least = least if line.min_stock is None else line.min_stock
        most = most if line.max_stock is None else line.max_stock
        levels[key] = least, most
        if counted[key][0] < 0 or 0 < most < least:
            bad.append(line.line_number)
    if bad:
        if not isinstance(answer, ImportRejected) or answer.errors_total != len(bad):
            return None
        return model if [error.line_number for error in answer.errors] == bad[: len(answer.errors)] else None
    if not isinstance(answer, StockImported) or answer.lines != len(request.lines):
        return None
    rows |= counted
    created = len(rows) - len(model.rows)
    after = model._replace(rows=tuple(sorted(rows.items())), levels=tuple(sorted(levels.items())))
    return after if answer.rows_created == created else None


def _is_listed(model: Model, request: GetStock | ListStock, answer: Any) -> bool:
    expected = [
        (key, row)
        for key, row in model.rows
        if key[0] == request.organization_id
        and request.variant_id in ("", key[1])
        and request.warehouse_id in ("", key[2])
        and (not isinstance(request, ListStock) or request.after is None or key > request.after)
    ]
    if isinstance(request, ListStock):
        expected = expected[: request.limit]
    records = [view.record for view in answer.stock]
    return expected == [(tuple(r.key), (r.available, r.reserved, r.damaged, r.in_transit)) for r in records]


def _are_reservations(model: Model, request: ListReservations, answer: Any) -> bool:
    expected = [
        (reservation, booking.state)
        for (organization, reservation), booking in reversed(model.bookings)
        if organization == request.organization_id
        and request.state in (None, booking.state)
        and request.order_id in ("", booking.order)
        and (not request.before or reservation < request.before)
    ]
    found = [(r.reservation_id, r.state) for r in answer.reservations]
    if request.is_sifted:  # which of them are wanted is the auditor's to say
        return all(one in expected for one in found)
    return expected[: len(found)] == found and (bool(answer.next_before) or found == expected)


def _asked(lines: Sequence[Line]) -> tuple[tuple[str, str, int], ...]:
    return tuple(sorted((line.variant_id, line.warehouse_id, line.quantity) for line in lines))


def _put(items: tuple[Any, ...], key: Any, value: Any) -> tuple[Any, ...]:
    return tuple(sorted({**dict(items), key: value}.items()))

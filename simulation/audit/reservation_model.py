"""Reservations in the model of the second opinion (`simulation/audit/linearizability.py`)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from actors.commands import Amend, Confirm, Extend, Fulfill, Line, OfReservation, Reacquire, Release
from actors.outcomes import (
    InsufficientStock,
    MoreThanReserved,
    ReservationAmended,
    ReservationConfirmed,
    ReservationExtended,
    ReservationFulfilled,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationOfOtherOrder,
    ReservationReacquired,
    ReservationReleased,
    ReservationWasConfirmed,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
    StockAdjusted,
    StockNotFound,
)
from actors.views import ReservationFound
from actors.warehouse_outcomes import WarehouseInactive
from simulation.audit.goods_model import Row, RowKey

Pieces = tuple[tuple[str, str, int], ...]  # variant, warehouse, quantity


class Booking(NamedTuple):
    """A reservation in the model. `pieces` are those that it holds still."""

    order: str
    state: str
    pieces: Pieces
    asked: tuple[tuple[str, str, int], ...]
    shipped: Pieces = ()


Moved = tuple[dict[RowKey, Row], Booking | None]
"""The rows and the reservation afterwards; None if nothing changes."""

REFUSALS: dict[type, dict[str, type]] = {
    Confirm: {"released": ReservationWasReleased},
    Release: {"fulfilled": ReservationWasFulfilled},
    Fulfill: {
        "active": ReservationNotConfirmed,
        "released": ReservationWasReleased,
        "fulfilled": ReservationWasFulfilled,
    },
    Extend: {
        "confirmed": ReservationWasConfirmed,
        "released": ReservationWasReleased,
        "fulfilled": ReservationWasFulfilled,
    },
    Amend: {"released": ReservationWasReleased, "fulfilled": ReservationWasFulfilled},
    Reacquire: {"released": ReservationWasReleased, "fulfilled": ReservationWasFulfilled},
}


def is_found_so(booking: Booking | None, answer: Any) -> bool:
    """Whether one reservation is shown so."""
    if booking is None:
        return isinstance(answer, ReservationNotFound)
    return isinstance(answer, ReservationFound) and answer.reservation.state == booking.state


def release_lost(
    rows: dict[RowKey, Row], bookings: dict[tuple[str, str], Booking], request: Any, answer: StockAdjusted
) -> bool:
    """Give back what an adjustment says that it released. Whether it may have: all were active, and it was asked to."""
    organization = request.organization_id
    for reservation_id in answer.released:
        booking = bookings.get((organization, reservation_id))
        if booking is None or booking.state != "active" or not request.release_uncovered:
            return False
        _put_back(rows, organization, booking.pieces, 1)
        bookings[organization, reservation_id] = booking._replace(state="released", pieces=())
    return True


def move(
    rows: dict[RowKey, Row], key: tuple[str, str], booking: Booking | None, request: OfReservation, answer: Any
) -> Moved | None:
    """What the request makes of a reservation if it may have been answered so; else None."""
    same: Moved = (rows, None)
    if booking is None:
        return same if isinstance(answer, ReservationNotFound) else None
    if isinstance(request, Confirm) and booking.order != request.order_id:
        return same if isinstance(answer, ReservationOfOtherOrder) else None
    refusal = REFUSALS[type(request)].get(booking.state)
    is_repeat = isinstance(request, Fulfill) and booking.state == "fulfilled" and not request.lines
    if refusal is not None and not is_repeat:
        return same if isinstance(answer, refusal) else None
    match request:
        case Confirm():
            return _confirmed(rows, booking, answer)
        case Release():
            if booking.state == "released":
                return same if _is(answer, ReservationReleased, "released") else None
            after = booking._replace(state="released", pieces=())
            _put_back(rows, key[0], booking.pieces, 1)
            return (rows, after) if _is(answer, ReservationReleased, "released") else None
        case Extend():
            return same if _is(answer, ReservationExtended, "active") else None
        case Fulfill():
            if is_repeat:
                return same if _is(answer, ReservationFulfilled, "fulfilled") else None
            return _shipped(rows, key[0], booking, request, answer)
        case Reacquire():  # nothing expires here
            return same if _is(answer, ReservationReacquired, booking.state) else None
        case Amend():
            return _amended(rows, key[0], booking, request, answer)


def _amended(rows: dict[RowKey, Row], organization: str, booking: Booking, request: Amend, answer: Any) -> Moved | None:
    asked = tuple(sorted((line.variant_id, line.warehouse_id, line.quantity) for line in request.lines))
    if asked == booking.asked:
        return (rows, None) if _is(answer, ReservationAmended, booking.state) else None
    if isinstance(answer, ShippedAlready):
        return (rows, None) if booking.shipped else None
    if not isinstance(answer, ReservationAmended):
        # Whether it fits is the auditor's to say; here a refusal changes nothing.
        return (rows, None) if isinstance(answer, InsufficientStock | StockNotFound | WarehouseInactive) else None
    items = answer.reservation.items
    if tuple(sorted((i.variant_id, i.requested_warehouse_id, i.quantity) for i in items)) != asked:
        return None
    held = tuple((i.variant_id, i.warehouse_id, i.quantity - i.fulfilled) for i in items if i.quantity > i.fulfilled)
    state = booking.state if held else "fulfilled"
    _put_back(rows, organization, booking.pieces, 1)
    if not all((organization, *piece[:2]) in rows for piece in held):
        return None
    _put_back(rows, organization, held, -1, reserved=1)
    if answer.reservation.state != state or any(row[0] < 0 for row in rows.values()):
        return None
    return rows, booking._replace(state=state, pieces=held, asked=asked)


def _confirmed(rows: dict[RowKey, Row], booking: Booking, answer: Any) -> Moved | None:
    if booking.state != "active":  # a late retry gets the answer that was given
        return (rows, None) if _is(answer, ReservationConfirmed, booking.state) else None
    return (rows, booking._replace(state="confirmed")) if _is(answer, ReservationConfirmed, "confirmed") else None


def _shipped(
    rows: dict[RowKey, Row], organization: str, booking: Booking, request: Fulfill, answer: Any
) -> Moved | None:
    rest = _rest(booking.pieces, request.lines) if request.lines else ()
    if rest is None:
        return (rows, None) if isinstance(answer, MoreThanReserved) else None
    gone = sum(piece[2] for piece in booking.pieces) - sum(piece[2] for piece in rest)
    state = "confirmed" if rest and not request.close else "fulfilled"
    if not _is(answer, ReservationFulfilled, state) or answer.pieces != gone:
        return None
    _put_back(rows, organization, booking.pieces, 0)
    booking = booking._replace(shipped=(("some", "pieces", gone), *booking.shipped))
    if state == "fulfilled":
        _put_back(rows, organization, rest, 1, reserved=0)
        return rows, booking._replace(state=state, pieces=())
    _put_back(rows, organization, rest, 0, reserved=1)
    return rows, booking._replace(pieces=rest)


def _rest(pieces: Pieces, lines: Sequence[Line]) -> Pieces | None:
    """What is left after the lines; None if they want more than there is."""
    left = [quantity for _, _, quantity in pieces]
    for line in sorted(lines, key=lambda line: line.warehouse_id == ""):
        wanted = line.quantity
        for place, (variant, warehouse, _) in enumerate(pieces):
            if variant == line.variant_id and line.warehouse_id in ("", warehouse):
                taken = min(wanted, left[place])
                left[place] -= taken
                wanted -= taken
        if wanted:
            return None
    return tuple((*piece[:2], number) for piece, number in zip(pieces, left, strict=True) if number)


def _put_back(
    rows: dict[RowKey, Row], organization: str, pieces: Pieces, available: int, *, reserved: int = -1
) -> None:
    for variant, warehouse, quantity in pieces:
        row = rows[organization, variant, warehouse]
        changed = (row[0] + available * quantity, row[1] + reserved * quantity)
        rows[organization, variant, warehouse] = (*changed, *row[2:])


def _is(answer: Any, kind: type, state: str) -> bool:
    return isinstance(answer, kind) and answer.reservation.state == state  # type: ignore[attr-defined]

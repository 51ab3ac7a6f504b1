"""What may become of a reservation: pure decisions, one function for each command.

    active ──► confirmed ──► fulfilled
      │            │
      ├──► expired └──► released
      └──► released

Each function gets the reservation as it stands and returns it as it is to be, or the same one where the command
was already carried out (a retry changes nothing and gets the first answer), or raises `Refused`. A reservation
that is overdue counts as expired even before anybody has expired it (G7).
"""

from typing import NoReturn

from actors.commands import Line
from actors.outcomes import (
    Refused,
    ReservationExpired,
    ReservationNotConfirmed,
    ReservationOfOtherOrder,
    ReservationWasFulfilled,
    ReservationWasReleased,
)
from actors.records import ReservationRecord


def confirm(reservation: ReservationRecord, order_id: str, now_ms: int) -> ReservationRecord:
    """The payment succeeded."""
    if reservation.order_id != order_id:
        raise Refused(ReservationOfOtherOrder(reservation.reservation_id))
    if reservation.is_overdue(now_ms):
        raise Refused(ReservationExpired(reservation.reservation_id))
    match reservation.state:
        case "active":
            return reservation.moved("confirmed", now_ms)
        case "confirmed" | "fulfilled":  # a late retry gets the answer that was given
            return reservation
        case "released" | "expired":
            _refuse_ended(reservation)


def release(reservation: ReservationRecord, reason: str, now_ms: int) -> ReservationRecord:
    """The goods go back. An expired reservation has nothing left to give back, which is not the caller's fault."""
    if reservation.is_overdue(now_ms):
        return reservation.moved("expired", now_ms)
    match reservation.state:
        case "active" | "confirmed":
            return reservation.moved("released", now_ms, reason)
        case "released" | "expired":
            return reservation
        case "fulfilled":
            _refuse_ended(reservation)


def fulfill(reservation: ReservationRecord, now_ms: int) -> ReservationRecord:
    """The goods were shipped, which only a confirmed reservation allows."""
    if reservation.is_overdue(now_ms):
        raise Refused(ReservationExpired(reservation.reservation_id))
    match reservation.state:
        case "confirmed":
            return reservation.moved("fulfilled", now_ms)
        case "fulfilled":
            return reservation
        case "active":
            raise Refused(ReservationNotConfirmed(reservation.reservation_id))
        case "released" | "expired":
            _refuse_ended(reservation)


def asks_for_the_same(reservation: ReservationRecord, lines: tuple[Line, ...]) -> bool:
    """Whether an order's lines are those that the reservation was made for, in whatever sequence."""
    held = sorted((item.variant_id, item.requested_warehouse_id, item.quantity) for item in reservation.items)
    return held == sorted((line.variant_id, line.warehouse_id, line.quantity) for line in lines)


def _refuse_ended(reservation: ReservationRecord) -> NoReturn:
    match reservation.state:
        case "fulfilled":
            raise Refused(ReservationWasFulfilled(reservation.reservation_id))
        case "released":
            raise Refused(ReservationWasReleased(reservation.reservation_id))
        case _:
            raise Refused(ReservationExpired(reservation.reservation_id))

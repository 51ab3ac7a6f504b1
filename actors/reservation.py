"""What may become of a reservation: pure decisions, one function for each command.

    active ──► confirmed ──► fulfilled     active: may be extended
      │  ▲         │                       confirmed: may be shipped in parts
      │  └─────┐   └──► released           both: may be amended
      ├──► expired                         expired: may be taken again
      └──► released

Each function gets the reservation as it stands and returns it as it is to be, or the same one where the command
was already carried out (a retry changes nothing and gets the first answer), or raises `Refused`. A reservation
that is overdue counts as expired even before anybody has expired it (G7).
"""

from typing import NoReturn, assert_never

from msgspec.structs import replace

from actors.commands import Fulfill, Line
from actors.outcomes import (
    Refused,
    ReservationExpired,
    ReservationNotConfirmed,
    ReservationOfOtherOrder,
    ReservationWasConfirmed,
    ReservationWasFulfilled,
    ReservationWasReleased,
)
from actors.records import ReservationRecord
from actors.shipment import items_after

MINUTE_MS = 60_000


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


def fulfill(reservation: ReservationRecord, command: Fulfill, now_ms: int) -> ReservationRecord:
    """Goods were shipped, which only a confirmed reservation allows. What is left stays confirmed or, as the command
    says, is given back.
    """
    if reservation.is_overdue(now_ms):
        raise Refused(ReservationExpired(reservation.reservation_id))
    match reservation.state:
        case "confirmed":
            shipped = replace(reservation, items=items_after(reservation, command.lines))
            is_over = command.close or shipped.fulfilled == shipped.quantity
            return shipped.moved("fulfilled", now_ms) if is_over else shipped
        case "fulfilled":
            if command.lines:
                _refuse_ended(reservation)
            return reservation
        case "active":
            raise Refused(ReservationNotConfirmed(reservation.reservation_id))
        case "released" | "expired":
            _refuse_ended(reservation)


def extend(reservation: ReservationRecord, ttl_minutes: int, now_ms: int) -> ReservationRecord:
    """The caller needs more time. A reservation that has longer anyway keeps its time."""
    if reservation.is_overdue(now_ms):
        raise Refused(ReservationExpired(reservation.reservation_id))
    match reservation.state:
        case "active":
            expires_at_ms = now_ms + ttl_minutes * MINUTE_MS
            is_longer = expires_at_ms > reservation.expires_at_ms
            return replace(reservation, expires_at_ms=expires_at_ms) if is_longer else reservation
        case "confirmed":
            raise Refused(ReservationWasConfirmed(reservation.reservation_id))
        case "fulfilled" | "released" | "expired":
            _refuse_ended(reservation)


def check_amendable(reservation: ReservationRecord, now_ms: int) -> None:
    """Its basket may be another one for as long as it holds goods.

    Raises:
        Refused: it holds none any more.
    """
    if reservation.is_overdue(now_ms):
        raise Refused(ReservationExpired(reservation.reservation_id))
    if not reservation.holds_stock:
        _refuse_ended(reservation)


def is_to_be_taken_again(reservation: ReservationRecord, now_ms: int, kept_ms: int | None) -> bool:
    """Whether its goods are to be taken again. False: it holds them still.

    Only what expired is taken again: a release was a decision. The reservation keeps its id, by which the late
    payment knows it.

    Args:
        kept_ms: how long after its end a reservation is certain to be where it was made; None: for ever.
    """
    match reservation.state:
        case "active" | "confirmed":
            return False
        case "expired" if kept_ms is None or now_ms - reservation.ended_at_ms < kept_ms:
            return True
        case "expired" | "released" | "fulfilled":
            _refuse_ended(reservation)


def asks_for_the_same(reservation: ReservationRecord, lines: tuple[Line, ...]) -> bool:
    """Whether an order's lines are those that the reservation was made for, in whatever sequence."""
    if reservation.asked:
        return False
    held = sorted((item.variant_id, item.requested_warehouse_id, item.quantity) for item in reservation.items)
    return held == sorted((line.variant_id, line.warehouse_id, line.quantity) for line in lines)


def _refuse_ended(reservation: ReservationRecord) -> NoReturn:
    match reservation.state:
        case "fulfilled":
            raise Refused(ReservationWasFulfilled(reservation.reservation_id))
        case "released":
            raise Refused(ReservationWasReleased(reservation.reservation_id))
        case "expired":
            raise Refused(ReservationExpired(reservation.reservation_id))
        case "active" | "confirmed":
            raise AssertionError(f"{reservation} has not ended")
        case _ as never:
            assert_never(never)

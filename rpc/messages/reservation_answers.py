"""What became of a reservation, as response messages."""

from msgspec.structs import replace
from stockkeeper_client.v1 import stock_pb2

from actors.outcomes import ReservationAmended, ReservationExtended, ReservationFulfilled, ReservationReacquired
from actors.records import ReservationRecord
from actors.views import ReservationFound
from rpc.messages.responses import reservation, timestamp


def fulfilled(fact: ReservationFulfilled) -> stock_pb2.FulfillReservationResponse:
    record, items, pieces = fact.reservation, fact.items, fact.pieces
    if not pieces:  # an answer of before there were shipments in part
        record = _whole(record)
        items, pieces = len(record.items), record.quantity
    left = record.quantity - record.fulfilled if record.state == "confirmed" else 0
    rest = f"; {left} pieces are still reserved" if left > 1 else "; 1 piece is still reserved" if left else ""
    return stock_pb2.FulfillReservationResponse(
        success=True,
        message=f"Reservation fulfilled in part{rest}" if rest else "Reservation fulfilled",
        fulfilled_at=timestamp(fact.at_ms or record.ended_at_ms),
        items_fulfilled=items,
        total_quantity_fulfilled=pieces,
        reservation=reservation(record),
    )


def _whole(record: ReservationRecord) -> ReservationRecord:
    return replace(record, items=tuple([replace(item, fulfilled=item.quantity) for item in record.items]))


def extended(fact: ReservationExtended) -> stock_pb2.ExtendReservationResponse:
    record = fact.reservation
    return stock_pb2.ExtendReservationResponse(
        message=f"Reservation is held until {timestamp(record.expires_at_ms)}", reservation=reservation(record)
    )


def amended(fact: ReservationAmended) -> stock_pb2.AmendReservationResponse:
    is_over = fact.reservation.state == "fulfilled"
    message = "Reservation amended; all of it was shipped before" if is_over else "Reservation amended"
    return stock_pb2.AmendReservationResponse(message=message, reservation=reservation(fact.reservation))


def reacquired(fact: ReservationReacquired) -> stock_pb2.ReacquireReservationResponse:
    message = "Reservation holds its goods still; nothing was taken" if fact.was_held else "Reservation taken again"
    return stock_pb2.ReacquireReservationResponse(message=message, reservation=reservation(fact.reservation))


def found(view: ReservationFound) -> stock_pb2.GetReservationResponse:
    record = view.reservation
    return stock_pb2.GetReservationResponse(message=f"Reservation is {record.state}", reservation=reservation(record))

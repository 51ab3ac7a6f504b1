"""Facts and views become response messages, with the texts of the contract."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache

from msgspec.structs import asdict
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from actors.outcomes import (
    ReservationConfirmed,
    ReservationReleased,
    StockAdjusted,
    StockAnnounced,
    StockDeducted,
    StockDeleted,
    StockImported,
    StockReceived,
    StockReserved,
)
from actors.records import ReservationRecord
from actors.stock_alerts import status_of
from actors.views import Availability, BasketCheck, ReservationPage, StockRows, StockView
from rpc.messages.page_texts import page_text
from rpc.messages.page_tokens import reservation_token

NEW_ROWS_NAMED = 5  # in the message of an answer


def timestamp(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as 2026-01-31T12:00:00.000Z; empty for 0, which stands for never."""
    if not at_ms:
        return ""
    second, milliseconds = divmod(at_ms, 1_000)
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=1024)  # the calls of one moment share a few seconds
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def availability(check: BasketCheck) -> inventory_pb2.CheckAvailabilityResponse:
    """Args:
    check: of a basket of one line.
    """
    (line,) = check.lines
    return inventory_pb2.CheckAvailabilityResponse(
        available=line.fits,
        available_quantity=line.available,
        warehouse_id=line.warehouse_id,
        message=_availability_text(line),
    )


def bulk_availability(check: BasketCheck) -> inventory_pb2.CheckBulkAvailabilityResponse:
    return inventory_pb2.CheckBulkAvailabilityResponse(
        all_available=check.all_available,
        results=[
            inventory_pb2.AvailabilityResult(
                variant_id=line.variant_id,
                warehouse_id=line.warehouse_id,
                available=line.fits,
                available_quantity=line.available,
                requested_quantity=line.requested,
                message=_availability_text(line),
            )
            for line in check.lines
        ],
    )


def reserved(fact: StockReserved, ttl_minutes: int | None = None) -> inventory_pb2.ReserveStockResponse:
    """Args:
    ttl_minutes: what the request asked for. A repetition with another time limit is told that it changes nothing.
    """
    reservation = fact.reservation
    response = inventory_pb2.ReserveStockResponse(
        success=True,
        reservation_id=reservation.reservation_id,
        expires_at=timestamp(reservation.expires_at_ms),
        message=_reserved_text(reservation, ttl_minutes),
    )
    _add_items(response.reserved_items.add, reservation)
    return response


def _reserved_text(reservation: ReservationRecord, ttl_minutes: int | None) -> str:
    held_ms = reservation.expires_at_ms - reservation.created_at_ms
    if ttl_minutes is None or reservation.state != "active" or held_ms == ttl_minutes * 60_000:
        return "Stock reserved successfully"
    minutes, rest_ms = divmod(held_ms, 60_000)
    limit = f"ends at {timestamp(reservation.expires_at_ms)}" if rest_ms else f"is {minutes} minutes"  # extended
    return f"Stock was reserved before; its time limit was not changed and {limit}"


def confirmed(fact: ReservationConfirmed) -> inventory_pb2.ConfirmReservationResponse:
    return inventory_pb2.ConfirmReservationResponse(
        success=True, message="Reservation confirmed", confirmed_at=timestamp(fact.reservation.confirmed_at_ms)
    )


def released(fact: ReservationReleased) -> inventory_pb2.ReleaseReservationResponse:
    reservation = fact.reservation
    if reservation.state == "expired":
        message = f"Reservation had already expired at {timestamp(reservation.ended_at_ms)}, its stock is free again"
        return inventory_pb2.ReleaseReservationResponse(success=True, message=message)
    given_back = [item.unshipped for item in reservation.items if item.unshipped]
    return inventory_pb2.ReleaseReservationResponse(
        success=True,
        message="Reservation released",
        items_released=len(given_back),
        total_quantity_released=sum(given_back),
    )


def received(fact: StockReceived) -> stock_pb2.ReceiveStockResponse:
    return stock_pb2.ReceiveStockResponse(
        message=_begun("Stock received", fact),
        rows_created=sum(row.is_new for row in fact.rows),
        organization_created=fact.organization_created,
        rows=stock_info(fact.rows),
    )


def announced(fact: StockAnnounced) -> stock_pb2.AnnounceStockResponse:
    return stock_pb2.AnnounceStockResponse(
        message=_begun("Stock announced", fact),
        rows_created=sum(row.is_new for row in fact.rows),
        organization_created=fact.organization_created,
        rows=stock_info(fact.rows),
    )


def deducted(fact: StockDeducted) -> stock_pb2.DeductStockResponse:
    lines = [
        stock_pb2.GoodsLine(variant_id=line.variant_id, warehouse_id=line.warehouse_id, quantity=line.quantity)
        for line in fact.lines
    ]
    return stock_pb2.DeductStockResponse(message="Stock deducted", rows=stock_info(fact.rows), lines=lines)


def adjusted(fact: StockAdjusted) -> stock_pb2.AdjustStockResponse:
    released = f"; {_reservations(len(fact.released))} released" if fact.released else ""
    return stock_pb2.AdjustStockResponse(
        message=f"Stock adjusted{released}",
        rows=stock_info(fact.rows),
        released=fact.released,
        shortfall=[
            stock_pb2.Shortfall(
                reservation_id=one.reservation_id,
                order_id=one.order_id,
                variant_id=one.variant_id,
                warehouse_id=one.warehouse_id,
                pieces=one.pieces,
            )
            for one in fact.shortfall
        ],
    )


def _reservations(number: int) -> str:
    return "1 reservation was" if number == 1 else f"{number} reservations were"


def deleted(fact: StockDeleted) -> stock_pb2.DeleteStockResponse:
    return stock_pb2.DeleteStockResponse(message="Stock row deleted")


def _begun(done: str, fact: StockReceived | StockAnnounced) -> str:
    """What was done, and what began with it: it may be a typing error."""
    new = [f"{row.record.variant_id}@{row.record.warehouse_id}" for row in fact.rows if row.is_new]
    if not new:
        return done
    more = f" and {len(new) - NEW_ROWS_NAMED} more" if len(new) > NEW_ROWS_NAMED else ""
    rows = f"{done}; new row{'s' if len(new) > 1 else ''}: {', '.join(new[:NEW_ROWS_NAMED])}{more}"
    return f"{rows}; new organization: {fact.rows[0].record.organization_id}" if fact.organization_created else rows


def imported(fact: StockImported) -> stock_pb2.ImportStockResponse:
    return stock_pb2.ImportStockResponse(
        lines=fact.lines,
        rows_created=fact.rows_created,
        rows_changed=fact.rows_changed,
        rows_unchanged=fact.rows_unchanged,
        message=f"Stock imported by {len(fact.cells)} cells, each by itself" if fact.cells else "Stock imported",
        new_organizations=fact.new_organizations,
        cells=[stock_pb2.CellImport(**asdict(one)) for one in fact.cells],
    )


def stock_info(views: Iterable[StockView]) -> list[inventory_pb2.StockInfo]:
    return [
        inventory_pb2.StockInfo(
            stock_id=record.stock_id,
            variant_id=record.variant_id,
            warehouse_id=record.warehouse_id,
            warehouse_name=view.warehouse_name,
            total_quantity=record.total,
            available_quantity=record.available,
            reserved_quantity=record.reserved,
            damaged_quantity=record.damaged,
            in_transit_quantity=record.in_transit,
            min_stock=record.min_stock,
            max_stock=record.max_stock,
            stock_status=status_of(record),
        )
        for view in views
        for record in (view.record,)
    ]


def stock_rows(view: StockRows) -> inventory_pb2.GetStockInfoResponse:
    return inventory_pb2.GetStockInfoResponse(stock_info=stock_info(view.stock))


def reservation_page(organization_id: str, page: ReservationPage) -> stock_pb2.ListReservationsResponse:
    token = reservation_token(organization_id, page.next_before)
    return stock_pb2.ListReservationsResponse(
        reservations=[reservation(record) for record in page.reservations],
        next_page_token=token,
        message=page_text(len(page.reservations), "reservation", token),
    )


def reservation(record: ReservationRecord) -> stock_pb2.Reservation:
    message = stock_pb2.Reservation(
        reservation_id=record.reservation_id,
        organization_id=record.organization_id,
        order_id=record.order_id,
        state=record.state,
        created_at=timestamp(record.created_at_ms),
        expires_at=timestamp(record.expires_at_ms),
        confirmed_at=timestamp(record.confirmed_at_ms),
        ended_at=timestamp(record.ended_at_ms),
        reason=record.reason,
    )
    _add_items(message.items.add, record)
    for number, item in enumerate(record.items, start=1):
        if item.fulfilled:
            message.fulfilled.add(
                reservation_item_id=item_id(record, number),
                variant_id=item.variant_id,
                warehouse_id=item.warehouse_id,
                quantity=item.fulfilled,
            )
    return message


def item_id(record: ReservationRecord, number: int) -> str:
    """Args:
    number: the item's place, counted from 1.
    """
    return f"{record.reservation_id}.{number}"


def _availability_text(line: Availability) -> str:
    if not line.found:
        return "Stock not found"
    if line.is_closed:
        return "Warehouse is not active"
    return "Available" if line.fits else "Insufficient stock"


def _add_items(add: Callable[..., object], record: ReservationRecord) -> None:
    """Args:
    add: of the field that takes the items; making them elsewhere first would copy each.
    """
    for number, item in enumerate(record.items, start=1):
        add(
            reservation_item_id=item_id(record, number),
            variant_id=item.variant_id,
            warehouse_id=item.warehouse_id,
            stock_id=item.stock_id,
            quantity=item.quantity,
            stock_before=item.stock_before,
            stock_after=item.stock_after,
        )

"""The contract's messages for the test kit: answers of the core as an InventoryClient gives them.

`rpc` does the same for the server. The simulation does without `rpc`, so that it runs under trio where gRPC cannot.
"""

from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from inventory.v1 import inventory_pb2 as pb
from inventory.v1 import stock_pb2

from actors.outcomes import (
    ImportRejected,
    InsufficientStock,
    QuantityTooLarge,
    Refusal,
    RequestIdReused,
    ReservationConfirmed,
    ReservationExists,
    ReservationExpired,
    ReservationFulfilled,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationOfOtherOrder,
    ReservationReleased,
    ReservationWasFulfilled,
    ReservationWasReleased,
    StockImported,
    StockNotFound,
    StockReceived,
    StockReserved,
)
from actors.records import ReservationRecord, StockRecord
from supervisor.queries import Availability, BasketCheck, StockView

_CODES: dict[type, tuple[grpc.StatusCode, str, str]] = {
    StockNotFound: (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND", "Stock not found for variant {0.variant_id}"),
    ReservationExists: (
        grpc.StatusCode.ALREADY_EXISTS,
        "RESERVATION_EXISTS",
        "The order already has a reservation of other lines, {0.reservation_id}",
    ),
    ReservationNotFound: (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND", "Reservation not found"),
    ReservationOfOtherOrder: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_OF_OTHER_ORDER",
        "Reservation {0.reservation_id} belongs to another order",
    ),
    ReservationExpired: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_EXPIRED",
        "Reservation {0.reservation_id} has expired",
    ),
    ReservationWasReleased: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_RELEASED",
        "Reservation {0.reservation_id} was released",
    ),
    ReservationWasFulfilled: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_FULFILLED",
        "Reservation {0.reservation_id} was fulfilled",
    ),
    ReservationNotConfirmed: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_NOT_CONFIRMED",
        "Reservation {0.reservation_id} is not confirmed",
    ),
    QuantityTooLarge: (
        grpc.StatusCode.FAILED_PRECONDITION,
        "QUANTITY_TOO_LARGE",
        "The total of variant {0.variant_id} would be {0.total}",
    ),
    ImportRejected: (grpc.StatusCode.INVALID_ARGUMENT, "IMPORT_REJECTED", "Nothing was imported"),
    RequestIdReused: (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_REUSED",
        "The request id or idempotency key {0.request_id} belongs to a different request",
    ),
}


def refused(refusal: Refusal) -> grpc.aio.AioRpcError:
    """The error that InventoryClient would raise."""
    if isinstance(refusal, InsufficientStock):
        first = refusal.shortages[0]
        text = f"Insufficient stock for variant {first.variant_id}"
        metadata = {"variant_id": first.variant_id, "available": str(first.available)}
        code = grpc.StatusCode.FAILED_PRECONDITION
        return failed(code, "INSUFFICIENT_STOCK", text, metadata, refusal.retry_after_ms)
    code, reason, text = _CODES[type(refusal)]
    metadata = {}
    if hasattr(refusal, "reservation_id"):
        metadata = {"reservation_id": refusal.reservation_id}
    return failed(code, reason, text.format(refusal), metadata)


def failed(
    code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str], retry_after_ms: int = 0
) -> grpc.aio.AioRpcError:
    """An error with the details that `inventory.error_details` reads."""
    status = Status(code=code.value[0], message=message)
    details: list[Any] = [ErrorInfo(reason=reason, domain="inventory.v1", metadata=metadata)]
    if retry_after_ms:
        seconds, milliseconds = divmod(retry_after_ms, 1_000)
        details.append(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=milliseconds * 1_000_000)))
    for detail in details:
        packed = PackedAny()
        packed.Pack(detail)
        status.details.append(packed)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=message)


def message(answer: Any) -> Any:
    """The response for a fact or a check."""
    match answer:
        case StockReserved(reservation):
            return pb.ReserveStockResponse(
                success=True,
                reservation_id=reservation.reservation_id,
                reserved_items=_items(reservation),
                expires_at=timestamp(reservation.expires_at_ms),
                message="Stock reserved successfully",
            )
        case ReservationConfirmed(reservation):
            at = timestamp(reservation.confirmed_at_ms)
            return pb.ConfirmReservationResponse(success=True, message="Reservation confirmed", confirmed_at=at)
        case ReservationReleased(reservation) if reservation.state == "expired":
            return pb.ReleaseReservationResponse(success=True, message="Reservation had already expired")
        case ReservationReleased(reservation):
            return pb.ReleaseReservationResponse(
                success=True,
                message="Reservation released",
                items_released=len(reservation.items),
                total_quantity_released=reservation.quantity,
            )
        case ReservationFulfilled(reservation):
            return stock_pb2.FulfillReservationResponse(
                success=True,
                message="Reservation fulfilled",
                fulfilled_at=timestamp(reservation.ended_at_ms),
                items_fulfilled=len(reservation.items),
                total_quantity_fulfilled=reservation.quantity,
            )
        case StockReceived():
            return stock_pb2.ReceiveStockResponse(
                stock_id=answer.stock_id,
                total_quantity=answer.total,
                available_quantity=answer.available,
                quantity_before=answer.available_before,
                message="Stock received",
            )
        case StockImported():
            return stock_pb2.ImportStockResponse(
                lines=answer.lines,
                rows_created=answer.rows_created,
                rows_changed=answer.rows_changed,
                rows_unchanged=answer.rows_unchanged,
                message="Stock imported",
            )
        case BasketCheck():
            return pb.CheckBulkAvailabilityResponse(
                all_available=answer.all_available,
                results=[
                    pb.AvailabilityResult(
                        variant_id=line.variant_id,
                        warehouse_id=line.warehouse_id,
                        available=line.fits,
                        available_quantity=line.available,
                        requested_quantity=line.requested,
                        message=_text(line),
                    )
                    for line in answer.lines
                ],
            )
        case _:
            raise AssertionError(answer)


def availability(line: Availability) -> pb.CheckAvailabilityResponse:
    return pb.CheckAvailabilityResponse(
        available=line.fits, available_quantity=line.available, warehouse_id=line.warehouse_id, message=_text(line)
    )


def stock(views: tuple[StockView, ...]) -> list[pb.StockInfo]:
    return [
        pb.StockInfo(
            stock_id=view.record.stock_id,
            variant_id=view.record.variant_id,
            warehouse_id=view.record.warehouse_id,
            warehouse_name=view.warehouse_name,
            total_quantity=view.record.total,
            available_quantity=view.record.available,
            reserved_quantity=view.record.reserved,
            damaged_quantity=view.record.damaged,
            in_transit_quantity=view.record.in_transit,
            min_stock=view.record.min_stock,
            max_stock=view.record.max_stock,
            stock_status=_status(view.record),
        )
        for view in views
    ]


def reservation(record: ReservationRecord) -> stock_pb2.Reservation:
    return stock_pb2.Reservation(
        reservation_id=record.reservation_id,
        organization_id=record.organization_id,
        order_id=record.order_id,
        state=record.state,
        created_at=timestamp(record.created_at_ms),
        expires_at=timestamp(record.expires_at_ms),
        confirmed_at=timestamp(record.confirmed_at_ms),
        ended_at=timestamp(record.ended_at_ms),
        reason=record.reason,
        items=_items(record),
    )


def timestamp(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds; empty for 0."""
    if not at_ms:
        return ""
    seconds, milliseconds = divmod(at_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{milliseconds:03d}Z"


def milliseconds(text: str) -> int:
    """The other way round."""
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000)


def _items(record: ReservationRecord) -> list[pb.ReservedItem]:
    return [
        pb.ReservedItem(
            reservation_item_id=f"{record.reservation_id}.{number}",
            variant_id=item.variant_id,
            warehouse_id=item.warehouse_id,
            stock_id=item.stock_id,
            quantity=item.quantity,
            stock_before=item.stock_before,
            stock_after=item.stock_after,
        )
        for number, item in enumerate(record.items, start=1)
    ]


def _text(line: Availability) -> str:
    if not line.found:
        return "Stock not found"
    return "Available" if line.fits else "Insufficient stock"


def _status(record: StockRecord) -> str:
    if record.available == 0:
        return "out_of_stock"
    return "low_stock" if record.available <= record.min_stock else "in_stock"

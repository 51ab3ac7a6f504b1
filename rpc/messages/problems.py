"""The one place that turns errors into what callers see. What it does not know is a bug, and nothing of its inside
is told.

A reused idempotency key is INVALID_ARGUMENT. AIP-155 asks that a duplicate gets the first answer, which says
nothing of a request that only claims to be one. ALREADY_EXISTS would be read as "it was done before", and that
is exactly what it was not; nor can a repetition ever help. The IETF's draft on Idempotency-Key (422) and
payment services (400) decided likewise.
"""

from typing import assert_never

from grpc import StatusCode

from actors.bounds import INT32_MAX, WAREHOUSES_MAX
from actors.cell_records import WrongCell
from actors.outcomes import (
    ActorCrashed,
    AdjustmentsRefused,
    ImportRejected,
    InsufficientStock,
    MissingStock,
    MoreThanReserved,
    QuantityTooLarge,
    Refusal,
    Refused,
    RefusedAdjustment,
    RequestIdReused,
    ReservationExists,
    ReservationExpired,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationOfOtherOrder,
    ReservationWasConfirmed,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
    Shortage,
    StockNotEmpty,
    StockNotFound,
)
from actors.shortfall import Uncovered
from actors.transfer_outcomes import (
    MoreThanSent,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    WarehouseNotFound,
)
from actors.unavailable import RATE_LIMITED, ROW_DAMAGED, Unavailable
from actors.warehouse_outcomes import LevelsDisagree, TooManyWarehouses, WarehouseInactive
from rpc.messages.cell_problems import describe_wrong_cell
from rpc.messages.rules import Invalid, Violation
from rpc.messages.status import REASON_OF_CAUSE, Problem, why_not_adjusted
from rpc.messages.transfer_problems import describe_transfer_refusal

INTERNAL = Problem(StatusCode.INTERNAL, "INTERNAL", "Internal error")


class UnknownService(Exception):
    """Health was asked about a service that does not exist."""


class StreamStalled(Exception):
    """A client sent no line for `timeout_s` seconds, where it had more to send."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.timeout_s = timeout_s


class KeyRefused(Exception):
    """A call may not be made. Only the log says why, and whose key it came with, if that is known."""

    def __init__(self, why: str = "", key: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.key = key


class NotAuthenticated(KeyRefused):
    """The caller has no key that is known."""


class NotAllowed(KeyRefused):
    """The caller's key does not allow this."""


class HistoryNotKept(Exception):
    """The caller asks about a time of which nothing is known any more."""


class CursorNotHeld(Exception):
    """Another relay has the cursor."""


class CursorUnknown(Exception):
    """There is no cursor of that name."""


class TooManyCursors(Exception):
    """There are as many cursors as there may be, and that one is not among them."""


def describe(error: Exception) -> Problem | None:
    """What the caller is told; None if the error is unknown: all of it belongs in the log, and none in the answer."""
    match error:
        case Invalid():
            return _invalid(error)
        case Refused():
            return describe_refusal(error.refusal)
        case Unavailable(reason=reason) if reason == ROW_DAMAGED:
            return Problem(StatusCode.DATA_LOSS, reason, error.message)  # no retry helps, and the others are served
        case Unavailable(reason=reason) if (
            reason == RATE_LIMITED
        ):  # the service is well, and it is the caller's to wait
            return Problem(StatusCode.RESOURCE_EXHAUSTED, reason, error.message, retry_after_ms=error.retry_after_ms)
        case Unavailable():
            return Problem(StatusCode.UNAVAILABLE, error.reason, error.message, retry_after_ms=error.retry_after_ms)
        case ActorCrashed():
            return INTERNAL  # the core has logged the cause
        case StreamStalled(timeout_s=timeout_s):
            text = f"The stream was not ended, and no line came for {timeout_s:g} s"
            return Problem(StatusCode.DEADLINE_EXCEEDED, "STREAM_STALLED", text)
        case NotAuthenticated():
            return Problem(StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "The call needs a valid key")
        case NotAllowed():
            return Problem(StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", "The key does not allow this call")
        case HistoryNotKept():
            return Problem(StatusCode.FAILED_PRECONDITION, "HISTORY_NOT_KEPT", str(error))
        case CursorNotHeld():
            return Problem(StatusCode.FAILED_PRECONDITION, "CURSOR_NOT_HELD", str(error))
        case CursorUnknown():
            return Problem(StatusCode.NOT_FOUND, "CURSOR_UNKNOWN", "There is no cursor of this name")
        case TooManyCursors():
            text = "There are as many cursors as there may be: forget one that is not used (stockkeeper events drop)"
            return Problem(StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CURSORS", text)
        case UnknownService():
            return Problem(StatusCode.NOT_FOUND, "SERVICE_UNKNOWN", "There is no such service here")
    return None


def describe_refusal(refusal: Refusal) -> Problem:
    match refusal:
        case StockNotFound():
            return _stock_not_found(refusal)
        case InsufficientStock():
            return _insufficient_stock(refusal)
        case ReservationExists(reservation_id=reservation_id):
            text = f"The order already has a reservation of other lines, {reservation_id}"
            return _of_reservation(StatusCode.ALREADY_EXISTS, "RESERVATION_EXISTS", text, reservation_id)
        case ReservationNotFound(reservation_id=reservation_id):
            text = "Reservation not found"
            return _of_reservation(StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND", text, reservation_id)
        case ReservationOfOtherOrder(reservation_id=reservation_id):
            return _precondition("RESERVATION_OF_OTHER_ORDER", "belongs to another order", reservation_id)
        case ReservationExpired(reservation_id=reservation_id):
            return _precondition("RESERVATION_EXPIRED", "has expired", reservation_id)
        case ReservationWasReleased(reservation_id=reservation_id):
            return _precondition("RESERVATION_RELEASED", "was released", reservation_id)
        case ReservationWasFulfilled(reservation_id=reservation_id):
            return _precondition("RESERVATION_FULFILLED", "was fulfilled", reservation_id)
        case ReservationNotConfirmed(reservation_id=reservation_id):
            return _precondition("RESERVATION_NOT_CONFIRMED", "is not confirmed", reservation_id)
        case ReservationWasConfirmed(reservation_id=reservation_id):
            return _precondition("RESERVATION_CONFIRMED", "is confirmed and has no time limit", reservation_id)
        case MoreThanReserved():
            return _more_than_reserved(refusal)
        case ShippedAlready():
            return _shipped_already(refusal)
        case QuantityTooLarge():
            return _quantity_too_large(refusal)
        case StockNotEmpty():
            return _stock_not_empty(refusal)
        case AdjustmentsRefused():
            return _adjustments_refused(refusal)
        case WarehouseInactive():
            return _warehouse_inactive(refusal)
        case LevelsDisagree():
            return _levels_disagree(refusal)
        case TooManyWarehouses(organization_id=organization_id, warehouses=warehouses):
            text = f"The organization would have {warehouses} warehouses, and can have at most {WAREHOUSES_MAX}"
            metadata = {"organization_id": organization_id, "warehouses": str(warehouses)}
            return Problem(StatusCode.FAILED_PRECONDITION, "TOO_MANY_WAREHOUSES", text, metadata)
        case WarehouseNotFound() | TransferExists() | TransferNotFound() | TransferIsClosed() | MoreThanSent():
            return describe_transfer_refusal(refusal)
        case ImportRejected():
            return _import_rejected(refusal)
        case RequestIdReused(request_id=request_id):
            return _request_id_reused(request_id)
        case WrongCell():
            return describe_wrong_cell(refusal)
        case _:
            assert_never(refusal)


def _of_reservation(code: StatusCode, reason: str, message: str, reservation_id: str) -> Problem:
    return Problem(code, reason, message, {"reservation_id": reservation_id})


def _precondition(reason: str, state: str, reservation_id: str) -> Problem:
    message = f"Reservation {reservation_id} {state}"
    return _of_reservation(StatusCode.FAILED_PRECONDITION, reason, message, reservation_id)


def _invalid(error: Invalid) -> Problem:
    first, *others = error.violations
    message = f"{first.field}: {first.description}" if first.field else first.description
    if others:
        message += f" (and {len(others)} more)"
    return Problem(StatusCode.INVALID_ARGUMENT, error.reason, message, listed=error.violations)


def _stock_not_found(refusal: StockNotFound) -> Problem:
    listed: tuple[MissingStock | Shortage, ...] = (*refusal.missing, *refusal.shortages)
    message = f"Stock not found for variant {refusal.variant_id}"
    if refusal.alternatives:  # the variant is known, only not there
        message += f" in warehouse {refusal.warehouse_id}"
    if len(listed) > 1:
        message += f" (and {len(listed) - 1} more)"
    metadata = {"variant_id": refusal.variant_id, "warehouse_id": refusal.warehouse_id}
    return Problem(StatusCode.NOT_FOUND, "STOCK_NOT_FOUND", message, metadata, listed=listed)


def _insufficient_stock(refusal: InsufficientStock) -> Problem:
    first = refusal.shortages[0]
    return Problem(
        StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_STOCK",
        f"Insufficient stock for variant {first.variant_id}",
        {
            "variant_id": first.variant_id,
            "warehouse_id": first.warehouse_id,
            "requested": str(first.requested),
            "available": str(first.available),
        },
        retry_after_ms=refusal.retry_after_ms,
        listed=refusal.shortages,
    )


def _more_than_reserved(refusal: MoreThanReserved) -> Problem:
    first, *others = refusal.rows
    what = f"variant {first.variant_id}" + (f" in warehouse {first.warehouse_id}" if first.warehouse_id else "")
    message = f"Of {what} {first.reserved} are left to ship, and {first.requested} were asked for"
    if others:
        message += f" (and {len(others)} more)"
    metadata = {
        **{"reservation_id": refusal.reservation_id, "variant_id": first.variant_id},
        **{"warehouse_id": first.warehouse_id, "requested": str(first.requested), "reserved": str(first.reserved)},
    }
    return Problem(StatusCode.FAILED_PRECONDITION, "MORE_THAN_RESERVED", message, metadata, listed=refusal.rows)


def _shipped_already(refusal: ShippedAlready) -> Problem:
    first, *others = refusal.rows
    row = f"variant {first.variant_id} in warehouse {first.warehouse_id}"
    message = f"Of {row} {first.shipped} were shipped already, and the new basket has {first.requested}"
    if others:
        message += f" (and {len(others)} more)"
    metadata = {
        **{"reservation_id": refusal.reservation_id, "variant_id": first.variant_id},
        **{"warehouse_id": first.warehouse_id, "requested": str(first.requested), "shipped": str(first.shipped)},
    }
    code = StatusCode.FAILED_PRECONDITION
    return Problem(code, "RESERVATION_PARTLY_FULFILLED", message, metadata, listed=refusal.rows)


def _quantity_too_large(refusal: QuantityTooLarge) -> Problem:
    first, *others = refusal.rows
    message = f"The total of variant {first.variant_id} would be {first.total}, and can be at most {INT32_MAX}"
    if others:
        message += f" (and {len(others)} more)"
    return Problem(
        StatusCode.FAILED_PRECONDITION,
        "QUANTITY_TOO_LARGE",
        message,
        {"variant_id": first.variant_id, "warehouse_id": first.warehouse_id, "total": str(first.total)},
        listed=refusal.rows,
    )


def _stock_not_empty(refusal: StockNotEmpty) -> Problem:
    quantities = {
        "available": refusal.available,
        "reserved": refusal.reserved,
        "damaged": refusal.damaged,
        "in_transit": refusal.in_transit,
    }
    there = ", ".join(f"{pieces} {name.replace('_', ' ')}" for name, pieces in quantities.items() if pieces)
    return Problem(
        StatusCode.FAILED_PRECONDITION,
        "STOCK_NOT_EMPTY",
        f"Variant {refusal.variant_id} in warehouse {refusal.warehouse_id} has {there}; only an empty row can go",
        {
            "variant_id": refusal.variant_id,
            "warehouse_id": refusal.warehouse_id,
            **{name: str(pieces) for name, pieces in quantities.items()},
        },
    )


def _adjustments_refused(refusal: AdjustmentsRefused) -> Problem:
    first, *others = refusal.rows
    record = first.record
    message = f"Variant {record.variant_id} in warehouse {record.warehouse_id} {why_not_adjusted(first)}"
    if others:
        message += f" (and {len(others)} more)"
    message += _in_the_way(refusal)
    metadata = {
        **{"variant_id": record.variant_id, "warehouse_id": record.warehouse_id, "requested": str(first.pieces)},
        **{"total": str(record.total), "available": str(record.available), "reserved": str(record.reserved)},
        **{"damaged": str(record.damaged), "in_transit": str(record.in_transit)},
    }
    code = StatusCode.FAILED_PRECONDITION
    listed: tuple[RefusedAdjustment | Uncovered, ...] = (*refusal.rows, *refusal.shortfall)
    return Problem(code, REASON_OF_CAUSE[first.cause], message, metadata, listed=listed)


def _in_the_way(refusal: AdjustmentsRefused) -> str:
    """Which reservations would not be covered any more."""
    if not refusal.shortfall:
        return ""
    confirmed = len({one.reservation_id for one in refusal.shortfall if one.is_confirmed})
    active = len({one.reservation_id for one in refusal.shortfall}) - confirmed
    kinds = [f"{number} {kind}" for number, kind in ((active, "active"), (confirmed, "confirmed")) if number]
    word = "reservation" if active + confirmed == 1 else "reservations"
    more = " and more" if refusal.is_cut else ""
    return f"; not covered any more: {' and '.join(kinds)} {word}{more}"


def _warehouse_inactive(refusal: WarehouseInactive) -> Problem:
    first, *others = refusal.rows
    message = f"Warehouse {first.warehouse_id} is not active"
    if others:
        message += f" (and {len(others)} more)"
    metadata = {"variant_id": first.variant_id, "warehouse_id": first.warehouse_id}
    return Problem(StatusCode.FAILED_PRECONDITION, "WAREHOUSE_INACTIVE", message, metadata, listed=refusal.rows)


def _levels_disagree(refusal: LevelsDisagree) -> Problem:
    first, *others = refusal.rows
    levels = f"min_stock {first.min_stock} would exceed max_stock {first.max_stock}"
    message = f"Variant {first.variant_id} in warehouse {first.warehouse_id}: {levels}"
    if others:
        message += f" (and {len(others)} more)"
    metadata = {
        **{"variant_id": first.variant_id, "warehouse_id": first.warehouse_id},
        **{"min_stock": str(first.min_stock), "max_stock": str(first.max_stock)},
    }
    return Problem(StatusCode.FAILED_PRECONDITION, "LEVELS_DISAGREE", message, metadata, listed=refusal.rows)


def _import_rejected(refusal: ImportRejected) -> Problem:
    first, total = refusal.errors[0], refusal.errors_total
    count = "1 line is bad" if total == 1 else f"{total} lines are bad"
    done = " and ".join(refusal.imported_cells)
    what = f"Only what is in {done} was imported" if done else "Nothing was imported"
    return Problem(
        StatusCode.INVALID_ARGUMENT,
        "IMPORT_REJECTED",
        f"{what}: {count}, the first is line {first.line_number}: {first.reason}",
        {"imported_cells": " ".join(refusal.imported_cells)} if done else {},
        listed=refusal.errors,
        listed_total=total,
    )


def _request_id_reused(request_id: str) -> Problem:
    text = "belongs to a different request"
    return Problem(
        StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_REUSED",
        f"The request id or idempotency key {request_id} {text}",
        {"request_id": request_id},
        listed=(Violation("request_id", text),),
    )

"""One class for each reason for which the service refuses a call.

    try:
        await client.reserve_stock("shop", "order-1", items)
    except InsufficientStock as short:
        print([(line.variant_id, line.available) for line in short.shortages])
    except InventoryRefusal as refusal:  # any other reason
        print(refusal)

All are `grpc.aio.AioRpcError`, and so `grpc.RpcError`, in the blocking client too. What is no answer of the service, as
an UNAVAILABLE or a deadline that passed, stays what gRPC raises.
"""

from __future__ import annotations

from typing import Final

import grpc

from stockkeeper_client.errors import FieldViolation, LineError, PreconditionViolation, error_details
from stockkeeper_client.refusal import (
    InventoryRefusal,
    Number,
    RefusedRow,
    ShortLine,
    Text,
    lines_of,
    short_lines_of,
)

DOMAIN: Final = "inventory.v1"


class InvalidRequest(InventoryRefusal):
    """The request is wrong in itself, whatever is in stock."""

    reason = "INVALID_REQUEST"

    @property
    def field_violations(self) -> tuple[FieldViolation, ...]:
        """The fields that are not as they must be."""
        return self.error_details.field_violations


class MalformedRequest(InvalidRequest):
    """The request cannot be read."""

    reason = "MALFORMED_REQUEST"


class RequestTooLarge(InvalidRequest):
    """The request has more than one can have."""

    reason = "REQUEST_TOO_LARGE"


class TokenUnknown(InvalidRequest):
    """The token, of a page or of a stream, is not this service's."""

    reason = "TOKEN_UNKNOWN"


class ImportIncomplete(InvalidRequest):
    """Fewer lines of an import came than were sent."""

    reason = "IMPORT_INCOMPLETE"


class RequestIdReused(InvalidRequest):
    """The request id, or the idempotency key, belongs to another request."""

    reason = "REQUEST_ID_REUSED"
    request_id = Text()


class ImportRejected(InventoryRefusal):
    """Lines of an import are bad, and nothing was imported, but by `imported_cells`."""

    reason = "IMPORT_REJECTED"

    @property
    def imported_cells(self) -> tuple[str, ...]:
        """A router asks several cells, and each decides by itself: those that have imported their lines.

        A mended file can be imported again, under another request id: what they have counted is counted once more.
        """
        return tuple(self.error_details.metadata.get("imported_cells", "").split())

    @property
    def line_errors(self) -> tuple[LineError, ...]:
        """The bad lines, the first 1,000 at most."""
        return self.error_details.line_errors

    @property
    def line_errors_total(self) -> int:
        return self.error_details.line_errors_total


class StockRefusal(InventoryRefusal):
    """It is about a row of stock: the first one, where there are several."""

    variant_id = Text()
    warehouse_id = Text()

    @property
    def lines(self) -> tuple[RefusedRow, ...]:
        """All that are refused for this reason, or as many as fit."""
        return lines_of(self.error_details.precondition_violations, self.reason)


class InsufficientStock(StockRefusal):
    """There is too little. `retry_delay_s` says when holds that would free enough run out, if they do."""

    reason = "INSUFFICIENT_STOCK"
    requested = Number()
    available = Number()

    @property
    def shortages(self) -> tuple[ShortLine, ...]:
        """All lines that are short, or as many as fit."""
        return short_lines_of(self.error_details.precondition_violations)


class StockNotFound(StockRefusal):
    """There is no such stock."""

    reason = "STOCK_NOT_FOUND"

    @property
    def shortages(self) -> tuple[ShortLine, ...]:
        """Lines of the same request that are short."""
        return short_lines_of(self.error_details.precondition_violations)


class QuantityTooLarge(StockRefusal):
    """The row would have more than a row can have."""

    reason = "QUANTITY_TOO_LARGE"
    total = Number()


class StockNotEmpty(StockRefusal):
    """A row that has pieces cannot be deleted."""

    reason = "STOCK_NOT_EMPTY"
    available = Number()
    reserved = Number()
    damaged = Number()
    in_transit = Number()


class AdjustmentRefusal(StockRefusal):
    """A row cannot be adjusted so. Its figures are those that it has."""

    requested = Number()
    total = Number()
    available = Number()
    reserved = Number()
    damaged = Number()
    in_transit = Number()


class CountIsStale(AdjustmentRefusal):
    """The row has another total than the count expected."""

    reason = "COUNT_IS_STALE"


class BelowReserved(AdjustmentRefusal):
    """Less was counted than is reserved, damaged or in transit."""

    reason = "BELOW_RESERVED"

    @property
    def uncovered(self) -> tuple[PreconditionViolation, ...]:
        """The reservations that would not be covered any more: `subject` is the reservation's id."""
        every = self.error_details.precondition_violations
        return tuple(one for one in every if one.type == "RESERVATION_UNCOVERED")


class LevelsDisagree(StockRefusal):
    """The minimum would exceed the maximum."""

    reason = "LEVELS_DISAGREE"
    min_stock = Number()
    max_stock = Number()


class WarehouseInactive(StockRefusal):
    """The warehouse is closed."""

    reason = "WAREHOUSE_INACTIVE"


class WarehouseNotFound(InventoryRefusal):
    """There is no such warehouse."""

    reason = "WAREHOUSE_NOT_FOUND"
    warehouse_id = Text()


class TooManyWarehouses(InventoryRefusal):
    """The organization would have `warehouses` of them, which is more than it may have."""

    reason = "TOO_MANY_WAREHOUSES"
    organization_id = Text()
    warehouses = Number()


class ReservationRefusal(InventoryRefusal):
    """It is about a reservation."""

    reservation_id = Text()


class ReservationExists(ReservationRefusal):
    """The order has a reservation of other lines already: `reservation_id`."""

    reason = "RESERVATION_EXISTS"


class ReservationNotFound(ReservationRefusal):
    """There is no such reservation."""

    reason = "RESERVATION_NOT_FOUND"


class ReservationOfOtherOrder(ReservationRefusal):
    """The reservation belongs to another order."""

    reason = "RESERVATION_OF_OTHER_ORDER"


class ReservationExpired(ReservationRefusal):
    """The reservation's time is over, and its goods are back in stock."""

    reason = "RESERVATION_EXPIRED"


class ReservationReleased(ReservationRefusal):
    """The reservation was given back."""

    reason = "RESERVATION_RELEASED"


class ReservationFulfilled(ReservationRefusal):
    """The reservation was shipped."""

    reason = "RESERVATION_FULFILLED"


class ReservationNotConfirmed(ReservationRefusal):
    """Only what is confirmed can be shipped."""

    reason = "RESERVATION_NOT_CONFIRMED"


class ReservationConfirmed(ReservationRefusal):
    """A confirmed reservation has no time limit."""

    reason = "RESERVATION_CONFIRMED"


class ReservationPartlyFulfilled(ReservationRefusal, StockRefusal):
    """More was shipped already than the new basket has."""

    reason = "RESERVATION_PARTLY_FULFILLED"
    requested = Number()
    shipped = Number()


class MoreThanReserved(ReservationRefusal, StockRefusal):
    """More would be shipped than is left to ship."""

    reason = "MORE_THAN_RESERVED"
    requested = Number()
    reserved = Number()


class TransferRefusal(InventoryRefusal):
    """It is about a transfer."""

    transfer_id = Text()


class TransferExists(TransferRefusal):
    """The id belongs to another transfer."""

    reason = "TRANSFER_EXISTS"


class TransferNotFound(TransferRefusal):
    """There is no such transfer."""

    reason = "TRANSFER_NOT_FOUND"


class TransferIsClosed(TransferRefusal):
    """The transfer is over: `state` is received or cancelled."""

    reason = "TRANSFER_IS_CLOSED"
    state = Text()


class MoreThanSent(TransferRefusal):
    """More was reported than is on its way."""

    reason = "MORE_THAN_SENT"
    variant_id = Text()
    sent = Number()
    open = Number()
    reported = Number()


class HistoryNotKept(InventoryRefusal):
    """What happened so long ago is not known any more."""

    reason = "HISTORY_NOT_KEPT"


class WrongCell(InventoryRefusal):
    """The server is a cell that does not have this organization, and has done nothing: ask a router, or another cell.

    `moved_to` is the cell that it has gone to, if this one had it.
    """

    reason = "WRONG_CELL"
    organization_id = Text()
    cell = Text()
    map_version = Number()
    moved_to = Text()


class Unauthenticated(InventoryRefusal):
    """The call needs a key or a token that is good. The service's log says what is wrong with this one."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(InventoryRefusal):
    """The key or token does not allow this."""

    reason = "PERMISSION_DENIED"


def _with_reasons(kind: type[InventoryRefusal]) -> dict[str, type[InventoryRefusal]]:
    found = {} if not kind.__dict__.get("reason") else {kind.reason: kind}
    for narrower in kind.__subclasses__():
        found |= _with_reasons(narrower)
    return found


BY_REASON: Final = _with_reasons(InventoryRefusal)


def typed(error: grpc.RpcError) -> grpc.RpcError:
    """The refusal that the error is; the error itself if it is none of this service's."""
    if isinstance(error, InventoryRefusal):
        return error
    details = error_details(error)
    kind = BY_REASON.get(details.reason) if details.domain == DOMAIN else None
    return error if kind is None else kind.of(error)

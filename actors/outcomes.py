"""Answers to commands: facts in the past tense, and refusals named by their cause.

Both are plain tagged values, to be remembered under an idempotency key and given again word for word. In the core a
refusal travels as the exception `Refused`; only `rpc/messages/problems.py` knows which status each one becomes.
"""

from typing import Literal

from msgspec import Struct

from actors.basket_commands import Short
from actors.cell_records import CellImported, WrongCell
from actors.commands import Line
from actors.plain_value import PlainValue
from actors.records import ReservationRecord, StockRecord
from actors.shortfall import Uncovered
from actors.staged_rows import StagingFact
from actors.transfer_outcomes import (
    MoreThanSent,
    TransferCancelled,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    TransferReceived,
    TransferShipped,
    WarehouseNotFound,
)
from actors.views import Alternative as Alternative
from actors.views import StockView
from actors.warehouse_outcomes import LevelsSet, SourcingSet, WarehouseRefusal, WarehouseUpserted

# ---- facts ------------------------------------------------------------------------------------------------------


class StockReserved(Struct, frozen=True, tag=True):
    reservation: ReservationRecord


class BasketReserved(Struct, frozen=True, tag=True):
    """The reservation, and the variants of which it has less than was asked for."""

    reservation: ReservationRecord
    short: tuple[Short, ...] = ()


class ReservationConfirmed(Struct, frozen=True, tag=True):
    reservation: ReservationRecord


class ReservationReleased(Struct, frozen=True, tag=True):
    """`reservation.state` is `expired` where there was nothing left to give back."""

    reservation: ReservationRecord


class ReservationFulfilled(Struct, frozen=True, tag=True):
    """`pieces` of `items` of the reservation's items were shipped at `at_ms`.

    `pieces` is 0 in an answer that was remembered before there were shipments in part: all of it was shipped then.
    """

    reservation: ReservationRecord
    items: int = 0
    pieces: int = 0
    at_ms: int = 0


class ReservationExtended(Struct, frozen=True, tag=True):
    reservation: ReservationRecord


class ReservationAmended(Struct, frozen=True, tag=True):
    reservation: ReservationRecord


class ReservationReacquired(Struct, frozen=True, tag=True):
    """`was_held`: it had its goods still, and nothing was taken."""

    reservation: ReservationRecord
    was_held: bool = False


class ExpiryHandled(Struct, frozen=True, tag=True):
    """Answer to `Expire`: how many reservations of the order were expired by it (0 or 1)."""

    expired: int


class OrderStandsBy(Struct, frozen=True, tag=True):
    """Answer to `StandBy`: the order's reservation, and nothing is done with it before the other change is decided."""

    reservation: ReservationRecord


class MovedRow(StockView, frozen=True):
    """A row after a change of goods. `is_new`: the change made it."""

    is_new: bool = False


class StockReceived(Struct, frozen=True, tag=True):
    rows: tuple[MovedRow, ...]
    organization_created: bool = False  # it had no row before


class StockAnnounced(Struct, frozen=True, tag=True):
    rows: tuple[MovedRow, ...]
    organization_created: bool = False


class StockDeducted(Struct, frozen=True, tag=True):
    """`lines` say from where each was taken."""

    rows: tuple[MovedRow, ...]
    lines: tuple[Line, ...]


class StockAdjusted(Struct, frozen=True, tag=True, omit_defaults=True):
    """`shortfall` says what of a loss reservations held; `released` names those, which are released."""

    rows: tuple[MovedRow, ...]
    released: tuple[str, ...] = ()
    shortfall: tuple[Uncovered, ...] = ()


class StockDeleted(Struct, frozen=True, tag=True):
    """`stock_id` of the row that is gone."""

    stock_id: str


class StockImported(Struct, frozen=True, tag=True):
    """`new_organizations` names at most 100 of those that had no row before. `cells` is empty where one has done it."""

    lines: int
    rows_created: int
    rows_changed: int
    rows_unchanged: int
    new_organizations: tuple[str, ...] = ()
    cells: tuple[CellImported, ...] = ()


Fact = (
    StockReserved
    | BasketReserved
    | ReservationConfirmed
    | ReservationReleased
    | ReservationFulfilled
    | ReservationExtended
    | ReservationAmended
    | ReservationReacquired
    | ExpiryHandled
    | OrderStandsBy
    | StockReceived
    | StockAnnounced
    | StockDeducted
    | StockAdjusted
    | StockDeleted
    | WarehouseUpserted
    | SourcingSet
    | LevelsSet
    | TransferShipped
    | TransferReceived
    | TransferCancelled
    | StockImported
    | StagingFact
)

# ---- refusals ---------------------------------------------------------------------------------------------------


class Shortage(Struct, frozen=True):
    """A row that cannot give what the basket asks of it: `requested` is the sum over the lines that meet there."""

    variant_id: str
    warehouse_id: str  # where no warehouse was named: the one with the most
    requested: int
    available: int
    alternatives: tuple[Alternative, ...] = ()  # those with the most, the most first


class MissingStock(Struct, frozen=True):
    """A row that a line names and that does not exist."""

    variant_id: str
    warehouse_id: str  # empty: in no warehouse
    alternatives: tuple[Alternative, ...] = ()


class StockNotFound(Struct, frozen=True, tag=True):
    """Some lines name what does not exist: the first of them, and whatever else is wrong with the basket."""

    variant_id: str
    warehouse_id: str  # empty: in no warehouse
    alternatives: tuple[Alternative, ...] = ()
    others: tuple[MissingStock, ...] = ()
    shortages: tuple[Shortage, ...] = ()

    @property
    def missing(self) -> tuple[MissingStock, ...]:
        """All that does not exist."""
        return (MissingStock(self.variant_id, self.warehouse_id, self.alternatives), *self.others)


class InsufficientStock(Struct, frozen=True, tag=True):
    """`retry_after_ms`: when holds that would free enough expire; 0 if that is not foreseen."""

    shortages: tuple[Shortage, ...]
    retry_after_ms: int = 0


class ReservationExists(Struct, frozen=True, tag=True):
    """The order already holds other lines."""

    reservation_id: str


class ReservationNotFound(Struct, frozen=True, tag=True):
    reservation_id: str


class ReservationOfOtherOrder(Struct, frozen=True, tag=True):
    reservation_id: str


class ReservationExpired(Struct, frozen=True, tag=True):
    reservation_id: str


class ReservationWasReleased(Struct, frozen=True, tag=True):
    reservation_id: str


class ReservationWasFulfilled(Struct, frozen=True, tag=True):
    reservation_id: str


class ReservationNotConfirmed(Struct, frozen=True, tag=True):
    """Only a confirmed reservation can be shipped."""

    reservation_id: str


class ReservationWasConfirmed(Struct, frozen=True, tag=True):
    """A confirmed reservation has no time limit that could be extended."""

    reservation_id: str


class RefusedShipment(PlainValue, frozen=True):
    """Of a row more is to be shipped, `requested`, than the reservation has left there, `reserved`."""

    variant_id: str
    warehouse_id: str  # empty: in no warehouse that the lines name
    requested: int
    reserved: int


class MoreThanReserved(Struct, frozen=True, tag=True):
    """All rows of which more is to be shipped than there is."""

    reservation_id: str
    rows: tuple[RefusedShipment, ...]


class UnaskedShipment(PlainValue, frozen=True):
    """A row from which `shipped` pieces are gone, where the new basket has only `requested`."""

    variant_id: str
    warehouse_id: str
    shipped: int
    requested: int


class ShippedAlready(Struct, frozen=True, tag=True):
    """All rows from which more was shipped than the new basket has there."""

    reservation_id: str
    rows: tuple[UnaskedShipment, ...]


class StockNotEmpty(Struct, frozen=True, tag=True):
    """Only a row without pieces of any kind can be deleted."""

    variant_id: str
    warehouse_id: str
    available: int
    reserved: int
    damaged: int
    in_transit: int


AdjustmentCause = Literal["stale", "below_reserved", "insufficient", "too_large"]


class RefusedAdjustment(Struct, frozen=True):
    """Why a row is not adjusted: a count is not of its total, or leaves less than is reserved; there is too little to
    take away; or the total would exceed 2^31-1. `record` is the row as it stands.
    """

    cause: AdjustmentCause
    record: StockRecord
    pieces: int  # that were asked for

    @property
    def variant_id(self) -> str:
        return self.record.variant_id

    @property
    def warehouse_id(self) -> str:
        return self.record.warehouse_id


class AdjustmentsRefused(Struct, frozen=True, tag=True, omit_defaults=True):
    """All rows that are wrong, and what reservations would lack if that were not so.

    With `is_cut` the shortfall goes on, with more reservations than one adjustment releases.
    """

    rows: tuple[RefusedAdjustment, ...]
    shortfall: tuple[Uncovered, ...] = ()
    is_cut: bool = False


class TooLargeRow(Struct, frozen=True):
    """A row whose total would be `total`."""

    variant_id: str
    warehouse_id: str
    total: int


class QuantityTooLarge(Struct, frozen=True, tag=True):
    """The totals of these rows would exceed 2^31-1."""

    rows: tuple[TooLargeRow, ...]


class RefusedLine(Struct, frozen=True):
    """A line of an import and why it is refused."""

    line_number: int
    reason: str


class ImportRejected(Struct, frozen=True, tag=True):
    """`errors` names at most 1,000 bad lines of `errors_total`. `imported_cells` have imported theirs all the same."""

    errors: tuple[RefusedLine, ...]
    errors_total: int
    imported_cells: tuple[str, ...] = ()


class RequestIdReused(Struct, frozen=True, tag=True):
    """The idempotency key belongs to a different request."""

    request_id: str


Refusal = (
    StockNotFound
    | InsufficientStock
    | ReservationExists
    | ReservationNotFound
    | ReservationOfOtherOrder
    | ReservationExpired
    | ReservationWasReleased
    | ReservationWasFulfilled
    | ReservationNotConfirmed
    | ReservationWasConfirmed
    | MoreThanReserved
    | ShippedAlready
    | QuantityTooLarge
    | StockNotEmpty
    | AdjustmentsRefused
    | WarehouseRefusal
    | WarehouseNotFound
    | TransferExists
    | TransferNotFound
    | TransferIsClosed
    | MoreThanSent
    | ImportRejected
    | RequestIdReused
    | WrongCell
)

Outcome = Fact | Refusal


class Refused(Exception):
    """The command was understood and turned down; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class ActorCrashed(Exception):
    """A bug in an actor's code met this message. The cause is in the log, never in the answer."""

"""What happened, as the database tells it: the views of those who look back and of those who watch.

A *movement* is one stock row's part of a transaction. A *change* is a transaction as one organization is told of it:
its rows of that organization, and what became of its reservation. Both say what is durable, and nothing else.
"""

from typing import NamedTuple

from msgspec import Struct

from actors.plain_value import PlainValue
from actors.records import ReservationState, TransactionKind, WarehouseRecord
from actors.sourcing import SourcingPolicy
from actors.transfer_records import TransferRecord

WHOLE = 2**31 - 1  # the place behind all rows of a transaction


class Point(NamedTuple):
    """How far a reader has come: up to this row of this transaction, with it."""

    lsn: int
    position: int = WHOLE


class Pieces(PlainValue, frozen=True):
    """What a row has."""

    available: int
    reserved: int
    damaged: int
    in_transit: int


class Movement(Struct, frozen=True):
    """A line of the ledger, and what it belongs to."""

    lsn: int
    position: int
    at_ms: int
    kind: TransactionKind
    variant_id: str
    warehouse_id: str
    before: Pieces
    after: Pieces
    reason: str
    reference: str
    reservation_id: str
    order_id: str
    actor: str
    correlation_id: str  # the caller's; else the request's id


class MovementPage(Struct, frozen=True, tag=True):
    """`next` is where the next page begins; None on the last one. A page may be short, and even empty, before it."""

    movements: tuple[Movement, ...]
    next: Point | None


class StockAt(Struct, frozen=True, tag=True):
    """What a row had at a time.

    Args:
        pieces: None if there was no such row, or it is not known.
        lsn: of the transaction that left it so; 0 if that is not kept.
        is_known: whether the ledger reaches back as far.
    """

    pieces: Pieces | None
    lsn: int = 0
    is_known: bool = True


class ChangedRow(PlainValue, frozen=True):
    """A row's part of a change. Where it fell to its minimum or its reorder point, `low` has those two.

    `stock_id` is given in the feed alone: an organization's own readers name a row by variant and warehouse.
    """

    position: int
    variant_id: str
    warehouse_id: str
    before: Pieces
    after: Pieces
    low: tuple[int, int] | None = None
    stock_id: str = ""


class ChangedLine(PlainValue, frozen=True):
    """A line of a reservation."""

    variant_id: str
    warehouse_id: str
    quantity: int


class ChangedReservation(Struct, frozen=True):
    """What became of a reservation. `lines` are empty where they stayed as they were, or it is over."""

    reservation_id: str
    order_id: str
    state: ReservationState
    expires_at_ms: int
    lines: tuple[ChangedLine, ...] = ()


class Change(Struct, frozen=True):
    """A transaction, or as much of it as was asked for: `is_whole` says that its last row is there."""

    lsn: int
    at_ms: int
    kind: TransactionKind
    rows: tuple[ChangedRow, ...]
    reservation: ChangedReservation | None
    warehouses: tuple[WarehouseRecord, ...]
    reference: str
    reason: str
    request_id: str
    actor: str
    correlation_id: str
    is_whole: bool = True
    transfer: TransferRecord | None = None  # as it stands after it
    sourcing: SourcingPolicy | None = None  # the organization's policy, if it was set

    @property
    def tells_anything(self) -> bool:
        """Whether something of the organization's was changed."""
        return bool(self.rows or self.reservation or self.warehouses or self.transfer or self.sourcing)


class Changes(Struct, frozen=True):
    """Some changes in their order, and up to where they are all there are."""

    changes: tuple[Change, ...]
    upto: Point | None  # None: up to the end of what was durable when they were read


class ChangesPage(Struct, frozen=True, tag=True):
    """What happened after a place.

    Args:
        upto: where to go on.
        durable_lsn: the newest transaction of all.
        first_lsn: history that is older than this is not kept.
        database_id: whose LSNs these are.
        is_known: whether the place that was asked about is one of this organization's history.
    """

    changes: tuple[Change, ...]
    upto: Point
    durable_lsn: int
    first_lsn: int
    database_id: str
    is_known: bool = True

"""What is kept: immutable records of stock rows, reservations, requests, and the transactions that change them.

Times are integers in milliseconds since 1970-01-01 UTC on the service clock; quantities are whole pieces, 0 to
2^31-1.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from actors.bounds import INT32_MAX
from actors.plain_value import PlainValue
from actors.sourcing import SourcingRecord
from actors.staged_rows import StagedRows
from actors.transfer_records import TransferRecord

ReservationState = Literal["active", "confirmed", "fulfilled", "released", "expired"]

TransactionKind = Literal[
    "reserve",
    "confirm",
    "release",
    "expire",
    "fulfill",
    "extend",
    "amend",
    "reacquire",
    "receive",
    "announce",
    "deduct",
    "adjust",
    "delete",
    "levels",
    "ship_transfer",
    "receive_transfer",
    "cancel_transfer",
    "warehouse",
    "sourcing",
    "import",
    "remember",
]


class VariantKey(NamedTuple):
    """What is sold. All of its rows, one for each warehouse, load together."""

    organization_id: str
    variant_id: str


class StockKey(NamedTuple):
    """One stock row. Tuples sort, and that order is the one in which rows are prepared."""

    organization_id: str
    variant_id: str
    warehouse_id: str

    @property
    def variant(self) -> VariantKey:
        return VariantKey(self.organization_id, self.variant_id)


class OrderKey(NamedTuple):
    """Whose reservations meet in one mailbox."""

    organization_id: str
    order_id: str


class Delta(PlainValue, frozen=True):
    """What a change adds to each quantity of a row; negative takes away."""

    available: int = 0
    reserved: int = 0
    damaged: int = 0
    in_transit: int = 0

    @property
    def total(self) -> int:
        return self.available + self.reserved + self.damaged + self.in_transit


def sum_of(deltas: Iterable[Delta]) -> Delta:
    """What several changes add together."""
    available = reserved = damaged = in_transit = 0
    for delta in deltas:
        available, reserved = available + delta.available, reserved + delta.reserved
        damaged, in_transit = damaged + delta.damaged, in_transit + delta.in_transit
    return Delta(available, reserved, damaged, in_transit)


class StockRecord(PlainValue, frozen=True):
    """A snapshot of one stock row. Version 0 is a row that does not exist yet; every change counts it up by one.

    A row that was deleted has its next version, in which `is_deleted` is set and `stock_id` is that of the row that may
    be made in its place: see `supervisor/transactions/deleting.py`.
    """

    organization_id: str
    variant_id: str
    warehouse_id: str
    stock_id: str
    available: int = 0
    reserved: int = 0
    damaged: int = 0
    in_transit: int = 0
    min_stock: int = 0
    max_stock: int = 0
    reorder_point: int = 0
    version: int = 0
    is_deleted: bool = False

    @property
    def key(self) -> StockKey:
        return StockKey(self.organization_id, self.variant_id, self.warehouse_id)

    @property
    def total(self) -> int:
        return self.available + self.reserved + self.damaged + self.in_transit

    @property
    def exists(self) -> bool:
        return self.version > 0 and not self.is_deleted

    @property
    def is_sound(self) -> bool:
        """Whether the figures are possible: another program may have written to the database."""
        try:
            self.check()
        except AssertionError:
            return False
        return True

    def check(self) -> None:
        """Assert G1 on this row: called before it is written and after it is read."""
        assert self.available >= 0, self
        assert self.reserved >= 0, self
        assert self.damaged >= 0, self
        assert self.in_transit >= 0, self
        assert self.total <= INT32_MAX, self
        assert not self.is_deleted or self.total == 0, self


class ReservationItem(PlainValue, frozen=True):
    """One line of a reservation, as it was served. `requested_warehouse_id` is empty where the planner chose."""

    variant_id: str
    warehouse_id: str
    requested_warehouse_id: str
    stock_id: str
    quantity: int
    stock_before: int  # the row's available quantity before this line …
    stock_after: int  # … and after it
    fulfilled: int = 0  # of `quantity`, how many pieces were shipped

    @property
    def unshipped(self) -> int:
        return self.quantity - self.fulfilled


class ReservationRecord(Struct, frozen=True):
    """A reservation as of its last transition."""

    reservation_id: str
    organization_id: str
    order_id: str
    state: ReservationState
    created_at_ms: int
    expires_at_ms: int
    items: tuple[ReservationItem, ...]
    confirmed_at_ms: int = 0  # 0: never confirmed
    ended_at_ms: int = 0  # 0: not yet fulfilled, released or expired
    reason: str = ""
    asked: str = ""  # see `asked_of` in `actors/basket_commands.py`

    @property
    def order(self) -> OrderKey:
        return OrderKey(self.organization_id, self.order_id)

    @property
    def quantity(self) -> int:
        return sum(item.quantity for item in self.items)

    @property
    def fulfilled(self) -> int:
        """How many pieces were shipped."""
        return sum(item.fulfilled for item in self.items)

    @property
    def holds_stock(self) -> bool:
        return self.state in ("active", "confirmed")

    def is_overdue(self, now_ms: int) -> bool:
        """Whether its time is over, expired or not (G7)."""
        return self.state == "active" and now_ms >= self.expires_at_ms

    def moved(self, state: ReservationState, at_ms: int, reason: str = "") -> "ReservationRecord":
        """The same reservation after a transition.

        Only a confirmation sets `confirmed_at_ms`; every other transition ends the reservation.
        """
        if state == "confirmed":
            return replace(self, state=state, confirmed_at_ms=at_ms)
        return replace(self, state=state, ended_at_ms=at_ms, reason=reason)


class RequestKey(NamedTuple):
    """A caller's idempotency key, in the scope of its organization; see `actors/idempotency.py` for an import's."""

    scope: str
    request_id: str


class RequestRecord(Struct, frozen=True):
    """What was answered under an idempotency key, so that a late duplicate gets the answer that the caller saw."""

    scope: str
    request_id: str
    fingerprint: str  # of the request, so that a key used for something else is noticed
    outcome: bytes  # JSON of an `actors.outcomes` value

    @property
    def key(self) -> RequestKey:
        return RequestKey(self.scope, self.request_id)


class WarehouseRecord(PlainValue, frozen=True):
    """A warehouse and the name it is shown by.

    Args:
        code: what the caller's other systems call it.
        priority: the higher goes first where the policy is to look at priorities.
        is_active: no new reservation and no sale takes from one that is not.
    """

    organization_id: str
    warehouse_id: str
    name: str
    code: str = ""
    priority: int = 0
    is_active: bool = True


class Origin(PlainValue, frozen=True):
    """Where a command came from, as its caller says: kept in the ledger, and no part of what is asked.

    The texts are empty where the caller says nothing. `traceparent` is that of the call's span, if it is traced; no
    database keeps it.
    """

    actor: str = ""
    correlation_id: str = ""
    traceparent: str = ""


From = Origin | UnsetType
"""Who a command comes from. Unset it is left out where a command is encoded, and never part of a fingerprint."""


class RowChange(PlainValue, frozen=True):
    """One row's part of a transaction: a line of the ledger."""

    before: StockRecord
    after: StockRecord

    @property
    def delta(self) -> Delta:
        before, after = self.before, self.after
        return Delta(
            after.available - before.available,
            after.reserved - before.reserved,
            after.damaged - before.damaged,
            after.in_transit - before.in_transit,
        )


class Transaction(Struct, frozen=True):
    """One entry of the journal: all or nothing, in the place that its LSN says."""

    lsn: int
    at_ms: int
    kind: TransactionKind
    changes: tuple[RowChange, ...] = ()
    reservation: ReservationRecord | None = None
    request: RequestRecord | None = None
    warehouses: tuple[WarehouseRecord, ...] = ()
    reference: str = ""  # an order, a delivery note, a shipment
    reason: str = ""
    origin: Origin | None = None
    transfer: TransferRecord | None = None
    sourcing: SourcingRecord | None = None
    warehouses_before: tuple[WarehouseRecord, ...] = ()  # those of `warehouses` that there were
    staged: StagedRows | None = None  # of an import: it changes these rows too
    positions: tuple[int, ...] = ()  # of its changes, where they are not simply counted

    def placed(self) -> Iterable[tuple[int, RowChange]]:
        """The changes, each with its position in the ledger."""
        return zip(self.positions, self.changes, strict=True) if self.positions else enumerate(self.changes)

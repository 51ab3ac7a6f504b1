"""Queries: what callers want to know. Immutable, already validated at the door, and answered from durable state.

Each names the type of its view: `answer(query: Query[V])` gives a `V`. A new query is one value here, one view in
`actors/views.py`, one validation in `rpc/messages/validation.py` and one arm in `supervisor/query_turns.py`; if the
database is asked, also a method of the `Store` port and a function in `storage/sql/reads.py`.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from actors.activity import Activity
from actors.bounds import LINES_LOOKED_AT_MAX, LINES_MAX, RESERVATIONS_LOOKED_AT_MAX, STOCK_LOOKS_MAX
from actors.cell_records import CellAnswer
from actors.changes import ChangesPage, MovementPage, Point, StockAt
from actors.commands import Line
from actors.history_feed import CursorAnswer, CursorList, FeedPage
from actors.organization_moves import (
    WHOLE,
    MoveAnswer,
    MoveStep,
    OrganizationAudit,
    OrganizationRows,
    OrganizationTally,
    Place,
    Span,
    Value,
)
from actors.organization_stays import NO_SHIFT, Shift, Stay
from actors.records import ReservationRecord, ReservationState, StockKey, TransactionKind
from actors.row_counts import Counted, CountKey, RowCounts
from actors.stock_alerts import AlertLevel, StockStatus
from actors.transfer_records import TransferState
from actors.views import (
    BasketCheck,
    Explanation,
    ReservationFound,
    ReservationPage,
    SourcingFound,
    StockPage,
    StockRows,
    TransferFound,
    TransferPage,
    WarehousePage,
)

V = TypeVar("V")


class Query(Struct, Generic[V], frozen=True):
    """A question about one organization, to which the answer is a `V`."""

    organization_id: str


class CheckBasket(Query[BasketCheck], frozen=True, tag=True):
    """What would come of reserving these lines now? A quantity of 0 asks for the figure only."""

    lines: tuple[Line, ...]


class ExplainBasket(Query[Explanation], frozen=True, tag=True):
    """From where would these lines be taken and why, or what is in the way?

    What the order holds already counts as free. With `allow_split` a line may come from several warehouses.
    """

    lines: tuple[Line, ...]
    order_id: str = ""
    allow_split: bool = False


class GetStock(Query[StockRows], frozen=True, tag=True):
    """A variant's rows, of one warehouse or, if that is empty, of all."""

    variant_id: str
    warehouse_id: str = ""


class ListStock(Query[StockPage], frozen=True, tag=True):
    """At most `limit` rows in key order, beginning after `after`. An empty variant, prefix or warehouse means all."""

    variant_id: str = ""
    warehouse_id: str = ""
    after: StockKey | None = None
    limit: int = 100
    variant_prefix: str = ""


class FindStock(Query[StockPage], frozen=True, tag=True):
    """The same of rows whose figures are so. A page ends after `looks_max` rows that were looked at, wanted or not: no
    index says which rows are short, since every reservation would pay for it.
    """

    status: StockStatus | None = None
    alert_level: AlertLevel | None = None
    variant_id: str = ""
    warehouse_id: str = ""
    variant_prefix: str = ""
    after: StockKey | None = None
    limit: int = 100
    looks_max: int = STOCK_LOOKS_MAX


class ListReservations(Query[ReservationPage], frozen=True, tag=True):
    """At most `limit` reservations, newest first, beginning before the id `before` (empty: at the newest).

    A page ends before the reservation with which it would have more than `lines_max` lines, but has one in any case. An
    empty order, variant or warehouse, a state of None or a time of 0 means all. A variant or a warehouse is that of one
    item; `created_after_ms` is the first time, `created_before_ms` the first that is too late.

    With a variant, a warehouse or a time, at most `looked_max` reservations are looked at, which have at most
    `looked_lines_max` lines together, but one in any case; and the page ends there.
    """

    state: ReservationState | None = None
    order_id: str = ""
    before: str = ""
    limit: int = 100
    lines_max: int = LINES_MAX
    variant_id: str = ""
    warehouse_id: str = ""
    created_after_ms: int = 0
    created_before_ms: int = 0
    looked_max: int = RESERVATIONS_LOOKED_AT_MAX
    looked_lines_max: int = LINES_LOOKED_AT_MAX

    @property
    def is_sifted(self) -> bool:
        """Whether some of what is looked at may not be wanted."""
        return bool(self.variant_id or self.warehouse_id or self.created_after_ms or self.created_before_ms)

    def wants(self, reservation: ReservationRecord) -> bool:
        """Whether the reservation is one of those that are asked for."""
        return (
            self.state in (None, reservation.state)
            and self.order_id in ("", reservation.order_id)
            and self.created_after_ms <= reservation.created_at_ms
            and not 0 < self.created_before_ms <= reservation.created_at_ms
            and any(
                self.variant_id in ("", item.variant_id) and self.warehouse_id in ("", item.warehouse_id)
                for item in reservation.items
            )
        )


class GetReservation(Query[ReservationFound], frozen=True, tag=True):
    """One reservation, wherever it is kept. Refused if the organization has no such reservation."""

    reservation_id: str


class ListWarehouses(Query[WarehousePage], frozen=True, tag=True):
    """At most `limit` warehouses by id, beginning after the id `after` (empty: with the first)."""

    active_only: bool = False
    after: str = ""
    limit: int = 100


class GetSourcing(Query[SourcingFound], frozen=True, tag=True):
    """The policy that decides which warehouses serve the organization's baskets."""


class ListMovements(Query[MovementPage], frozen=True, tag=True):
    """At most `limit` lines of the ledger, beginning behind `after_place` (None: at the first).

    Empty texts and kinds mean all. Times are those of the service, from `after_ms` on and before `before_ms`; 0: any.
    """

    variant_id: str = ""
    warehouse_id: str = ""
    reservation_id: str = ""
    order_id: str = ""
    reference: str = ""
    kinds: tuple[TransactionKind, ...] = ()
    after_ms: int = 0
    before_ms: int = 0
    newest_first: bool = False
    after_place: Point | None = None
    limit: int = 100


class GetStockAt(Query[StockAt], frozen=True, tag=True):
    """What the row had when all transactions up to a time had happened."""

    variant_id: str
    warehouse_id: str
    at_ms: int


class ReadChanges(Query[ChangesPage], frozen=True, tag=True):
    """What happened behind a place, at most `rows_max` rows of it; None: tell only where the history ends now.

    If nothing has, the answer waits for something to happen, but for no longer than `wait_ms`. With a `database_id` the
    place is one that this database told; where it is another one here, or `rows_max` is 0, the answer says which, and
    no more.
    """

    after: Point | None = None
    rows_max: int = 500
    wait_ms: int = 0
    database_id: str = ""


class ReadFeed(Query[FeedPage], frozen=True, tag=True):
    """As `ReadChanges`, of all organizations: `organization_id` is empty, as it is in the queries below.

    With `from_ms` it begins with what happened from that time on.
    """

    after: Point | None = None
    from_ms: int = 0
    rows_max: int = 1_000
    wait_ms: int = 0


class TakeCursor(Query[CursorAnswer], frozen=True, tag=True):
    """Have the cursor of this name, unless another relay has it.

    A cursor that there is goes on from its place; a new one begins at the end. With `begin`, or with `begin_ms`, it
    begins behind that place, or with what happened from that time on.
    """

    name: str
    begin: Point | None = None
    begin_ms: int = 0


class MoveCursor(Query[CursorAnswer], frozen=True, tag=True):
    """Still have the cursor, and move it if `point` is given. The counts are added to those it has."""

    name: str
    fence: int
    point: Point | None = None
    published: int = 0
    unroutable: int = 0
    rate: float = 0.0
    problem: str = ""
    is_release: bool = False


class DropCursor(Query[CursorAnswer], frozen=True, tag=True):
    """Forget a cursor that no relay has."""

    name: str


class ListCursors(Query[CursorList], frozen=True, tag=True):
    """All cursors."""


HistoryQuery = ListMovements | GetStockAt | ReadChanges


class GetTransfer(Query[TransferFound], frozen=True, tag=True):
    """One transfer."""

    transfer_id: str


class ListTransfers(Query[TransferPage], frozen=True, tag=True):
    """At most `limit` transfers, those shipped last first, beginning before `before` (None: with the newest).

    A page ends before the transfer with which it would have more than `lines_max` lines, but has one in any case. An
    empty warehouse, or a state of None, means all; a warehouse is that of either end.
    """

    state: TransferState | None = None
    warehouse_id: str = ""
    before: tuple[int, str] | None = None
    limit: int = 100
    lines_max: int = LINES_MAX


StateQuery = (
    CheckBasket
    | ExplainBasket
    | GetStock
    | ListStock
    | FindStock
    | ListReservations
    | GetReservation
    | ListWarehouses
    | GetSourcing
    | GetTransfer
    | ListTransfers
)
"""What is asked of the present; the others ask of the past."""

FeedQuery = ReadFeed | TakeCursor | MoveCursor | DropCursor | ListCursors
"""What relays ask. Cursors are no part of the inventory, and so no command is about them: `actors/history_feed.py`."""


class GetActivity(Query[Activity], frozen=True, tag=True):
    """What does the whole server do? The organization is empty."""


class CountRows(Query[RowCounts], frozen=True, tag=True):
    """How many reservations in which state, or rows that are low, do all organizations have? The organization is empty.

    At most `rows_max` are looked at, from behind the key `after` on: what has millions is counted in parts, between
    which others are served.
    """

    counted: Counted
    after: CountKey | None = None
    rows_max: int = 10_000


class FindOrganization(Query[CellAnswer], frozen=True, tag=True):
    """How does this server hold the organization?"""


class ClaimOrganization(Query[CellAnswer], frozen=True, tag=True):
    """Hold the organization, which no cell holds. It is asked under the map of this version and this digest."""

    version: int
    digest: str


class JoinCell(Query[CellAnswer], frozen=True, tag=True):
    """Be this cell, under the map of this version and this digest. The organization is empty."""

    cell: str
    version: int
    digest: str


CellQuery = FindOrganization | ClaimOrganization | JoinCell
"""What routers ask, and who starts the server: `supervisor/held_organizations.py`."""


class MoveOrganization(Query[MoveAnswer], frozen=True, tag=True):
    """Carry out a step of the organization's move.

    Args:
        move_id: of the try.
        cell: the other one.
        seen: the id of the last try that was seen where the step is carried out.
        stays: where the history that arrives has been; empty: it is told later.
    """

    step: MoveStep
    move_id: str
    cell: str = ""
    seen: str = ""
    stays: Sequence[Stay] = ()


class ReadOrganization(Query[OrganizationRows], frozen=True, tag=True):
    """Some rows that a table has of the organization, behind a place.

    Args:
        span: which rows are meant.
        keys_only: instead, keys under which there may be other rows than before the span.
    """

    table: str
    after: Place | None = None
    span: Span = WHOLE
    keys_only: bool = False


class WriteOrganization(Query[MoveAnswer], frozen=True, tag=True):
    """Add rows of an organization that arrives, after what it has under some keys was deleted."""

    move_id: str
    table: str
    rows: Sequence[Sequence[Value]]
    keys: Sequence[Place] = ()


class TallyOrganization(Query[OrganizationTally], frozen=True, tag=True):
    """What a table has of the organization, in a few figures, with its LSNs as they are after a shift."""

    table: str
    shift: Shift = NO_SHIFT


class AuditOrganization(Query[OrganizationAudit], frozen=True, tag=True):
    """One part of the audit of the organization's rows; they count from 0."""

    part: int


MoveQuery = MoveOrganization | ReadOrganization | WriteOrganization | TallyOrganization | AuditOrganization
"""What is asked by a program that moves an organization: `supervisor/moving.py`."""

OutsideQuery = FeedQuery | GetActivity | CountRows | CellQuery | MoveQuery
"""What is no part of the inventory."""

AnyQuery = StateQuery | HistoryQuery | OutsideQuery

"""Views: the answers to queries. They show durable state only: no reader ever sees what a crash could take back."""

from typing import Literal

from msgspec import Struct

from actors.activity import Activity
from actors.cell_records import CellAnswer
from actors.changes import ChangesPage, MovementPage, StockAt
from actors.history_feed import CursorAnswer, CursorList, FeedPage
from actors.organization_moves import MoveAnswer, OrganizationAudit, OrganizationRows, OrganizationTally
from actors.records import ReservationRecord, StockKey, StockRecord, WarehouseRecord
from actors.row_counts import RowCounts
from actors.sourcing import SourcingPolicy
from actors.transfer_records import TransferRecord


class Availability(Struct, frozen=True):
    """What a line of a basket would find.

    Args:
        warehouse_id: where the line would be served or, failing that, where the most is; empty if the stock is unknown.
        available: pieces free there, before this basket.
        found: whether the stock exists at all.
        fits: whether the line is served in this basket.
        is_closed: whether it names a warehouse that is not active.
    """

    variant_id: str
    warehouse_id: str
    requested: int
    available: int
    found: bool
    fits: bool
    is_closed: bool = False


class BasketCheck(Struct, frozen=True, tag=True):
    """A dry run of a basket: `all_available` says that reserving it would succeed now."""

    all_available: bool
    lines: tuple[Availability, ...]


class StockView(Struct, frozen=True):
    """A durable stock row and the name its warehouse is shown by."""

    record: StockRecord
    warehouse_name: str


class StockRows(Struct, frozen=True, tag=True):
    """A variant's rows by warehouse id."""

    stock: tuple[StockView, ...]


class StockPage(Struct, frozen=True, tag=True):
    """`next_key` is None on the last page."""

    stock: tuple[StockView, ...]
    next_key: StockKey | None


class ReservationPage(Struct, frozen=True, tag=True):
    """`next_before` is empty on the last page."""

    reservations: tuple[ReservationRecord, ...]
    next_before: str


class ReservationFound(Struct, frozen=True, tag=True):
    reservation: ReservationRecord


class WarehousePage(Struct, frozen=True, tag=True):
    """`next_after` is empty on the last page."""

    warehouses: tuple[WarehouseRecord, ...]
    next_after: str


class SourcingFound(Struct, frozen=True, tag=True):
    policy: SourcingPolicy


class TransferFound(Struct, frozen=True, tag=True):
    """A transfer; None: there is none."""

    transfer: TransferRecord | None


class TransferPage(Struct, frozen=True, tag=True):
    """`next_mark` is None on the last page; otherwise the time and the id that the next one begins before."""

    transfers: tuple[TransferRecord, ...]
    next_mark: tuple[int, str] | None


Why = Literal[
    "named", "serves_all", "has_most", "goes_first", "fewest_parcels", "held", "split", "short", "closed", "unknown"
]


class Alternative(Struct, frozen=True):
    """Another warehouse that has some of the variant."""

    warehouse_id: str
    available: int


class ExplainedPart(Struct, frozen=True):
    """What one of several warehouses would give of a line."""

    warehouse_id: str
    quantity: int


class ExplainedLine(Struct, frozen=True):
    """What would come of a line.

    Args:
        asked_warehouse_id: the one that it names; empty: none.
        warehouse_id: the one that would serve it; empty: it would not be served.
        why: it names that one; that one serves all lines that name none; it has the most; it goes first by its
            priority, or makes the fewest parcels, as the policy has it; the order has it there already; it comes from
            several; too few are there; the warehouse that it names
            is not active; there is no such stock.
        short: pieces that are missing there, for all lines on the row together.
        alternatives: other warehouses that have some, the most first.
        frees_at_ms: when holds that would free enough expire; 0 if that is not foreseen.
        parts: of a line that comes from several warehouses, what each gives.
    """

    variant_id: str
    asked_warehouse_id: str
    quantity: int
    warehouse_id: str
    why: Why
    short: int
    alternatives: tuple[Alternative, ...]
    frees_at_ms: int
    parts: tuple[ExplainedPart, ...] = ()


class Explanation(Struct, frozen=True, tag=True):
    """`fits` says that reserving the basket would succeed now."""

    fits: bool
    lines: tuple[ExplainedLine, ...]


MoveView = MoveAnswer | OrganizationRows | OrganizationTally | OrganizationAudit

FeedView = FeedPage | CursorAnswer | CursorList | RowCounts | CellAnswer | MoveView

HistoryView = MovementPage | StockAt | ChangesPage

View = (
    BasketCheck
    | StockRows
    | StockPage
    | ReservationPage
    | ReservationFound
    | WarehousePage
    | SourcingFound
    | TransferFound
    | TransferPage
    | Explanation
    | HistoryView
    | FeedView
    | Activity
)

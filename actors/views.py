"""Views: the answers to queries. They show durable state only: no reader ever sees what a crash could take back."""

from msgspec import Struct

from actors.records import ReservationRecord, StockKey, StockRecord, WarehouseRecord


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


View = BasketCheck | StockRows | StockPage | ReservationPage | ReservationFound | WarehousePage

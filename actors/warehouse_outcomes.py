"""Answers to commands about warehouses, beside those in `actors/outcomes.py`."""

from msgspec import Struct

from actors.records import WarehouseRecord
from actors.sourcing import SourcingPolicy
from actors.views import StockView


class WarehouseUpserted(Struct, frozen=True, tag=True):
    """The warehouse as it is now. `is_new`: the command made it."""

    warehouse: WarehouseRecord
    is_new: bool


class SourcingSet(Struct, frozen=True, tag=True):
    """The policy as it is now."""

    policy: SourcingPolicy


class ClosedRow(Struct, frozen=True):
    """A line that names a warehouse which is not active."""

    variant_id: str
    warehouse_id: str


class WarehouseInactive(Struct, frozen=True, tag=True):
    """Lines name warehouses that are not active: all of those lines."""

    rows: tuple[ClosedRow, ...]


class TooManyWarehouses(Struct, frozen=True, tag=True):
    """The organization would have this many warehouses, which is more than `WAREHOUSES_MAX`. It is about the first."""

    organization_id: str
    warehouses: int


class LevelsSet(Struct, frozen=True, tag=True):
    """The rows with their levels, in the order of the lines."""

    rows: tuple[StockView, ...]


class DisagreeingLevels(Struct, frozen=True):
    """Levels that a row cannot have together: its minimum would exceed its maximum."""

    variant_id: str
    warehouse_id: str
    min_stock: int
    max_stock: int


class LevelsDisagree(Struct, frozen=True, tag=True):
    """All rows whose levels would not agree."""

    rows: tuple[DisagreeingLevels, ...]


WarehouseRefusal = WarehouseInactive | LevelsDisagree | TooManyWarehouses
"""What is refused because of warehouses, or of the levels of rows in them."""

"""Answers to commands about warehouses, beside those in `actors/outcomes.py`."""

from msgspec import Struct

from actors.records import WarehouseRecord


class WarehouseUpserted(Struct, frozen=True, tag=True):
    """The warehouse as it is now. `is_new`: the command made it."""

    warehouse: WarehouseRecord
    is_new: bool


class ClosedRow(Struct, frozen=True):
    """A line that names a warehouse which is not active."""

    variant_id: str
    warehouse_id: str


class WarehouseInactive(Struct, frozen=True, tag=True):
    """Lines name warehouses that are not active: all of those lines."""

    rows: tuple[ClosedRow, ...]

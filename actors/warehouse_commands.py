"""Commands about warehouses themselves, beside those about goods in `actors/commands.py`."""

from msgspec import UNSET, Struct

from actors.plain_value import PlainValue
from actors.records import From
from actors.sourcing import SourcingPolicy


class UpsertWarehouse(Struct, frozen=True, tag=True):
    """Make a warehouse, or change one. What is None stays as it is, and is the default of a new one."""

    organization_id: str
    warehouse_id: str
    name: str | None
    code: str | None
    priority: int | None
    is_active: bool | None
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class LevelsLine(PlainValue, frozen=True):
    """The levels of one row. One that is None stays as it is; a maximum of 0 is none."""

    variant_id: str
    warehouse_id: str
    min_stock: int | None
    max_stock: int | None
    reorder_point: int | None


class SetLevels(Struct, frozen=True, tag=True):
    """From where on goods are few, are to be ordered again, or are too many: all rows or none, each once."""

    organization_id: str
    lines: tuple[LevelsLine, ...]
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


class SetSourcing(Struct, frozen=True, tag=True):
    """From now on this policy decides which warehouses serve the organization's baskets."""

    organization_id: str
    policy: SourcingPolicy
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


WarehouseCommand = UpsertWarehouse | SetSourcing | SetLevels
"""What is about the places of goods and not about pieces."""

"""Commands about warehouses themselves, beside those about goods in `actors/commands.py`."""

from msgspec import Struct


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

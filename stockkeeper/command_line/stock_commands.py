"""What is in stock."""

from typing import Literal

from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.inventory_pb2 import StockInfo

from stockkeeper.command_line.output import Column, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RowsMax, Target, Watch
from stockkeeper.command_line.server_call import call
from stockkeeper.command_line.watched_list import watched
from stockkeeper.config import ConfigurationError

PAGE_ROWS_MAX = 1_000

Status = Literal["in_stock", "low_stock", "out_of_stock"]
Alert = Literal["critical", "warning"]

STOCK_COLUMNS = (
    Column("Variant"),
    Column("Warehouse"),
    Column("Name", need=3),
    Column("Total", need=2, justify="right"),
    Column("Available", justify="right"),
    Column("Reserved", need=1, justify="right"),
    Column("Damaged", need=4, justify="right"),
    Column("In transit", need=4, justify="right"),
    Column("Status", need=5),
)


def stock(
    organization_id: str,
    variant_id: str = "",
    /,
    *,
    warehouse: str = "",
    at: str = "",
    prefix: str = "",
    status: Status | None = None,
    alert: Alert | None = None,
    rows: RowsMax = 100,
    watch: Watch = False,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show an organization's stock.

    Parameters
    ----------
    variant_id
        Only this variant.
    warehouse
        Only this warehouse.
    at
        What the row had at this time, as 2026-01-31T12:00:00Z. Variant and warehouse must be named.
    prefix
        Only variants whose id begins so.
    status
        Only rows of which nothing, little or enough is available.
    alert
        Only rows at or below their minimum (critical), or else at or below their reorder point (warning).
    """
    if at and watch:
        raise ConfigurationError("What a row had at a time does not change: --at and --watch do not go together.")
    if at and not (variant_id and warehouse):
        raise ConfigurationError("With --at, a variant and --warehouse name the row.")

    async def run(client: InventoryClient) -> int:
        if at:
            then = await client.stock.get_stock_at(organization_id, variant_id, warehouse, at)
            row = then.stock_info
            said = f"{row.available_quantity} available, {row.reserved_quantity} reserved"
            said += f", {row.damaged_quantity} damaged, {row.in_transit_quantity} in transit"
            return show(then, [f"{then.message}, {variant_id}@{warehouse}: {said}."], as_json=json)
        found = client.stock.list_stock(
            organization_id,
            variant_id=variant_id,
            warehouse_id=warehouse,
            variant_prefix=prefix,
            status=status or "",
            alert_level=alert or "",
            page_size=min(rows + 1, PAGE_ROWS_MAX),
        )
        sentence = f"{organization_id} has no such stock."
        shown = await print_list(found, STOCK_COLUMNS, _stock_cells, rows, as_json=json, if_empty=sentence)
        return 0 if shown else 1

    return call(target, watched(organization_id, run) if watch else run)


def _stock_cells(row: StockInfo) -> tuple[str, ...]:
    return (
        row.variant_id,
        row.warehouse_id,
        row.warehouse_name,
        str(row.total_quantity),
        str(row.available_quantity),
        str(row.reserved_quantity),
        str(row.damaged_quantity),
        str(row.in_transit_quantity),
        row.stock_status,
    )

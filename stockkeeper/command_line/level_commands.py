"""Levels of rows: from where on goods are few, and which are."""

from functools import partial
from typing import Annotated
from uuid import uuid4

from stockkeeper_client import InventoryClient, RowLevels
from stockkeeper_client.v1.stock_pb2 import StockLevels

from stockkeeper.command_line.goods_commands import Reason, Reference, _ids_of
from stockkeeper.command_line.output import Column, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, RowsMax, Target, Watch, whole
from stockkeeper.command_line.server_call import call, under_request_id
from stockkeeper.command_line.stock_commands import PAGE_ROWS_MAX, Alert
from stockkeeper.command_line.watched_list import watched
from stockkeeper.config import ConfigurationError

LEVEL_COLUMNS = (
    Column("Variant"),
    Column("Warehouse"),
    Column("Minimum", justify="right"),
    Column("Reorder point", justify="right"),
    Column("Maximum", need=1, justify="right"),
)
Level = Annotated[int | None, whole(0)]


def levels(
    organization_id: str,
    row: str = "",
    /,
    *,
    min: Level = None,  # noqa: A002 - the option is called so
    max: Level = None,  # noqa: A002
    reorder_point: Level = None,
    alert: Alert | None = None,
    warehouse: str = "",
    rows: RowsMax = 100,
    watch: Watch = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show the levels of rows, or set those of one.

    Parameters
    ----------
    row
        variant@warehouse; without it, all rows are shown.
    min
        The row is low on stock at this number of pieces or fewer.
    max
        More pieces than this are too many; 0 for no such level.
    reorder_point
        At this number of pieces or fewer, goods are to be ordered again.
    alert
        Show only rows at or below their minimum (critical), or else at or below their reorder point (warning).
    warehouse
        Show only this warehouse.
    """
    given: RowLevels = {"variant_id": "", "warehouse_id": ""}
    if min is not None:
        given["min_stock"] = min
    if max is not None:
        given["max_stock"] = max
    if reorder_point is not None:
        given["reorder_point"] = reorder_point
    if not row and len(given) > 2:
        raise ConfigurationError("A level is set of a row: variant@warehouse.")
    if row and watch:
        raise ConfigurationError("--watch shows the levels of all rows: name none, or --warehouse.")
    if not row:
        listed = partial(_list, organization_id, alert, warehouse, rows, json)
        return call(target, watched(organization_id, listed) if watch else listed)
    given["variant_id"], given["warehouse_id"] = _ids_of(row)
    if len(given) == 2:
        raise ConfigurationError("To set levels of a row, give --min, --max or --reorder-point.")
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.set_stock_levels(
            organization_id, [given], reason=reason, reference=reference, request_id=request_id
        )
        now = answer.levels[0]
        sentence = f"{row} is low at {now.min_stock} and to be ordered again at {now.reorder_point}"
        most = f"; it should not exceed {now.max_stock}" if now.max_stock else ""
        return show(answer, [f"{sentence}{most}."], as_json=json)

    return call(target, run, again=under_request_id(request_id))


async def _list(
    organization_id: str, alert: Alert | None, warehouse: str, rows: int, json: bool, client: InventoryClient
) -> int:
    page_size = rows + 1 if rows < PAGE_ROWS_MAX else PAGE_ROWS_MAX
    found = client.stock.list_stock_levels(
        organization_id, warehouse_id=warehouse, alert_level=alert or "", page_size=page_size
    )
    its_levels = (levels async for _, levels in found)
    sentence = f"{organization_id} has no such stock."
    shown = await print_list(its_levels, LEVEL_COLUMNS, _cells, rows, as_json=json, if_empty=sentence)
    return 0 if shown else 1


def _cells(row: StockLevels) -> tuple[str, ...]:
    most = str(row.max_stock) if row.max_stock else "none"
    return (row.variant_id, row.warehouse_id, str(row.min_stock), str(row.reorder_point), most)

"""Warehouses: made, changed, closed, listed."""

from typing import Annotated
from uuid import uuid4

from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import Warehouse

from stockkeeper.command_line.goods_commands import Flag, Reason, Reference
from stockkeeper.command_line.output import Column, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, RowsMax, Target, Watch, whole
from stockkeeper.command_line.server_call import call, under_request_id
from stockkeeper.command_line.stock_commands import PAGE_ROWS_MAX
from stockkeeper.command_line.watched_list import watched
from stockkeeper.config import ConfigurationError

WAREHOUSE_COLUMNS = (
    Column("Warehouse"),
    Column("Name", need=2),
    Column("Code", need=3),
    Column("Priority", need=1, justify="right"),
    Column("Active"),
)


def warehouses(
    organization_id: str,
    /,
    *,
    active_only: Flag = False,
    rows: RowsMax = 100,
    watch: Watch = False,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show an organization's warehouses.

    Parameters
    ----------
    active_only
        Leave out those that are closed.
    """

    async def run(client: InventoryClient) -> int:
        page_size = min(rows + 1, PAGE_ROWS_MAX)
        found = client.stock.list_warehouses(organization_id, active_only=active_only, page_size=page_size)
        sentence = f"{organization_id} has no such warehouse."
        shown = await print_list(found, WAREHOUSE_COLUMNS, _cells, rows, as_json=json, if_empty=sentence)
        return 0 if shown else 1

    return call(target, watched(organization_id, run) if watch else run)


def warehouse(
    organization_id: str,
    warehouse_id: str,
    /,
    *,
    name: str | None = None,
    code: str | None = None,
    priority: Annotated[int | None, whole(0)] = None,
    close: Flag = False,
    reopen: Flag = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Make a warehouse, or change what is given of one.

    Parameters
    ----------
    name
        What it is shown as.
    code
        What other systems call it.
    priority
        The higher goes first, where the sourcing policy looks at priorities.
    close
        No new reservation and no sale takes from it; what is held there goes on.
    reopen
        Goods are taken from it again.
    """
    if close and reopen:
        raise ConfigurationError("A warehouse can be closed or reopened, not both.")
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.upsert_warehouse(
            organization_id,
            warehouse_id,
            name=name,
            code=code,
            priority=priority,
            active=False if close else True if reopen else None,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        it = answer.warehouse
        state = "is active" if it.active else "is closed"
        return show(answer, [f"{answer.message}: {it.warehouse_id} ({it.name}) {state}."], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _cells(row: Warehouse) -> tuple[str, ...]:
    return (row.warehouse_id, row.name, row.code, str(row.priority), "yes" if row.active else "no")

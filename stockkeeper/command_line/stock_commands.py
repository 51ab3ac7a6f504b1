"""What is in stock, and goods that come in."""

from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.inventory_pb2 import StockInfo

from stockkeeper.command_line.output import Column, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, RowsMax, Target, whole
from stockkeeper.command_line.server_call import call, under_request_id

PAGE_ROWS_MAX = 1_000

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
    rows: RowsMax = 100,
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
    """

    async def run(client: InventoryClient) -> int:
        found = client.stock.list_stock(
            organization_id, variant_id=variant_id, warehouse_id=warehouse, page_size=min(rows + 1, PAGE_ROWS_MAX)
        )
        sentence = f"{organization_id} has no such stock."
        shown = await print_list(found, STOCK_COLUMNS, _stock_cells, rows, as_json=json, if_empty=sentence)
        return 0 if shown else 1

    return call(target, run)


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


def receive(
    organization_id: str,
    variant_id: str,
    warehouse_id: str,
    quantity: Annotated[int, whole(1)],
    /,
    *,
    from_in_transit: Annotated[bool, Parameter(negative="")] = False,
    reason: str = "",
    reference: str = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Add goods that came in to a row, which is made if it does not exist.

    Parameters
    ----------
    from_in_transit
        They had been announced: take them from what the row has in transit.
    reason
        Why they came, for the ledger.
    reference
        The delivery note or other paper, for the ledger.
    """
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.receive_stock(
            organization_id,
            variant_id,
            warehouse_id,
            quantity,
            from_in_transit=from_in_transit,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        available, total = answer.available_quantity, answer.total_quantity
        sentences = [f"{available} {variant_id} are available in {warehouse_id}, {total} in all."]
        if answer.row_created:
            sentences.append(f"This is a new row: there was no {variant_id} in {warehouse_id}.")
        if answer.organization_created:
            sentences.append(f"This is a new organization: {organization_id} had no stock.")
        return show(answer, sentences, as_json=json)

    return call(target, run, again=under_request_id(request_id))

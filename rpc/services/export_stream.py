"""StockService.ExportStock: pages of rows, each read once the lines of the one before are written.

So a caller that reads slowly costs a page of memory and no more. A page is a large request like any other and waits for
its turn.
"""

from collections.abc import AsyncGenerator

from msgspec.structs import replace
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.queries import ListStock
from actors.views import StockPage
from rpc.fair_turns import PAGE_BYTES, FairTurns
from rpc.inventory_port import Inventory
from rpc.messages.export_messages import export_stock, exported


async def export(
    inventory: Inventory, turns: FairTurns, request: pb.ExportStockRequest, source: str = ""
) -> AsyncGenerator[pb.ImportLine, None]:
    """The lines that answer a request.

    Args:
        source: whose turns it takes, beside its organization's.

    Raises:
        Invalid: the request is wrong.
        Unavailable: not now, or not to the end; the caller may begin again.
    """
    query = export_stock(request)
    while True:
        page = await _page(inventory, turns, query, source)
        for view in page.stock:
            yield exported(view)
        if page.next_key is None:
            return
        query = replace(query, after=page.next_key)


async def _page(inventory: Inventory, turns: FairTurns, query: ListStock, source: str) -> StockPage:
    await turns.turn(query.organization_id, PAGE_BYTES, source)
    try:
        return await inventory.answer(query).wait()
    finally:
        turns.end(query.organization_id, PAGE_BYTES, source)

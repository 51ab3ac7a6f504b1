"""The calls about levels of rows, a part of `StockClient`."""

from collections.abc import AsyncIterator, Iterable
from typing import Literal

from stockkeeper_client.items import REQUIRED_OF_ROW, RowLevels, to_messages
from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import inventory_pb2
from stockkeeper_client.v1 import stock_pb2 as pb

Status = Literal["", "in_stock", "low_stock", "out_of_stock"]
Alert = Literal["", "critical", "warning"]


class LevelCalls(StockCalls):
    """From where on goods are few, and which are."""

    async def set_stock_levels(
        self,
        organization_id: str,
        levels: Iterable[RowLevels | pb.StockLevels],
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.SetStockLevelsResponse:
        """Sets from where on rows are low, to be ordered again, or too full; all rows or none, each once.

        >>> mugs = {"variant_id": "mug", "warehouse_id": "madrid", "min_stock": 3, "reorder_point": 12}
        >>> answer = await client.stock.set_stock_levels("shop", [mugs])
        >>> answer.levels[0].reorder_point, answer.levels[0].max_stock
        (12, 0)
        """
        request = pb.SetStockLevelsRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            levels=to_messages(pb.StockLevels, levels, "levels", REQUIRED_OF_ROW),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.SetStockLevels, request, timeout_s=timeout_s)

    async def list_stock(
        self,
        organization_id: str,
        *,
        variant_id: str = "",
        warehouse_id: str = "",
        variant_prefix: str = "",
        status: Status = "",
        alert_level: Alert = "",
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[inventory_pb2.StockInfo]:
        """All stock rows, of one variant or warehouse if given, by variant and warehouse; or those of which few are
        left.

        `page_size` rows, at most 1,000, are fetched with each call, and `timeout_s` is for each. What changes between
        two pages may be missed or seen twice.

        >>> [(row.warehouse_id, row.available_quantity) async for row in client.stock.list_stock("shop")]
        [('lisbon', 5), ('madrid', 10)]
        >>> [row.warehouse_id async for row in client.stock.list_stock("shop", status="out_of_stock")]
        []
        """
        asked = (variant_id, warehouse_id, variant_prefix, status, alert_level, page_size, timeout_s)
        async for page in self._stock_pages(organization_id, *asked):
            for row in page.stock_info:
                yield row

    async def list_stock_levels(
        self,
        organization_id: str,
        *,
        variant_id: str = "",
        warehouse_id: str = "",
        variant_prefix: str = "",
        status: Status = "",
        alert_level: Alert = "",
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[tuple[inventory_pb2.StockInfo, pb.StockLevels]]:
        """What `list_stock` gives, each row with its levels.

        >>> found = client.stock.list_stock_levels("shop", warehouse_id="madrid")
        >>> [(row.available_quantity, levels.reorder_point) async for row, levels in found]
        [(10, 0)]
        """
        asked = (variant_id, warehouse_id, variant_prefix, status, alert_level, page_size, timeout_s)
        async for page in self._stock_pages(organization_id, *asked):
            for row, levels in zip(page.stock_info, page.levels, strict=True):
                yield row, levels

    async def _stock_pages(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_id: str,
        variant_prefix: str,
        status: Status,
        alert_level: Alert,
        page_size: int,
        timeout_s: float | None,
    ) -> AsyncIterator[pb.ListStockResponse]:
        request = pb.ListStockRequest(
            organization_id=organization_id,
            variant_id=variant_id,
            warehouse_id=warehouse_id,
            variant_prefix=variant_prefix,
            status=f"STOCK_STATUS_{(status or 'unspecified').upper()}",
            alert_level=f"ALERT_LEVEL_{(alert_level or 'unspecified').upper()}",
            page_size=page_size,
        )
        while True:
            page = await self._connection.call(self.stub.ListStock, request, timeout_s=timeout_s)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

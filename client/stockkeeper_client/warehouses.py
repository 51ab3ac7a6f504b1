"""The calls about warehouses, a part of `StockClient`."""

from collections.abc import AsyncIterator

from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb


class WarehouseCalls(StockCalls):
    """Warehouses are made, changed, closed and listed."""

    async def upsert_warehouse(
        self,
        organization_id: str,
        warehouse_id: str,
        *,
        name: str | None = None,
        code: str | None = None,
        priority: int | None = None,
        active: bool | None = None,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.UpsertWarehouseResponse:
        """Makes a warehouse, or changes what is given of one.

        With `active=False` no new reservation and no sale takes goods from it; what is held there goes on.

        >>> made = await client.stock.upsert_warehouse("shop", "paris", name="Paris", priority=10)
        >>> closed = await client.stock.upsert_warehouse("shop", "paris", active=False, reason="stocktaking")
        >>> closed.warehouse.name, closed.warehouse.active
        ('Paris', False)
        """
        warehouse = pb.Warehouse(warehouse_id=warehouse_id, name=name, code=code, priority=priority, active=active)
        request = pb.UpsertWarehouseRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            warehouse=warehouse,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.UpsertWarehouse, request, timeout_s=timeout_s)

    async def list_warehouses(
        self,
        organization_id: str,
        *,
        active_only: bool = False,
        page_size: int = 100,
        timeout_s: float | None = None,
    ) -> AsyncIterator[pb.Warehouse]:
        """All warehouses of an organization, by id. Pages are as in `list_stock`.

        >>> async for warehouse in client.stock.list_warehouses("shop", active_only=True):
        ...     print(warehouse.warehouse_id)
        lisbon
        madrid
        """
        request = pb.ListWarehousesRequest(
            organization_id=organization_id, active_only=active_only, page_size=page_size
        )
        while True:
            page = await self._connection.call(self.stub.ListWarehouses, request, timeout_s=timeout_s)
            for warehouse in page.warehouses:
                yield warehouse
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

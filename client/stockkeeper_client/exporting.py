"""The call that exports stock, a part of `StockClient`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb


class ExportCalls(StockCalls):
    """Everything that is in stock, as `import_stock` takes it."""

    async def export_stock(
        self,
        organization_id: str,
        *,
        variant_prefix: str = "",
        warehouse_id: str = "",
        timeout_s: float = 600.0,
    ) -> AsyncGenerator[pb.ImportLine, None]:
        """All stock rows by variant and warehouse, or those of some variants or of a warehouse, as lines for
        `import_stock`, which changes nothing if it is given them at once.

        They come over one stream, and `timeout_s` is for all of it. Each row is as it was at one time, and different
        rows may be of different times. The call is retried by itself until its first line comes; if it fails after
        that, begin again. To stop early, close it, as with `contextlib.aclosing`.

        >>> async for line in client.stock.export_stock("shop", warehouse_id="madrid"):
        ...     print(line.variant_id, line.total_quantity)
        mug 10
        """
        request = pb.ExportStockRequest(
            organization_id=organization_id, variant_prefix=variant_prefix, warehouse_id=warehouse_id
        )
        lines = self._connection.download(self.stub.ExportStock, request, timeout_s=timeout_s)
        async with aclosing(lines):
            async for line in lines:
                yield line

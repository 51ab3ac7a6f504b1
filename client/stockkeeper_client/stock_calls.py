"""What all parts of the client of StockService have in common: a connection and the generated stub."""

from stockkeeper_client.connection import Connection
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub


class StockCalls:
    """Calls StockService over a connection that others use too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub: StockServiceStub | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._connection}>"

    @property
    def stub(self) -> StockServiceStub:
        """The generated stub. It has the retries, but no deadline and no breaker.

        >>> from stockkeeper_client.v1.stock_pb2 import ListStockRequest
        >>> len((await client.stock.stub.ListStock(ListStockRequest(organization_id="shop"), timeout=5)).stock_info)
        2
        """
        if self._stub is None:
            self._stub = StockServiceStub(self._connection.channel)
        return self._stub

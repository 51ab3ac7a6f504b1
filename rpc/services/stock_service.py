"""The warehouse's and the operator's side, as thin as `rpc.services.inventory_service`."""

from collections.abc import AsyncIterator

from anyio.lowlevel import checkpoint
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.outcomes import StockImported
from rpc.frame import Deferred
from rpc.inventory_port import Inventory
from rpc.messages import responses, validation
from rpc.messages.import_lines import ImportLines
from rpc.messages.page_tokens import reservation_token, stock_token
from rpc.transport.transport_port import Context


class StockServicer:
    """`inventory.v1.StockService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def ImportStock(
        self, request_iterator: AsyncIterator[pb.ImportStockRequest], context: Context
    ) -> pb.ImportStockResponse:
        lines = ImportLines()
        async for request in request_iterator:
            for _ in lines.add(request):
                await checkpoint()  # a message may hold 200,000 lines, and others want to be served
        fact = await self._inventory.ask(lines.command())
        assert isinstance(fact, StockImported), fact
        return responses.imported(fact)

    def ReceiveStock(self, request: pb.ReceiveStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.receive(request)), responses.received)

    def FulfillReservation(self, request: pb.FulfillReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.fulfill(request)), responses.fulfilled)

    async def ListStock(self, request: pb.ListStockRequest, context: Context) -> pb.ListStockResponse:
        query = validation.list_stock(request)
        page = await self._inventory.list_stock(
            query.organization_id,
            variant_id=query.variant_id,
            warehouse_id=query.warehouse_id,
            after=query.after,
            limit=query.limit,
        )
        return pb.ListStockResponse(
            stock_info=responses.stock_info(page.stock), next_page_token=stock_token(page.next_key)
        )

    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: Context
    ) -> pb.ListReservationsResponse:
        query = validation.list_reservations(request)
        page = await self._inventory.list_reservations(
            query.organization_id, state=query.state, order_id=query.order_id, before=query.before, limit=query.limit
        )
        return pb.ListReservationsResponse(
            reservations=[responses.reservation(record) for record in page.reservations],
            next_page_token=reservation_token(query.organization_id, page.next_before),
        )

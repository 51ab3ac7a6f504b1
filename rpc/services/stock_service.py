"""The warehouse's and the operator's side, as thin as `rpc.services.inventory_service`."""

import logging
from collections.abc import AsyncIterator
from functools import partial

from anyio import current_time
from anyio.lowlevel import checkpoint
from msgspec.structs import asdict
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.bounds import ID_CHARACTERS_MAX
from actors.outcomes import Fact, StockImported
from rpc.frame import Deferred
from rpc.in_flight import InFlightLimit
from rpc.inventory_port import Inventory
from rpc.messages import explanation_messages as explanations
from rpc.messages import level_messages as levels
from rpc.messages import reservation_answers, reservation_requests, responses, validation
from rpc.messages import transfer_messages as transfers
from rpc.messages import warehouse_messages as warehouses
from rpc.messages.import_lines import ImportLines
from rpc.transport.transport_port import Context

log = logging.getLogger(__name__)

ERROR_CHARACTERS_MAX = 500  # a refusal may name 1,000 lines


class StockServicer:
    """`inventory.v1.StockService`.

    Args:
        imports: counts the imports by the organization of their first line, so that one leaves some for others.
    """

    def __init__(self, inventory: Inventory, imports: InFlightLimit | None = None) -> None:
        self._inventory = inventory
        self._imports = imports or InFlightLimit(None, "imports")

    def __repr__(self) -> str:
        return f"<StockServicer of {self._inventory!r}>"

    async def ImportStock(
        self, request_iterator: AsyncIterator[pb.ImportStockRequest], context: Context
    ) -> pb.ImportStockResponse:
        lines, began_s = ImportLines(), current_time()
        organization_id: str | None = None
        try:
            async for request in request_iterator:
                if organization_id is None and request.lines:
                    self._imports.enter(organization := request.lines[0].organization_id[:ID_CHARACTERS_MAX])
                    organization_id = organization
                for _ in lines.add(request):
                    await checkpoint()  # a message may hold 200,000 lines, and others want to be served
            fact = await self._import(lines)
        finally:
            if organization_id is not None:
                self._imports.leave(organization_id)
        assert isinstance(fact, StockImported), fact
        log.info("stock_imported", extra={**asdict(fact), "took_s": round(current_time() - began_s, 3)})
        return responses.imported(fact)

    async def _import(self, lines: ImportLines) -> Fact:
        try:
            return await self._inventory.ask(lines.command())
        except Exception as error:
            values = {"lines": repr(lines), "error": repr(error)[:ERROR_CHARACTERS_MAX]}
            log.info("import_refused", extra=values)
            raise

    def ReceiveStock(self, request: pb.ReceiveStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.receive(request)), responses.received)

    def AnnounceStock(self, request: pb.AnnounceStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.announce(request)), responses.announced)

    def DeductStock(self, request: pb.DeductStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.deduct(request)), responses.deducted)

    def AdjustStock(self, request: pb.AdjustStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.adjust(request)), responses.adjusted)

    def DeleteStock(self, request: pb.DeleteStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.delete(request)), responses.deleted)

    def ExplainReservation(self, request: pb.ExplainReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(explanations.explain(request)), explanations.explanation)

    def ShipTransfer(self, request: pb.ShipTransferRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(transfers.ship_transfer(request)), transfers.shipped)

    def ReceiveTransfer(self, request: pb.ReceiveTransferRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(transfers.receive_transfer(request)), transfers.received)

    def CancelTransfer(self, request: pb.CancelTransferRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(transfers.cancel_transfer(request)), transfers.cancelled)

    def GetTransfer(self, request: pb.GetTransferRequest, context: Context) -> Deferred:
        query = transfers.get_transfer(request)
        return Deferred(self._inventory.answer(query), transfers.found(query.transfer_id))

    def ListTransfers(self, request: pb.ListTransfersRequest, context: Context) -> Deferred:
        query = transfers.list_transfers(request)
        return Deferred(self._inventory.answer(query), transfers.page(query.organization_id))

    def UpsertWarehouse(self, request: pb.UpsertWarehouseRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(warehouses.upsert_warehouse(request)), warehouses.upserted)

    def ListWarehouses(self, request: pb.ListWarehousesRequest, context: Context) -> Deferred:
        query = warehouses.list_warehouses(request)
        return Deferred(self._inventory.answer(query), warehouses.warehouse_page(query.organization_id))

    def FulfillReservation(self, request: pb.FulfillReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(reservation_requests.fulfill(request)), reservation_answers.fulfilled)

    def ExtendReservation(self, request: pb.ExtendReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(reservation_requests.extend(request)), reservation_answers.extended)

    def AmendReservation(self, request: pb.AmendReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(reservation_requests.amend(request)), reservation_answers.amended)

    def ReacquireReservation(self, request: pb.ReacquireReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(reservation_requests.reacquire(request)), reservation_answers.reacquired)

    def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> Deferred:
        return Deferred(
            self._inventory.answer(reservation_requests.get_reservation(request)), reservation_answers.found
        )

    def ListStock(self, request: pb.ListStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(levels.list_stock(request)), levels.stock_page)

    def SetStockLevels(self, request: pb.SetStockLevelsRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(levels.set_stock_levels(request)), levels.levels_set)

    def ListReservations(self, request: pb.ListReservationsRequest, context: Context) -> Deferred:
        query = reservation_requests.list_reservations(request)
        return Deferred(self._inventory.answer(query), partial(responses.reservation_page, query.organization_id))

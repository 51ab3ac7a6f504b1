"""The Order Service's side: check the request, ask the core, put its answer into the contract's words.

Errors are not handled here but in `rpc.handlers`, once for all methods.
"""

from inventory.v1 import inventory_pb2 as pb
from inventory.v1.inventory_pb2_grpc import InventoryServiceServicer

from actors.outcomes import ReservationConfirmed, ReservationReleased, StockReserved
from rpc import answers, validation
from rpc.handlers import Context
from rpc.service import Inventory


class InventoryServicer(InventoryServiceServicer):
    """`inventory.v1.InventoryService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, context: Context
    ) -> pb.CheckAvailabilityResponse:
        line = validation.check_availability(request)
        check = await self._inventory.check(request.organization_id, [line])
        return answers.availability(check.lines[0])

    async def CheckBulkAvailability(
        self, request: pb.CheckBulkAvailabilityRequest, context: Context
    ) -> pb.CheckBulkAvailabilityResponse:
        lines = validation.check_bulk_availability(request)
        return answers.bulk_availability(await self._inventory.check(request.organization_id, lines))

    async def ReserveStock(self, request: pb.ReserveStockRequest, context: Context) -> pb.ReserveStockResponse:
        command = validation.reserve(request, context.invocation_metadata() or ())
        fact = await self._inventory.ask(command)
        assert isinstance(fact, StockReserved), fact
        return answers.reserved(fact)

    async def ConfirmReservation(
        self, request: pb.ConfirmReservationRequest, context: Context
    ) -> pb.ConfirmReservationResponse:
        fact = await self._inventory.ask(validation.confirm(request))
        assert isinstance(fact, ReservationConfirmed), fact
        return answers.confirmed(fact)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Context
    ) -> pb.ReleaseReservationResponse:
        fact = await self._inventory.ask(validation.release(request))
        assert isinstance(fact, ReservationReleased), fact
        return answers.released(fact)

    async def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Context) -> pb.GetStockInfoResponse:
        validation.stock_info(request)
        views = await self._inventory.stock_info(request.organization_id, request.variant_id, request.warehouse_id)
        return pb.GetStockInfoResponse(stock_info=answers.stock_info(views))

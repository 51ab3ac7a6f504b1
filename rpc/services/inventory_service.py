"""The Order Service's side: check the request, ask the core, put its answer into the contract's words.

Errors are not handled here but in `rpc.frame`, once for all methods.
"""

from collections.abc import Callable, Sequence
from typing import Any

from stockkeeper_client.v1 import inventory_pb2 as pb

from actors.commands import Line
from actors.views import BasketCheck
from rpc.frame import Deferred
from rpc.inventory_port import Inventory
from rpc.messages import responses, validation
from rpc.messages.descriptors import Message
from rpc.transport.transport_port import Context


class InventoryServicer:
    """`inventory.v1.InventoryService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def CheckAvailability(self, request: pb.CheckAvailabilityRequest, context: Context) -> Any:
        line = validation.check_availability(request)
        check = self._inventory.check_at_once(request.organization_id, [line])
        if check is not None:
            return responses.availability(check.lines[0])
        return self._check(request.organization_id, [line], lambda check: responses.availability(check.lines[0]))

    def CheckBulkAvailability(self, request: pb.CheckBulkAvailabilityRequest, context: Context) -> Any:
        lines = validation.check_bulk_availability(request)
        return self._check(request.organization_id, lines, responses.bulk_availability)

    def ReserveStock(self, request: pb.ReserveStockRequest, context: Context) -> Deferred:
        command = validation.reserve(request, context.invocation_metadata())
        return Deferred(self._inventory.submit(command), responses.reserved)

    def ConfirmReservation(self, request: pb.ConfirmReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.confirm(request)), responses.confirmed)

    def ReleaseReservation(self, request: pb.ReleaseReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.submit(validation.release(request)), responses.released)

    async def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Context) -> pb.GetStockInfoResponse:
        validation.stock_info(request)
        views = await self._inventory.stock_info(request.organization_id, request.variant_id, request.warehouse_id)
        return pb.GetStockInfoResponse(stock_info=responses.stock_info(views))

    async def _check(
        self, organization_id: str, lines: Sequence[Line], answer: Callable[[BasketCheck], Message]
    ) -> Message:
        return answer(await self._inventory.check(organization_id, lines))

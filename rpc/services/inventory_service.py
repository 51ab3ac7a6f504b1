"""The Order Service's side: check the request, ask the core, put its answer into the contract's words.

Errors are not handled here but in `rpc.frame`, once for all methods.
"""

from functools import partial

from stockkeeper_client.v1 import inventory_pb2 as pb

from actors.commands import CallersCommand
from actors.outcomes import Fact
from actors.reply import Reply
from rpc.call_answers import Deferred
from rpc.inventory_port import Inventory
from rpc.messages import responses, validation
from rpc.messages.origins import attributed, origin_of_call
from rpc.transport.transport_port import Context


class InventoryServicer:
    """`inventory.v1.InventoryService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __repr__(self) -> str:
        return f"<InventoryServicer of {self._inventory!r}>"

    def _submit(self, command: CallersCommand, context: Context) -> Reply[Fact]:
        return self._inventory.submit(attributed(command, origin_of_call(context)))

    def CheckAvailability(self, request: pb.CheckAvailabilityRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(validation.check_availability(request)), responses.availability)

    def CheckBulkAvailability(self, request: pb.CheckBulkAvailabilityRequest, context: Context) -> Deferred:
        query = validation.check_bulk_availability(request)
        return Deferred(self._inventory.answer(query), responses.bulk_availability)

    def ReserveStock(self, request: pb.ReserveStockRequest, context: Context) -> Deferred:
        command = validation.reserve(request, context.invocation_metadata())
        return Deferred(self._submit(command, context), partial(responses.reserved, ttl_minutes=command.ttl_minutes))

    def ConfirmReservation(self, request: pb.ConfirmReservationRequest, context: Context) -> Deferred:
        return Deferred(
            self._submit(validation.confirm(request, context.invocation_metadata()), context), responses.confirmed
        )

    def ReleaseReservation(self, request: pb.ReleaseReservationRequest, context: Context) -> Deferred:
        return Deferred(
            self._submit(validation.release(request, context.invocation_metadata()), context), responses.released
        )

    def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(validation.stock_info(request)), responses.stock_rows)

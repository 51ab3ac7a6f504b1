"""The warehouse's and the operator's side, as thin as `rpc.services.inventory_service`."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from anyio import current_time
from anyio.lowlevel import checkpoint
from msgspec.structs import asdict
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.bounds import ID_CHARACTERS_MAX
from actors.commands import CallersCommand
from actors.outcomes import Fact, StockImported
from actors.reply import Reply
from rpc.call_answers import Deferred
from rpc.call_source import source_of
from rpc.fair_turns import FairTurns, NoTurns
from rpc.in_flight import InFlightLimit
from rpc.inventory_port import Inventory
from rpc.messages import basket_messages as baskets
from rpc.messages import explanation_messages as explanations
from rpc.messages import history_messages as history
from rpc.messages import level_messages as levels
from rpc.messages import reservation_answers, reservation_requests, responses, validation
from rpc.messages import sourcing_messages as sourcing
from rpc.messages import transfer_messages as transfers
from rpc.messages import warehouse_messages as warehouses
from rpc.messages.import_lines import ImportLines
from rpc.messages.origins import attributed, origin_of_call
from rpc.services.change_stream import watch
from rpc.services.export_stream import export
from rpc.services.import_upload import ImportUpload
from rpc.services.watch_pages import WatchPages
from rpc.small_turns import SmallTurns
from rpc.transport.transport_port import Context

log = logging.getLogger(__name__)

END = object()
TURNS_A_STEP = 4  # of the event loop, of `import_lines.LINES_A_TURN` each
ERROR_CHARACTERS_MAX = 500  # a refusal may name 1,000 lines


class StockServicer:
    """`inventory.v1.StockService`.

    Args:
        imports: counts the imports by the organization of their first line, so that one leaves some for others.
        turns: gives the pages of an export, and of watches that read much, their turns.
        small: gives the messages of watches theirs.
    """

    def __init__(
        self,
        inventory: Inventory,
        imports: InFlightLimit | None = None,
        turns: FairTurns | None = None,
        small: SmallTurns | None = None,
    ) -> None:
        self._inventory = inventory
        self._turns = turns or NoTurns()
        self._imports = imports or InFlightLimit(None, "imports")
        self._watch_pages = WatchPages(inventory, self._turns, small)

    def __repr__(self) -> str:
        return f"<StockServicer of {self._inventory!r}>"

    def _submit(self, command: CallersCommand, context: Context) -> Reply[Fact]:
        return self._inventory.submit(attributed(command, origin_of_call(context)))

    async def ImportStock(
        self, request_iterator: AsyncIterator[pb.ImportStockRequest], context: Context
    ) -> pb.ImportStockResponse:
        lines, began_s, source = ImportLines(), current_time(), source_of(context)
        upload = ImportUpload(self._inventory)
        organization_id: str | None = None
        try:
            async for request in request_iterator:
                if organization_id is None and request.lines:
                    self._imports.enter(organization := request.lines[0].organization_id[:ID_CHARACTERS_MAX])
                    organization_id = organization
                steps, has_more = lines.add(request), True
                while has_more:  # a message may hold 200,000 lines, and others want to be served
                    async with self._turns.step(organization_id or "", source):
                        for _ in range(TURNS_A_STEP):
                            await checkpoint()  # also for the thread that writes, which needs Python's lock
                            if not (has_more := next(steps, END) is not END):
                                break
                        await upload.take(lines)
            fact = await self._import(lines, upload, context)
        finally:
            upload.end()
            if organization_id is not None:
                self._imports.leave(organization_id)
        assert isinstance(fact, StockImported), fact
        log.info("stock_imported", extra={**asdict(fact), "took_s": round(current_time() - began_s, 3)})
        return responses.imported(fact)

    async def _import(self, lines: ImportLines, upload: ImportUpload, context: Context) -> Fact:
        try:
            command = await upload.command(lines)
            return await self._inventory.ask(attributed(command, origin_of_call(context)))
        except Exception as error:
            values = {"lines": repr(lines), "error": repr(error)[:ERROR_CHARACTERS_MAX]}
            log.info("import_refused", extra=values)
            raise

    def ExportStock(self, request: pb.ExportStockRequest, context: Context) -> AsyncGenerator[pb.ImportLine, None]:
        return export(self._inventory, self._turns, request, source_of(context))

    def ReceiveStock(self, request: pb.ReceiveStockRequest, context: Context) -> Deferred:
        return Deferred(self._submit(validation.receive(request), context), responses.received)

    def AnnounceStock(self, request: pb.AnnounceStockRequest, context: Context) -> Deferred:
        return Deferred(self._submit(validation.announce(request), context), responses.announced)

    def DeductStock(self, request: pb.DeductStockRequest, context: Context) -> Deferred:
        return Deferred(self._submit(validation.deduct(request), context), responses.deducted)

    def AdjustStock(self, request: pb.AdjustStockRequest, context: Context) -> Deferred:
        return Deferred(self._submit(validation.adjust(request), context), responses.adjusted)

    def DeleteStock(self, request: pb.DeleteStockRequest, context: Context) -> Deferred:
        return Deferred(self._submit(validation.delete(request), context), responses.deleted)

    def ExplainReservation(self, request: pb.ExplainReservationRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(explanations.explain(request)), explanations.explanation)

    def ShipTransfer(self, request: pb.ShipTransferRequest, context: Context) -> Deferred:
        return Deferred(self._submit(transfers.ship_transfer(request), context), transfers.shipped)

    def ReceiveTransfer(self, request: pb.ReceiveTransferRequest, context: Context) -> Deferred:
        return Deferred(self._submit(transfers.receive_transfer(request), context), transfers.received)

    def CancelTransfer(self, request: pb.CancelTransferRequest, context: Context) -> Deferred:
        return Deferred(self._submit(transfers.cancel_transfer(request), context), transfers.cancelled)

    def GetTransfer(self, request: pb.GetTransferRequest, context: Context) -> Deferred:
        query = transfers.get_transfer(request)
        return Deferred(self._inventory.answer(query), transfers.found(query.transfer_id))

    def ListTransfers(self, request: pb.ListTransfersRequest, context: Context) -> Deferred:
        query = transfers.list_transfers(request)
        return Deferred(self._inventory.answer(query), transfers.page(query.organization_id))

    def UpsertWarehouse(self, request: pb.UpsertWarehouseRequest, context: Context) -> Deferred:
        return Deferred(self._submit(warehouses.upsert_warehouse(request), context), warehouses.upserted)

    def ListWarehouses(self, request: pb.ListWarehousesRequest, context: Context) -> Deferred:
        query = warehouses.list_warehouses(request)
        return Deferred(self._inventory.answer(query), warehouses.warehouse_page(query.organization_id))

    def SetSourcingPolicy(self, request: pb.SetSourcingPolicyRequest, context: Context) -> Deferred:
        return Deferred(self._submit(sourcing.set_sourcing_policy(request), context), sourcing.policy_set)

    def GetSourcingPolicy(self, request: pb.GetSourcingPolicyRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(sourcing.get_sourcing_policy(request)), sourcing.policy_found)

    def FulfillReservation(self, request: pb.FulfillReservationRequest, context: Context) -> Deferred:
        return Deferred(self._submit(reservation_requests.fulfill(request), context), reservation_answers.fulfilled)

    def Reserve(self, request: pb.ReserveRequest, context: Context) -> Deferred:
        return Deferred(self._submit(baskets.reserve_basket(request), context), baskets.basket_reserved)

    def ExtendReservation(self, request: pb.ExtendReservationRequest, context: Context) -> Deferred:
        return Deferred(self._submit(reservation_requests.extend(request), context), reservation_answers.extended)

    def AmendReservation(self, request: pb.AmendReservationRequest, context: Context) -> Deferred:
        return Deferred(self._submit(reservation_requests.amend(request), context), reservation_answers.amended)

    def ReacquireReservation(self, request: pb.ReacquireReservationRequest, context: Context) -> Deferred:
        return Deferred(self._submit(reservation_requests.reacquire(request), context), reservation_answers.reacquired)

    def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> Deferred:
        return Deferred(
            self._inventory.answer(reservation_requests.get_reservation(request)), reservation_answers.found
        )

    def ListStock(self, request: pb.ListStockRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(levels.list_stock(request)), levels.stock_page)

    def SetStockLevels(self, request: pb.SetStockLevelsRequest, context: Context) -> Deferred:
        return Deferred(self._submit(levels.set_stock_levels(request), context), levels.levels_set)

    def ListMovements(self, request: pb.ListMovementsRequest, context: Context) -> Deferred:
        query = history.list_movements(request)
        return Deferred(self._inventory.answer(query), partial(history.movement_page, query.organization_id))

    def GetStockAt(self, request: pb.GetStockAtRequest, context: Context) -> Deferred:
        query = history.get_stock_at(request)
        return Deferred(self._inventory.answer(query), history.stock_at(query))

    def WatchChanges(
        self, request: pb.WatchChangesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        return watch(self._inventory, request, self._watch_pages)

    def ListReservations(self, request: pb.ListReservationsRequest, context: Context) -> Deferred:
        query = reservation_requests.list_reservations(request)
        return Deferred(self._inventory.answer(query), partial(responses.reservation_page, query.organization_id))

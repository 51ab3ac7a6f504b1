"""The calls about transfers between warehouses, a part of `StockClient`."""

from collections.abc import AsyncIterator, Iterable
from typing import Literal

from stockkeeper_client.items import ArrivedPieces, ShippedPieces, to_messages
from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb

TransferState = Literal["", "in_transit", "received", "cancelled"]


class TransferCalls(StockCalls):
    """Goods go from one warehouse to another."""

    async def ship_transfer(
        self,
        organization_id: str,
        from_warehouse_id: str,
        to_warehouse_id: str,
        lines: Iterable[ShippedPieces | pb.ShippedLine],
        *,
        transfer_id: str = "",
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ShipTransferResponse:
        """Takes goods out of one warehouse, all lines or none: in transit at the other until they are received.

        Without a `transfer_id` the service chooses one.

        >>> mugs = [{"variant_id": "mug", "quantity": 3}]
        >>> shipped = await client.stock.ship_transfer("shop", "madrid", "lisbon", mugs, transfer_id="van 7")
        >>> shipped.transfer.lines[0].sent
        3
        """
        request = pb.ShipTransferRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            transfer_id=transfer_id,
            from_warehouse_id=from_warehouse_id,
            to_warehouse_id=to_warehouse_id,
            lines=to_messages(pb.ShippedLine, lines, "lines"),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.ShipTransfer, request, timeout_s=timeout_s)

    async def receive_transfer(
        self,
        organization_id: str,
        transfer_id: str,
        lines: Iterable[ArrivedPieces | pb.ArrivedLine] = (),
        *,
        close: bool = False,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReceiveTransferResponse:
        """Takes in what has come of a transfer. With `close`, what has not come is missing, and the transfer is over.

        >>> mugs = [{"variant_id": "mug", "quantity": 3}]
        >>> shipped = await client.stock.ship_transfer("shop", "madrid", "lisbon", mugs)
        >>> came = [{"variant_id": "mug", "quantity": 1, "damaged_quantity": 1}]
        >>> received = await client.stock.receive_transfer("shop", shipped.transfer.transfer_id, came, close=True)
        >>> received.message, received.transfer.lines[0].missing
        ('Transfer received, with a discrepancy', 1)
        """
        request = pb.ReceiveTransferRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            transfer_id=transfer_id,
            lines=to_messages(pb.ArrivedLine, lines, "lines", ("variant_id",)),
            close=close,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.ReceiveTransfer, request, timeout_s=timeout_s)

    async def cancel_transfer(
        self,
        organization_id: str,
        transfer_id: str,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.CancelTransferResponse:
        """Gives what is still on its way back to where it came from.

        >>> mugs = [{"variant_id": "mug", "quantity": 3}]
        >>> shipped = await client.stock.ship_transfer("shop", "madrid", "lisbon", mugs)
        >>> cancelled = await client.stock.cancel_transfer("shop", shipped.transfer.transfer_id, reason="flat tyre")
        >>> cancelled.message
        'Transfer cancelled'
        """
        request = pb.CancelTransferRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            transfer_id=transfer_id,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.CancelTransfer, request, timeout_s=timeout_s)

    async def get_transfer(
        self, organization_id: str, transfer_id: str, *, timeout_s: float | None = None
    ) -> pb.Transfer:
        """A transfer as it stands. One that does not exist is refused: NOT_FOUND, TRANSFER_NOT_FOUND.

        >>> mugs = [{"variant_id": "mug", "quantity": 3}]
        >>> shipped = await client.stock.ship_transfer("shop", "madrid", "lisbon", mugs)
        >>> (await client.stock.get_transfer("shop", shipped.transfer.transfer_id)).to_warehouse_id
        'lisbon'
        """
        request = pb.GetTransferRequest(organization_id=organization_id, transfer_id=transfer_id)
        response = await self._connection.call(self.stub.GetTransfer, request, timeout_s=timeout_s)
        return response.transfer

    async def list_transfers(
        self,
        organization_id: str,
        *,
        state: TransferState = "",
        warehouse_id: str = "",
        page_size: int = 100,
        timeout_s: float | None = None,
    ) -> AsyncIterator[pb.Transfer]:
        """All transfers, those shipped last first: in one state, or from or to one warehouse, if given. Pages are as in
        `list_stock`.

        >>> [transfer.transfer_id async for transfer in client.stock.list_transfers("shop", state="in_transit")]
        []
        """
        request = pb.ListTransfersRequest(
            organization_id=organization_id,
            state=f"TRANSFER_STATE_{(state or 'unspecified').upper()}",
            warehouse_id=warehouse_id,
            page_size=page_size,
        )
        while True:
            page = await self._connection.call(self.stub.ListTransfers, request, timeout_s=timeout_s)
            for transfer in page.transfers:
                yield transfer
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

"""The client of StockService: goods come in and go out. Reached as `InventoryClient.stock`."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from stockkeeper_client.explaining import ExplainCalls
from stockkeeper_client.exporting import ExportCalls
from stockkeeper_client.items import (
    REQUIRED_OF_ROW,
    AdjustedRow,
    Item,
    ReceivedLine,
    StockLine,
    to_message,
    to_messages,
)
from stockkeeper_client.ledger import LedgerCalls
from stockkeeper_client.levels import LevelCalls
from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.reservation_calls import ReservationCalls
from stockkeeper_client.sourcing_calls import SourcingCalls
from stockkeeper_client.transfers import TransferCalls
from stockkeeper_client.upload import each
from stockkeeper_client.v1 import stock_pb2 as pb
from stockkeeper_client.warehouses import WarehouseCalls

_Given = StockLine | pb.ImportLine

# A client with gRPC's own limit takes 8 KiB, some 50 bad lines; this one's channel takes 1 MiB.
_ALL_ERRORS = (("error-details-bytes-max", "262144"),)


class StockClient(
    ReservationCalls, WarehouseCalls, SourcingCalls, LevelCalls, TransferCalls, ExplainCalls, ExportCalls, LedgerCalls
):
    """Changes and lists stock. It raises what InventoryClient does, and shares its connection and its breaker.

    Every change has a `request_id`, by which the service knows a repetition: it gives the same answer and changes
    nothing twice. One is made for each method call, so that gRPC's retries carry the same. Give one of your own to call
    a method again after a failure, or after a restart.

    In the examples a `shop` has 10 mugs in madrid and 5 in lisbon, and `client` is an InventoryClient.

    >>> delivery = [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 12}]
    >>> received = await client.stock.receive_stock("shop", delivery, reference="delivery 7")
    >>> async for row in client.stock.list_stock("shop"):
    ...     print(row.variant_id, row.warehouse_id, row.available_quantity)
    mug lisbon 5
    mug madrid 22
    """

    async def receive_stock(
        self,
        organization_id: str,
        lines: Iterable[ReceivedLine | pb.ReceivedLine],
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReceiveStockResponse:
        """Adds goods that came in to their rows, all lines or none. A row that does not exist is made: the answer's
        `message` names it.

        A line is a ReceivedLine, a mapping with its fields. With `from_in_transit` its goods had been announced: what
        the row has in transit falls by its quantity, to 0 at the least. `reason` and `reference` go to the ledger.

        >>> line = {"variant_id": "mug", "warehouse_id": "madrid", "quantity": 12, "damaged_quantity": 1}
        >>> (await client.stock.receive_stock("shop", [line], reference="delivery 7")).rows[0].total_quantity
        23
        """
        request = pb.ReceiveStockRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            lines=to_messages(pb.ReceivedLine, lines, "lines", REQUIRED_OF_ROW),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.ReceiveStock, request, timeout_s=timeout_s)

    async def announce_stock(
        self,
        organization_id: str,
        lines: Iterable[Item | pb.GoodsLine],
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.AnnounceStockResponse:
        """Says that goods are on their way, each line to its warehouse: they are in transit until they are received
        with `from_in_transit`. A row that does not exist is made.

        >>> line = {"variant_id": "mug", "warehouse_id": "madrid", "quantity": 12}
        >>> (await client.stock.announce_stock("shop", [line])).rows[0].in_transit_quantity
        12
        """
        request = pb.AnnounceStockRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            lines=to_messages(pb.GoodsLine, lines, "lines"),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.AnnounceStock, request, timeout_s=timeout_s)

    async def deduct_stock(
        self,
        organization_id: str,
        lines: Iterable[Item | pb.GoodsLine],
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.DeductStockResponse:
        """Takes goods out without a reservation, as a till does, all lines or none.

        Lines are as the items of `reserve_stock`: without a warehouse the service chooses, and the answer says from
        where each was taken.

        >>> (await client.stock.deduct_stock("shop", [{"variant_id": "mug", "quantity": 1}])).lines[0].warehouse_id
        'madrid'
        """
        request = pb.DeductStockRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            lines=to_messages(pb.GoodsLine, lines, "lines"),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.DeductStock, request, timeout_s=timeout_s)

    async def adjust_stock(
        self,
        organization_id: str,
        adjustments: Iterable[AdjustedRow | pb.Adjustment],
        *,
        release_uncovered: bool = False,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.AdjustStockResponse:
        """Sets rows right that are not as the service has them, all or none; each row once.

        An adjustment is an AdjustedRow, a mapping with the row's ids and one of its changes. A `count` with
        `expected_total` is refused with COUNT_IS_STALE where the row has another total by now. With `release_uncovered`
        pieces may be gone that active reservations hold: the newest of them are released, and `shortfall` says which.
        Without it that is refused, and the error's details name them.

        >>> fallen = {"variant_id": "mug", "warehouse_id": "madrid", "mark_damaged": 3}
        >>> (await client.stock.adjust_stock("shop", [fallen], reason="it fell")).rows[0].available_quantity
        7
        """
        request = pb.AdjustStockRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            adjustments=to_messages(pb.Adjustment, adjustments, "adjustments", REQUIRED_OF_ROW),
            reason=reason,
            reference=reference,
            release_uncovered=release_uncovered,
        )
        return await self._connection.call(self.stub.AdjustStock, request, timeout_s=timeout_s)

    async def delete_stock(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_id: str,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.DeleteStockResponse:
        """Takes a row away that was made by mistake. It must have no pieces of any kind. The ledger keeps its history,
        and the row can be made again.

        >>> all_of_it = {"variant_id": "mug", "warehouse_id": "lisbon", "quantity": 5}
        >>> sold = await client.stock.deduct_stock("shop", [all_of_it])
        >>> (await client.stock.delete_stock("shop", "mug", "lisbon", reason="closed")).message
        'Stock row deleted'
        """
        request = pb.DeleteStockRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            variant_id=variant_id,
            warehouse_id=warehouse_id,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.DeleteStock, request, timeout_s=timeout_s)

    async def import_stock(
        self,
        lines: Iterable[_Given] | AsyncIterable[_Given],
        *,
        request_id: str | None = None,
        chunk_lines: int = 500,
        timeout_s: float = 60.0,
    ) -> pb.ImportStockResponse:
        """Sets counted totals, all of `lines` or nothing. They are read as they are sent, `chunk_lines` a message.

        A line is a StockLine, which is a mapping with fields of ImportLine, or an ImportLine. A refusal names every bad
        line: see `ErrorDetails.line_errors`. What `lines` raises, as well as the TypeError or ValueError for a line
        that is none, cancels the import and is passed on.

        It is never retried by itself, since gRPC may replay a stream in part. After UNAVAILABLE, import the same lines
        again under the same `request_id`.

        >>> counted = {"organization_id": "shop", "variant_id": "mug", "warehouse_id": "madrid", "total_quantity": 9}
        >>> (await client.stock.import_stock([counted])).rows_changed
        1
        """
        request_id = request_id or new_request_id()
        async with aclosing(_import_requests(lines, request_id, chunk_lines)) as requests:
            return await self._connection.upload(
                self.stub.ImportStock, requests, timeout_s=timeout_s, metadata=_ALL_ERRORS
            )


async def _import_requests(
    lines: Iterable[_Given] | AsyncIterable[_Given], request_id: str, chunk_lines: int
) -> AsyncGenerator[pb.ImportStockRequest, None]:
    """At least one request, so that an empty import has its request_id too. The last one tells how many lines came."""
    request = pb.ImportStockRequest(request_id=request_id)
    lines_total = 0
    async for line in each(lines):
        request.lines.append(to_message(pb.ImportLine, line, f"lines[{lines_total}]"))
        lines_total += 1
        if len(request.lines) >= chunk_lines:
            yield request
            request = pb.ImportStockRequest(request_id=request_id)
    request.lines_total = lines_total
    yield request

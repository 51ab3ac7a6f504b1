"""The calls that tell what happened, a part of `StockClient`."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import grpc.aio

from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb

PAUSE_S = 0.05  # before a lost stream is taken up again; twice as long after each failure
PAUSE_S_MAX = 5.0


class LedgerCalls(StockCalls):
    """The ledger is listed, asked about a time, and followed."""

    async def list_movements(
        self,
        organization_id: str,
        *,
        variant_id: str = "",
        warehouse_id: str = "",
        reservation_id: str = "",
        order_id: str = "",
        reference: str = "",
        kinds: Iterable[str] = (),
        after: str = "",
        before: str = "",
        newest_first: bool = False,
        page_size: int = 100,
        timeout_s: float | None = None,
    ) -> AsyncIterator[pb.Movement]:
        """The lines of the ledger that all given filters let pass. Pages are as in `list_stock`.

        `after` and `before` are times in RFC 3339: from the one on, and before the other.

        >>> received = await client.stock.receive_stock(
        ...     "shop", [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 12}], reference="delivery 7"
        ... )
        >>> async for line in client.stock.list_movements("shop", reference="delivery 7"):
        ...     print(line.kind, line.variant_id, line.before.available, line.after.available)
        receive mug 10 22
        """
        request = pb.ListMovementsRequest(
            organization_id=organization_id,
            variant_id=variant_id,
            warehouse_id=warehouse_id,
            reservation_id=reservation_id,
            order_id=order_id,
            reference=reference,
            kinds=list(kinds),
            after=after,
            before=before,
            newest_first=newest_first,
            page_size=page_size,
        )
        while True:
            page = await self._connection.call(self.stub.ListMovements, request, timeout_s=timeout_s)
            for movement in page.movements:
                yield movement
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def get_stock_at(
        self, organization_id: str, variant_id: str, warehouse_id: str, at: str, *, timeout_s: float | None = None
    ) -> pb.GetStockAtResponse:
        """What a row had at a time, in RFC 3339.

        >>> then = await client.stock.get_stock_at("shop", "mug", "madrid", "2100-01-01T00:00:00Z")
        >>> then.stock_info.available_quantity
        10
        """
        request = pb.GetStockAtRequest(
            organization_id=organization_id, variant_id=variant_id, warehouse_id=warehouse_id, at=at
        )
        return await self._connection.call(self.stub.GetStockAt, request, timeout_s=timeout_s)

    async def watch_changes(
        self,
        organization_id: str,
        *,
        token: str = "",
        snapshot: bool = False,
        variant_ids: Iterable[str] = (),
        warehouse_ids: Iterable[str] = (),
        resume: bool = True,
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Everything that happens in an organization: from now on, from behind a `token` on, or from a `snapshot` on.

        Keep the token of the last message that you have dealt with: with it the stream goes on later, in another
        process too, with nothing left out and nothing told twice. A message without a `kind` has a token and nothing
        else. With `resume` a stream that is lost is taken up again by itself; one that is lost in its snapshot begins a
        new one, whose first message has neither rows nor a reservation: what is known from an earlier one is void then.

        >>> async for change in client.stock.watch_changes("shop", snapshot=True):
        ...     for row in change.rows:
        ...         print(row.variant_id, row.warehouse_id, row.after.available)
        ...     if change.snapshot_done:
        ...         break
        mug lisbon 5
        mug madrid 10
        """
        begin: Any = {"from": pb.WatchChangesRequest.FROM_SNAPSHOT} if snapshot else {}
        request = pb.WatchChangesRequest(
            organization_id=organization_id,
            token=token,
            variant_ids=list(variant_ids),
            warehouse_ids=list(warehouse_ids),
            **begin,
        )
        pause_s = PAUSE_S
        while True:
            bearer = self._connection.bearer()
            try:
                async with aclosing(self._connection.subscribe(self.stub.WatchChanges, request)) as messages:
                    async for message in messages:
                        yield message
                        pause_s = PAUSE_S
                        _go_on_behind(request, message)
            except grpc.aio.AioRpcError as error:
                if not resume or not self._connection.is_worth_another_try(error, bearer):
                    raise
            else:
                if not resume:
                    return
            await self._connection.pause(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _go_on_behind(request: pb.WatchChangesRequest, message: pb.WatchChangesResponse) -> None:
    if message.token:
        request.ClearField("from")
        request.token = message.token

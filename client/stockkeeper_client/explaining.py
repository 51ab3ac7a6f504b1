"""The call that explains a basket, a part of `StockClient`."""

from collections.abc import Iterable

from stockkeeper_client.items import Item, to_messages
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb


class ExplainCalls(StockCalls):
    """Why the service would choose as it does."""

    async def explain_reservation(
        self,
        organization_id: str,
        items: Iterable[Item | pb.GoodsLine],
        *,
        order_id: str = "",
        allow_split: bool = False,
        timeout_s: float | None = None,
    ) -> pb.ExplainReservationResponse:
        """From where `items` would be taken if they were reserved now, and why; or what is in the way, how much is
        missing, which warehouses have some, and when holds that would free enough expire. It reserves nothing.

        With an `order_id`, what that order holds counts as free. With `allow_split` an item may come from several
        warehouses, as in `reserve`.

        >>> explained = await client.stock.explain_reservation("shop", [{"variant_id": "mug", "quantity": 12}])
        >>> explained.fits, explained.lines[0].short, explained.lines[0].alternatives[0].warehouse_id
        (False, 2, 'lisbon')
        """
        request = pb.ExplainReservationRequest(
            organization_id=organization_id,
            items=to_messages(pb.GoodsLine, items),
            order_id=order_id,
            allow_split=allow_split,
        )
        return await self._connection.call(self.stub.ExplainReservation, request, timeout_s=timeout_s)

"""The calls of StockService about reservations that were made; a part of `InventoryClient.stock`."""

from collections.abc import AsyncIterator, Iterable

from stockkeeper_client.items import BasketItem, Item, to_messages
from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import inventory_pb2
from stockkeeper_client.v1 import stock_pb2 as pb


class ReservationCalls(StockCalls):
    """Baskets are reserved, and what becomes of a reservation. `reserve_stock` and its like are InventoryClient's."""

    async def get_reservation(
        self, organization_id: str, reservation_id: str, *, timeout_s: float | None = None
    ) -> pb.GetReservationResponse:
        """One reservation, also one that ended long ago; NOT_FOUND if there is none.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> (await client.stock.get_reservation("shop", reserved.reservation_id)).reservation.state
        'active'
        """
        request = pb.GetReservationRequest(organization_id=organization_id, reservation_id=reservation_id)
        return await self._connection.call(self.stub.GetReservation, request, timeout_s=timeout_s)

    async def reserve(
        self,
        organization_id: str,
        order_id: str,
        items: Iterable[BasketItem | pb.BasketItem],
        ttl_minutes: int = 15,
        *,
        allow_split: bool = False,
        allow_partial: bool = False,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReserveResponse:
        """Reserves stock as `reserve_stock` does, from where you allow: an item may list warehouses, the best first.

        With `allow_split` an item may come from several warehouses where none has enough. With `allow_partial` you get
        what there is, and the answer's `short` says what is missing.

        >>> basket = [{"variant_id": "mug", "quantity": 12, "warehouse_ids": ["lisbon", "madrid"]}]
        >>> reserved = await client.stock.reserve("shop", "order-1", basket, allow_split=True)
        >>> [(item.warehouse_id, item.quantity) for item in reserved.reservation.items]
        [('lisbon', 5), ('madrid', 7)]
        """
        request = pb.ReserveRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            order_id=order_id,
            items=to_messages(pb.BasketItem, items),
            ttl_minutes=ttl_minutes,
            allow_split=allow_split,
            allow_partial=allow_partial,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.Reserve, request, timeout_s=timeout_s)

    async def extend_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        ttl_minutes: int = 15,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ExtendReservationResponse:
        """Holds an active reservation for `ttl_minutes` from now. It never shortens: one with more time keeps it.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}], 15)
        >>> extended = await client.stock.extend_reservation("shop", reserved.reservation_id, 30)
        >>> extended.reservation.expires_at > reserved.expires_at
        True
        """
        request = pb.ExtendReservationRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            reservation_id=reservation_id,
            ttl_minutes=ttl_minutes,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.ExtendReservation, request, timeout_s=timeout_s)

    async def amend_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        items: Iterable[Item | inventory_pb2.ReservationItem],
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.AmendReservationResponse:
        """Makes `items` the whole basket of an active or confirmed reservation, or changes nothing.

        Items are as for `reserve_stock`. What is kept is never given back on the way, and a line stays in its warehouse
        if that has enough. What was shipped already belongs to the basket.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> basket = [{"variant_id": "mug", "quantity": 3}]
        >>> amended = await client.stock.amend_reservation("shop", reserved.reservation_id, basket)
        >>> [item.quantity for item in amended.reservation.items]
        [3]
        """
        request = pb.AmendReservationRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            reservation_id=reservation_id,
            items=to_messages(inventory_pb2.ReservationItem, items),
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.AmendReservation, request, timeout_s=timeout_s)

    async def reacquire_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        ttl_minutes: int = 15,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReacquireReservationResponse:
        """Takes the goods of an expired reservation again, all or none, for `ttl_minutes`: the payment came late.

        They come from the rows that it had or, if those have too little, from where the service chooses. It keeps its
        id and is active again. A reservation that holds its goods still is answered as it stands.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> (await client.stock.reacquire_reservation("shop", reserved.reservation_id)).message
        'Reservation holds its goods still; nothing was taken'
        """
        request = pb.ReacquireReservationRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            reservation_id=reservation_id,
            ttl_minutes=ttl_minutes,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.ReacquireReservation, request, timeout_s=timeout_s)

    async def fulfill_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        lines: Iterable[Item | pb.GoodsLine] = (),
        *,
        close: bool = False,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.FulfillReservationResponse:
        """Ships a confirmed reservation: its goods leave the stock. `reason` and `reference` go to the ledger.

        Without `lines` all that is left is shipped. With them only these goods are, and the rest stays confirmed or,
        with `close`, is given back.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 3}])
        >>> kept = await client.confirm_reservation("shop", reserved.reservation_id, "order-1")
        >>> parcel = [{"variant_id": "mug", "quantity": 2}]
        >>> first = await client.stock.fulfill_reservation("shop", reserved.reservation_id, parcel)
        >>> (first.total_quantity_fulfilled, first.reservation.state)
        (2, 'confirmed')
        >>> (await client.stock.fulfill_reservation("shop", reserved.reservation_id)).total_quantity_fulfilled
        1
        """
        request = pb.FulfillReservationRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            reservation_id=reservation_id,
            lines=to_messages(pb.GoodsLine, lines, "lines"),
            close=close,
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.FulfillReservation, request, timeout_s=timeout_s)

    async def list_reservations(
        self,
        organization_id: str,
        *,
        state: str = "",
        order_id: str = "",
        variant_id: str = "",
        warehouse_id: str = "",
        created_after: str = "",
        created_before: str = "",
        page_size: int = 100,
        timeout_s: float | None = None,
    ) -> AsyncIterator[pb.Reservation]:
        """All reservations, newest first. Pages are as in `list_stock`.

        If given, only those of one order, in one state, with an item of a variant or of a warehouse, or made at
        `created_after` or later and before `created_before`, which are times such as "2026-01-31T12:00:00Z".

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> [one.state async for one in client.stock.list_reservations("shop", order_id="order-1")]
        ['active']
        """
        request = pb.ListReservationsRequest(
            organization_id=organization_id,
            state=state,
            order_id=order_id,
            variant_id=variant_id,
            warehouse_id=warehouse_id,
            created_after=created_after,
            created_before=created_before,
            page_size=page_size,
        )
        while True:
            page = await self._connection.call(self.stub.ListReservations, request, timeout_s=timeout_s)
            for reservation in page.reservations:
                yield reservation
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

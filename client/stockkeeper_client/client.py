"""The client that an Order Service uses: InventoryService, one method for each call."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import grpc.aio

from stockkeeper_client.bearer import GivesToken, token_source
from stockkeeper_client.channel import ChannelOption, RetryPolicy
from stockkeeper_client.circuit import CircuitBreaker
from stockkeeper_client.connection import Connection, ConnectionSettings, Metadata
from stockkeeper_client.items import Item, to_messages
from stockkeeper_client.reservations import STREAMED_BYTES_MAX, ClientStatistics, Reservations
from stockkeeper_client.stock import StockClient
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub


class InventoryClient:
    """Calls the inventory service at `host` and `port` from one asyncio event loop.

    It is made anywhere, connects with its first call, and belongs to the event loop of that call. Close it with `close`
    or use it as `async with`.

    `host`: a name or an address; or several, as `ipv4:10.0.0.1:50053,10.0.0.2`, where `port` ends the last one: calls
    go to the server that says that it serves, and not to its standby.
    `timeout_s`: every call ends within this time, in seconds, retries included. Each method takes a `timeout_s` too.
    `streaming`: True sends reservations over one stream that stays open, at a fraction of the cost of a call each: for
    many at a time. Everything else is as it is without, to the errors and the retries.
    `retry`: when gRPC sends a call again that failed with UNAVAILABLE; None: never.
    `breaker`: True makes one, False does without, or give one to share or to tune.
    `credentials`: for TLS; None connects without encryption.
    `token`: a key or a token, sent with every call as `authorization: Bearer …`; or what gives the one of now whenever
    it is called, which must not block, such as `TokenFile`. Streams go on with the next one when theirs runs out.
    `token_over_plaintext`: send it to another machine without TLS too, where others can read it. ValueError without.
    `metadata`: sent with every call.
    `options`: gRPC channel arguments, which come before the client's own.

    Every method raises

    - grpc.aio.AioRpcError for a refusal and for a failure alike. A refusal is an InventoryRefusal too, of a class of
      its own for each reason, such as InsufficientStock; `error_details` reads what else an error says.
    - CircuitOpenError, without a call, while the breaker is open.

    Every method may be called again with the same arguments after any failure, DEADLINE_EXCEEDED too, whose call may
    have succeeded unseen: the service answers the repetition as it answered, or would have answered, the first.
    Cancelling a method cancels the call, and leaves it open whether the service has carried it out.

    >>> async with InventoryClient("localhost", 50053) as client:
    ...     reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
    ...     kept = await client.confirm_reservation("shop", reserved.reservation_id, "order-1")
    >>> kept.success
    True

    In the examples of the methods a `shop` has 10 mugs in madrid and 5 in lisbon, and `client` is as above.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 50053,
        *,
        timeout_s: float = 5.0,
        streaming: bool = False,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008 - immutable
        breaker: CircuitBreaker | bool = True,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | GivesToken | None = None,
        token_over_plaintext: bool = False,
        metadata: Metadata = (),
        options: Sequence[ChannelOption] = (),
    ) -> None:
        target = _target(host, port)
        settings = ConnectionSettings(
            timeout_s=timeout_s,
            retry=retry,
            breaker=breaker if isinstance(breaker, CircuitBreaker) else CircuitBreaker() if breaker else None,
            credentials=credentials,
            metadata=tuple(metadata),
            options=tuple(options),
            token=token_source(token, target, credentials, over_plaintext=token_over_plaintext),
        )
        self._connection = self._connect(target, settings)
        self._reservations = self._stream_reservations() if streaming else None
        self._stub: InventoryServiceStub | None = None
        self._stock: StockClient | None = None

    def __repr__(self) -> str:
        return f"<InventoryClient {self._connection.target} breaker={self.breaker}>"

    def statistics(self) -> ClientStatistics:
        """Counts since the client was made.

        >>> client.statistics().breaker
        CircuitStatistics(failures=0, times_opened=0, calls_refused=0)
        """
        return ClientStatistics(
            None if self.breaker is None else self.breaker.statistics(),
            None if self._reservations is None else self._reservations.statistics(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace_s: float | None = None) -> None:
        """Lets calls run for `grace_s` seconds more, then cancels them. Closing again does nothing.

        A call made afterwards raises RuntimeError.

        >>> await client.close(grace_s=2.0)
        """
        if self._reservations is not None:
            await self._reservations.close(grace_s)
        await self._connection.close(grace_s)

    def _connect(self, target: str, settings: ConnectionSettings) -> Connection:
        """How the service is reached. The test kit's client goes another way."""
        return Connection(target, settings)

    def _stream_reservations(self) -> Reservations:
        return Reservations(self._connection)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for stubs of other services, such as health. It exists once this is read on an event loop.

        >>> from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
        >>> stub = StockServiceStub(client.channel)
        """
        return self._connection.channel

    @property
    def stub(self) -> InventoryServiceStub:
        """The generated stub, for what the methods do not offer. It has the retries, but no deadline and no breaker.

        >>> from stockkeeper_client.v1.inventory_pb2 import GetStockInfoRequest
        >>> request = GetStockInfoRequest(organization_id="shop", variant_id="mug")
        >>> len((await client.stub.GetStockInfo(request, timeout=5)).stock_info)
        2
        """
        if self._stub is None:
            self._stub = InventoryServiceStub(self.channel)
        return self._stub

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker, if there is one.

        >>> client.breaker
        <CircuitBreaker closed failures=0/5>
        """
        return self._connection.breaker

    @property
    def stock(self) -> StockClient:
        """The calls of StockService, over the same connection and with the same breaker.

        >>> [row.warehouse_id async for row in client.stock.list_stock("shop")]
        ['lisbon', 'madrid']
        """
        if self._stock is None:
            self._stock = StockClient(self._connection)
        return self._stock

    async def check_availability(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_id: str,
        quantity: int,
        *,
        timeout_s: float | None = None,
    ) -> pb.CheckAvailabilityResponse:
        """Whether `quantity` could be reserved now. An empty `warehouse_id` lets the service choose.

        >>> (await client.check_availability("shop", "mug", "", 6)).available
        True
        """
        request = pb.CheckAvailabilityRequest(
            organization_id=organization_id, variant_id=variant_id, warehouse_id=warehouse_id, quantity=quantity
        )
        return await self._connection.call(self.stub.CheckAvailability, request, timeout_s=timeout_s)

    async def check_bulk_availability(
        self,
        organization_id: str,
        items: Iterable[Item | pb.AvailabilityItem],
        *,
        timeout_s: float | None = None,
    ) -> pb.CheckBulkAvailabilityResponse:
        """Whether all of `items` could be reserved together now. Items are as for `reserve_stock`.

        >>> items = [{"variant_id": "mug", "quantity": 6, "warehouse_id": "lisbon"}]
        >>> (await client.check_bulk_availability("shop", items)).all_available
        False
        """
        lines = to_messages(pb.AvailabilityItem, items)
        request = pb.CheckBulkAvailabilityRequest(organization_id=organization_id, items=lines)
        return await self._connection.call(self.stub.CheckBulkAvailability, request, timeout_s=timeout_s)

    async def reserve_stock(
        self,
        organization_id: str,
        order_id: str,
        items: Iterable[Item | pb.ReservationItem],
        ttl_minutes: int = 15,
        *,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReserveStockResponse:
        """Reserves all of `items` for `ttl_minutes`, or nothing.

        An item is a ReservationItem, or a mapping with `variant_id`, `quantity` and perhaps `warehouse_id`. Without a
        warehouse the service chooses.

        The same order and items again give the same reservation, which is what makes retries safe. A refusal is tried
        afresh, since stock may have come back; under an `idempotency_key` a repetition gets the refusal that was given.

        Raises TypeError for a mapping that has an unknown key, lacks one or has a value of another type, and ValueError
        for a number that is too large for any message: before anything is sent, and with the item's place.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> reserved.reserved_items[0].warehouse_id
        'madrid'
        """
        lines = to_messages(pb.ReservationItem, items)
        request = pb.ReserveStockRequest(
            organization_id=organization_id, order_id=order_id, items=lines, ttl_minutes=ttl_minutes
        )
        if self._reservations is not None and request.ByteSize() <= STREAMED_BYTES_MAX:
            return await self._reservations.reserve(request, idempotency_key=idempotency_key or "", timeout_s=timeout_s)
        metadata = _key_metadata(idempotency_key)
        return await self._connection.call(self.stub.ReserveStock, request, timeout_s=timeout_s, metadata=metadata)

    async def confirm_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        order_id: str,
        *,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ConfirmReservationResponse:
        """Keeps a reservation beyond its time limit, as the order is paid.

        Again it has the same answer, unless the reservation was released since; under an `idempotency_key` then too.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> (await client.confirm_reservation("shop", reserved.reservation_id, "order-1")).success
        True
        """
        request = pb.ConfirmReservationRequest(
            organization_id=organization_id, reservation_id=reservation_id, order_id=order_id
        )
        metadata = _key_metadata(idempotency_key)
        return await self._connection.call(
            self.stub.ConfirmReservation, request, timeout_s=timeout_s, metadata=metadata
        )

    async def release_reservation(
        self,
        organization_id: str,
        reservation_id: str,
        reason: str,
        *,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.ReleaseReservationResponse:
        """Gives a reservation's goods back. `reason` is kept: payment_failed, timeout, cancelled or the like.

        An `idempotency_key` belongs to this reservation and reason, and no other is released under it.

        >>> reserved = await client.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> (await client.release_reservation("shop", reserved.reservation_id, "cancelled")).total_quantity_released
        2
        """
        request = pb.ReleaseReservationRequest(
            organization_id=organization_id, reservation_id=reservation_id, reason=reason
        )
        metadata = _key_metadata(idempotency_key)
        return await self._connection.call(
            self.stub.ReleaseReservation, request, timeout_s=timeout_s, metadata=metadata
        )

    async def get_stock_info(
        self, organization_id: str, variant_id: str, warehouse_id: str = "", *, timeout_s: float | None = None
    ) -> pb.GetStockInfoResponse:
        """The stock of a variant in one warehouse, or in all of them.

        >>> [row.available_quantity for row in (await client.get_stock_info("shop", "mug")).stock_info]
        [5, 10]
        """
        request = pb.GetStockInfoRequest(
            organization_id=organization_id, variant_id=variant_id, warehouse_id=warehouse_id
        )
        return await self._connection.call(self.stub.GetStockInfo, request, timeout_s=timeout_s)


def _key_metadata(idempotency_key: str | None) -> Metadata:
    return () if idempotency_key is None else (("idempotency-key", idempotency_key),)


def _target(host: str, port: int) -> str:
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith(("[", "ipv4:", "ipv6:"))
    return f"[{host}]:{port}" if is_bare_ipv6 else f"{host}:{port}"

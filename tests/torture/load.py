"""Clients that use the whole API together, remember every answer, and check whether it is still true.

What was not acknowledged is asked again with the same order or request id: it must have happened once when that is
answered, whether or not it had happened before.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from stockkeeper_client import InventoryClient, Item, ReceivedLine, StockLine
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2

from tests.system.servers import ORGANIZATION, line

WORKERS = 12
GOODS = [f"v{number}" for number in range(7)]
SCARCE = "scarce"
DELIVERED, DELIVERY = "delivered", 3
DELIVERY_LINES: list[ReceivedLine] = [{"variant_id": DELIVERED, "warehouse_id": "w1", "quantity": DELIVERY}]
LONG_MINUTES, SHORT_MINUTES = 44_640, 1
REPEATED_MAX = 25


@dataclass
class Order:
    """An order, and the answers that its client got."""

    order_id: str
    items: list[Item]
    ttl_minutes: int
    wish: str  # active, confirmed or released: what its client asks for after the reservation
    reserved: pb.ReserveStockResponse | None = None
    confirmed: pb.ConfirmReservationResponse | None = None
    is_released: bool = False
    has_asked: bool = False  # for its wish
    refused: str = ""  # the reason why it came to nothing

    @property
    def is_open(self) -> bool:
        """Whether a question about it has no answer."""
        if self.refused:
            return False
        if self.reserved is None:
            return True
        return self.has_asked and self.confirmed is None and not self.is_released

    def states(self) -> set[str]:
        """The states in which it may be found."""
        if self.confirmed is not None:
            return {"confirmed"}
        if self.is_released:
            return {"released"}
        return {"active", *((self.wish,) if self.has_asked else ()), *(("expired",) if self.is_short else ())}

    @property
    def is_short(self) -> bool:
        return self.ttl_minutes == SHORT_MINUTES


@dataclass
class Import:
    """An import of rows that no other import counts."""

    request_id: str
    lines: list[StockLine]
    answer: stock_pb2.ImportStockResponse | None = None


@dataclass
class Load:
    """Every question to one database, through any number of servers, and its answer."""

    name: str = "load"
    organization_id: str = ORGANIZATION
    workers: int = WORKERS
    pause_s: float = 0.0  # of a worker between two of its questions
    orders: list[Order] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    deliveries: dict[str, stock_pb2.ReceiveStockResponse | None] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)  # of the calls that failed
    unexplained: list[str] = field(default_factory=list)  # failures that nothing excuses
    expired: int = 0  # reservations that were found expired
    settled: int = 0  # calls that had no answer, asked again

    @property
    def acknowledged(self) -> int:
        """How many answers were given."""
        orders = sum((o.reserved is not None) + (o.confirmed is not None) + o.is_released for o in self.orders)
        return orders + sum(i.answer is not None for i in self.imports) + sum(map(bool, self.deliveries.values()))

    async def prepare(self, client: InventoryClient) -> None:
        """Put goods on the shelves: plenty of most, and too little of one."""
        await client.stock.import_stock([*(self._line(name, 1_000_000) for name in GOODS), self._line(SCARCE, 40)])

    def _line(self, variant_id: str, total: int) -> StockLine:
        return line(variant_id, total, organization_id=self.organization_id)

    async def run(self, client: InventoryClient, *, goes_on: bool = False) -> None:
        """Work until cancelled or, unless it `goes_on`, until the server is gone."""
        async with asyncio.TaskGroup() as tasks:
            for worker in range(self.workers):
                tasks.create_task(self._work(client, worker, goes_on))

    async def _work(self, client: InventoryClient, worker: int, goes_on: bool) -> None:
        number = worker
        while True:
            number += 1
            try:
                await self._ask(client, number)
                await asyncio.sleep(self.pause_s)
            except grpc.aio.AioRpcError as error:
                if not self._excuses(error):
                    return
                if not goes_on:
                    return
                await asyncio.sleep(0.2)

    async def _ask(self, client: InventoryClient, number: int) -> None:
        if number % 16 == 0:
            request_id = f"{self.name}-delivery-{len(self.deliveries)}"
            self.deliveries[request_id] = None
            await self._deliver(client, request_id)
        elif number % 64 == 1:
            request_id = f"{self.name}-import-{len(self.imports)}"
            self.imports.append(Import(request_id, [self._line(f"{request_id}-{n}", 5 + n) for n in range(5)]))
            await self._count(client, self.imports[-1])
        else:
            order = Order(
                f"{self.name}-{len(self.orders)}",
                [
                    {"variant_id": GOODS[number % len(GOODS)], "quantity": 1 + number % 3},
                    {"variant_id": SCARCE if number % 11 == 0 else "v0", "quantity": 1},
                ],
                SHORT_MINUTES if number % 5 == 0 else LONG_MINUTES,
                ("active", "confirmed", "released")[number % 3],
            )
            self.orders.append(order)
            await self._carry_on(client, order)

    async def _carry_on(self, client: InventoryClient, order: Order) -> None:
        """Make the next calls of an order, up to the state that it wants."""
        try:
            if order.reserved is None:
                order.reserved = await client.reserve_stock(
                    self.organization_id, order.order_id, order.items, order.ttl_minutes
                )
            if order.wish != "active" and order.confirmed is None and not order.is_released:
                order.has_asked = True
                reservation_id = order.reserved.reservation_id
                if order.wish == "confirmed":
                    order.confirmed = await client.confirm_reservation(
                        self.organization_id, reservation_id, order.order_id
                    )
                else:
                    released = await client.release_reservation(self.organization_id, reservation_id, "test")
                    if released.items_released:
                        order.is_released = True
                    else:
                        order.refused = "RESERVATION_EXPIRED"
        except grpc.aio.AioRpcError as error:
            reason = error_details(error).reason
            if reason == "INSUFFICIENT_STOCK" or (reason == "RESERVATION_EXPIRED" and order.is_short):
                order.refused = reason
            else:
                raise

    async def _deliver(self, client: InventoryClient, request_id: str) -> None:
        self.deliveries[request_id] = await client.stock.receive_stock(
            self.organization_id, DELIVERY_LINES, request_id=request_id
        )

    async def _count(self, client: InventoryClient, counted: Import) -> None:
        counted.answer = await client.stock.import_stock(counted.lines, request_id=counted.request_id)

    def _excuses(self, error: grpc.aio.AioRpcError) -> bool:
        """Whether a broken server may end a call so: UNAVAILABLE with a time to try again, or without a word."""
        details = error_details(error)
        self.statuses[f"{error.code().name} {details.reason}".strip()] += 1
        if error.code() is grpc.StatusCode.UNAVAILABLE and (not details.reason or details.retry_delay_s is not None):
            return True
        self.unexplained.append(f"a call ended with {error.code().name}: {error.details()}")
        return False

    async def settle(self, client: InventoryClient) -> None:
        """Ask again what had no answer.

        Raises:
            AioRpcError: there is no answer this time either.
        """
        for order in self.orders:
            if order.is_open:
                self.settled += 1
                await self._carry_on(client, order)
        for request_id, answer in self.deliveries.items():
            if answer is None:
                self.settled += 1
                await self._deliver(client, request_id)
        for counted in self.imports:
            if counted.answer is None:
                self.settled += 1
                await self._count(client, counted)

    async def has_expired(self, client: InventoryClient) -> bool:
        """Whether the time limit of a reservation has ended it."""
        async for _ in client.stock.list_reservations(self.organization_id, state="expired"):
            return True
        return False

    async def problems(self, client: InventoryClient) -> list[str]:
        """Compare the database with what was acknowledged, once nothing is under way.

        Returns:
            A sentence for each difference.
        """
        found = [r async for r in client.stock.list_reservations(self.organization_id, page_size=1000)]
        rows = {row.variant_id: row async for row in client.stock.list_stock(self.organization_id)}
        self.expired = sum(reservation.state == "expired" for reservation in found)
        delivered = rows[DELIVERED].total_quantity if DELIVERED in rows else 0
        return [
            *self.unexplained,
            *self._reservation_problems(found),
            *(
                (f"{len(self.deliveries)} deliveries of {DELIVERY} came to {delivered} pieces",)
                if delivered != DELIVERY * len(self.deliveries)
                else ()
            ),
            *(
                f"{counted.request_id}: {counted_line} is not what is there"
                for counted in self.imports
                for counted_line in counted.lines
                if (row := rows.get(counted_line["variant_id"])) is None
                or row.total_quantity != counted_line["total_quantity"]
            ),
            *[problem async for problem in self._repetitions(client)],
        ]

    def _reservation_problems(self, found: list[stock_pb2.Reservation]) -> Iterator[str]:
        by_id = {reservation.reservation_id: reservation for reservation in found}
        by_order: defaultdict[str, list[stock_pb2.Reservation]] = defaultdict(list)
        for reservation in found:
            by_order[reservation.order_id].append(reservation)
        for order in self.orders:
            living = [r for r in by_order[order.order_id] if r.state != "expired"]
            if len(living) > 1 or (len(by_order[order.order_id]) > 1 and not order.is_short):
                yield f"order {order.order_id} has {len(by_order[order.order_id])} reservations"
            if order.reserved is None:
                if living:
                    yield f"order {order.order_id} was refused and has reservation {living[0].reservation_id}"
                continue
            kept = by_id.get(order.reserved.reservation_id)
            if kept is None:
                yield f"reservation {order.reserved.reservation_id} was acknowledged and is lost"
                continue
            states = {"expired", "active"} if order.refused else order.states()  # it may be due and not gone yet
            if kept.state not in states:
                yield f"reservation {kept.reservation_id} is {kept.state}, not one of {states}"
            if _lines(kept.items) != _lines(order.reserved.reserved_items):
                yield f"reservation {kept.reservation_id} has other lines than were acknowledged"
            if order.confirmed is not None and kept.confirmed_at != order.confirmed.confirmed_at:
                yield f"reservation {kept.reservation_id} was confirmed at another time than was acknowledged"
        known = {order.order_id for order in self.orders}
        unknown = [it for it in by_order if it.startswith(f"{self.name}-") and it not in known]
        yield from (f"nobody asked for order {order_id}" for order_id in unknown)

    async def _repetitions(self, client: InventoryClient) -> Any:
        """Repeat some of the newest calls: each must be answered as it was."""
        for order in [o for o in self.orders if o.confirmed is not None][-REPEATED_MAX:]:
            assert order.reserved is not None
            again = await client.confirm_reservation(
                self.organization_id, order.reserved.reservation_id, order.order_id
            )
            if again != order.confirmed:
                yield f"confirming {order.order_id} again is answered {again}, not {order.confirmed}"
            repeated = await client.reserve_stock(self.organization_id, order.order_id, order.items, order.ttl_minutes)
            if repeated != order.reserved:
                yield f"reserving {order.order_id} again is answered {repeated}, not {order.reserved}"
        for request_id, answer in list(self.deliveries.items())[-REPEATED_MAX:]:
            delivered = await client.stock.receive_stock(self.organization_id, DELIVERY_LINES, request_id=request_id)
            if delivered != answer:
                yield f"delivery {request_id} again is answered {delivered}, not {answer}"
        for counted in self.imports[-REPEATED_MAX:]:
            imported = await client.stock.import_stock(counted.lines, request_id=counted.request_id)
            if imported != counted.answer:
                yield f"{counted.request_id} again is answered {imported}, not {counted.answer}"


def _lines(items: Any) -> list[tuple[str, str, int]]:
    return sorted((item.variant_id, item.warehouse_id, item.quantity) for item in items)

"""The inventory as a simulated consumer has it: the core of the server that serves, over the simulated network."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from actors.basket_commands import ReserveBasket, Wish
from actors.commands import (
    Command,
    Confirm,
    CountedLine,
    Deduct,
    Delete,
    DeliveryLine,
    Fulfill,
    Import,
    Line,
    Receive,
    Release,
)
from actors.outcomes import InsufficientStock, Refusal, RequestIdReused, ReservationExists, StockNotEmpty, StockNotFound
from actors.queries import ListMovements, ListReservations, ListStock, ListWarehouses, Query
from actors.unavailable import Unavailable
from actors.warehouse_outcomes import WarehouseInactive
from events.stock_port import Asked, CameBack, Lacking, OwnReservation, RowThere, StockAway, StockFailed, StockRefuses
from simulation.audit.history import Operation, Request
from simulation.world.simulated_post import PostFaults
from simulation.world.simulated_server import SimulatedServer

V = TypeVar("V")

DEADLINE_S = 5.0
AWAY = "the inventory does not answer"
TTL_MINUTES = 1
LIMIT = 1_000


class Call(Protocol):
    """How a client of the simulated network does an operation."""

    async def __call__(self, client: str, request: Request, attempts_max: int = 1) -> Operation: ...


class CoreStock:
    """`StockPort` for one process.

    Args:
        process: whose it is.
        call: does an operation.
        reached: the server that gets a query.
        tasks: where calls run: one that was sent goes on when the process is killed.
        faults: what goes wrong now; None: nothing.
    """

    def __init__(
        self,
        process: str,
        call: Call,
        reached: Callable[[], SimulatedServer | None],
        tasks: TaskGroup,
        random: Random,
        faults: Callable[[], PostFaults | None],
    ) -> None:
        self._process = process
        self._call = call
        self._reached = reached
        self._tasks = tasks
        self._random = random
        self._faults = faults
        self._away_until_s = 0.0

    def __repr__(self) -> str:
        return f"<CoreStock of {self._process}>"

    def correlated(self, correlation_id: str) -> AbstractContextManager[None]:
        return nullcontext()

    async def reserve(
        self, organization_id: str, order_id: str, goods: Sequence[Asked], ttl_minutes: int, key: str
    ) -> None:
        wishes = tuple([Wish(one.variant_id, _one(one.warehouse_id), one.quantity) for one in goods])
        ttl_minutes = ttl_minutes or TTL_MINUTES
        await self._do(ReserveBasket(organization_id, order_id, wishes, ttl_minutes, False, False, key))

    async def confirm(self, organization_id: str, reservation_id: str, order_id: str, key: str) -> None:
        await self._do(Confirm(organization_id, reservation_id, order_id, key))

    async def release(self, organization_id: str, reservation_id: str, reason: str, key: str) -> None:
        await self._do(Release(organization_id, reservation_id, reason, key))

    async def ship(
        self, organization_id: str, reservation_id: str, goods: Sequence[Asked], reference: str, key: str
    ) -> None:
        await self._do(Fulfill(organization_id, reservation_id, key, reference, lines=_lines(goods)))

    async def receive(self, organization_id: str, lines: Sequence[CameBack], reference: str, key: str) -> None:
        came = tuple([DeliveryLine(one.variant_id, one.warehouse_id, one.quantity, one.damaged) for one in lines])
        await self._do(Receive(organization_id, came, key, "return", reference))

    async def deduct(self, organization_id: str, goods: Sequence[Asked], reference: str, key: str) -> None:
        await self._do(Deduct(organization_id, _lines(goods), key, "sale", reference))

    async def make_rows(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_ids: Sequence[str],
        levels: tuple[int | None, int | None],
        key: str,
    ) -> None:
        nothing = (None, None, None)
        lines = [
            CountedLine(organization_id, variant_id, one, "", *nothing, *levels, number)
            for number, one in enumerate(warehouse_ids, 1)
        ]
        await self._do(Import(tuple(lines), key))

    async def delete_row(
        self, organization_id: str, variant_id: str, warehouse_id: str, reason: str, reference: str, key: str
    ) -> None:
        await self._do(Delete(organization_id, variant_id, warehouse_id, key, reason, reference))

    async def deleted(self, organization_id: str, variant_id: str, reference: str) -> int:
        query = ListMovements(
            organization_id, variant_id=variant_id, reference=reference, kinds=("delete",), limit=LIMIT
        )
        return len((await self._ask(query)).movements)

    async def reservations(self, organization_id: str, order_id: str) -> list[OwnReservation]:
        page = await self._ask(ListReservations(organization_id, order_id=order_id, limit=LIMIT))
        return [OwnReservation(one.reservation_id, one.state) for one in page.reservations]

    async def rows(self, organization_id: str, variant_id: str) -> list[RowThere]:
        page = await self._ask(ListStock(organization_id, variant_id, limit=LIMIT))
        found = [view.record for view in page.stock]
        return [RowThere(row.variant_id, row.warehouse_id, row.stock_id, row.total) for row in found]

    async def active_warehouses(self, organization_id: str) -> list[str]:
        page = await self._ask(ListWarehouses(organization_id, True, limit=LIMIT))
        return [one.warehouse_id for one in page.warehouses]

    async def _do(self, command: Command) -> None:
        """Have it done by a task of the world: what was sent is sent."""
        self._see_that_it_is_there()
        if self._fails():
            raise StockFailed("the inventory meets a bug, and nothing is done")
        ended, found = anyio.Event(), list[Operation]()

        async def run() -> None:
            found.append(await self._call(self._process, command, attempts_max=2))
            ended.set()

        self._tasks.start_soon(run)
        await ended.wait()
        answer = found[0].answer
        if answer is None:
            raise StockAway(AWAY)
        if self._fails():
            raise StockFailed("the inventory meets a bug when it is done")
        if isinstance(answer, Refusal):
            raise refused(answer)

    def _fails(self) -> bool:
        faults = self._faults()
        return faults is not None and self._random.random() < faults.fails

    def _see_that_it_is_there(self) -> None:
        """Now and then no word of this process reaches a server for some seconds."""
        faults, now_s = self._faults(), anyio.current_time()
        if faults is None:
            return
        if now_s > self._away_until_s and self._random.random() < faults.away:
            self._away_until_s = now_s + self._random.random() * 25.0
        if now_s < self._away_until_s:
            raise StockAway(AWAY)

    async def _ask(self, query: Query[V]) -> V:
        await anyio.sleep(self._random.random() * 0.01)
        self._see_that_it_is_there()
        server = self._reached()
        if server is None:
            raise StockAway(AWAY)
        with anyio.move_on_after(DEADLINE_S):
            try:
                answer = await server.supervisor.answer(query).wait()
            except Unavailable as error:
                raise StockAway(AWAY) from error
            if not server.is_dead:
                return answer
        raise StockAway(AWAY)


def _one(warehouse_id: str) -> tuple[str, ...]:
    return (warehouse_id,) if warehouse_id else ()


def _lines(goods: Sequence[Asked]) -> tuple[Line, ...]:
    return tuple([Line(one.variant_id, one.warehouse_id, one.quantity) for one in goods])


def refused(refusal: Refusal) -> StockRefuses:
    """As a server says it."""
    match refusal:
        case InsufficientStock(shortages):
            lacking = [Lacking(it.variant_id, it.warehouse_id, it.requested, it.available) for it in shortages]
            return StockRefuses("INSUFFICIENT_STOCK", "there is too little", lacking)
        case StockNotFound():
            lacking = [Lacking(it.variant_id, it.warehouse_id) for it in refusal.missing]
            lacking += [Lacking(it.variant_id, it.warehouse_id, it.requested, it.available) for it in refusal.shortages]
            return StockRefuses("STOCK_NOT_FOUND", "there is no such stock", lacking)
        case WarehouseInactive(rows):
            lacking = [Lacking(it.variant_id, it.warehouse_id) for it in rows]
            return StockRefuses("WAREHOUSE_INACTIVE", "it is closed", lacking)
        case StockNotEmpty():
            return StockRefuses("STOCK_NOT_EMPTY", "it has pieces")
        case RequestIdReused():
            return StockRefuses("REQUEST_ID_REUSED", "the key belongs to another request")
        case ReservationExists():
            return StockRefuses("RESERVATION_EXISTS", "the order has another basket")
        case _:
            return StockRefuses(type(refusal).__name__, "it cannot be done")

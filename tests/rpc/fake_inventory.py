"""A stand-in for the supervisor that answers what the test tells it to, and remembers what it was asked."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from actors.commands import Command
from actors.outcomes import Fact, StockReserved
from actors.queries import (
    CheckBasket,
    DropCursor,
    ExplainBasket,
    FindStock,
    GetReservation,
    GetSourcing,
    GetStock,
    GetTransfer,
    ListCursors,
    ListStock,
    ListTransfers,
    ListWarehouses,
    MoveCursor,
    Query,
    ReadFeed,
    TakeCursor,
)
from actors.records import ReservationItem, ReservationRecord, ReservationState, StockRecord
from actors.reply import Reply
from actors.views import (
    Availability,
    BasketCheck,
    ReservationFound,
    ReservationPage,
    StockPage,
    StockRows,
    StockView,
    WarehousePage,
)

V = TypeVar("V")

AT_MS = 1_769_860_800_123  # 2026-01-31T12:00:00.123Z

ITEMS = (
    ReservationItem("var_789", "wh_101", "wh_101", "stock_1", 2, 10, 8),
    ReservationItem("var_456", "wh_102", "", "stock_2", 1, 5, 4),
)


def a_reservation(state: ReservationState = "active") -> ReservationRecord:
    ended = state in ("released", "expired", "fulfilled")
    return ReservationRecord(
        "res_1",
        "org_123",
        "order_456",
        state,
        AT_MS,
        AT_MS + 900_000,
        ITEMS,
        confirmed_at_ms=AT_MS + 1_000 if state in ("confirmed", "fulfilled") else 0,
        ended_at_ms=AT_MS + 2_000 if ended else 0,
        reason="cancelled" if state == "released" else "",
    )


def a_view(warehouse_id: str = "wh_101", available: int = 8) -> StockView:
    record = StockRecord("org_123", "var_789", warehouse_id, "stock_1", available, 2, 1, 3, min_stock=5, max_stock=50)
    return StockView(record, "Main")


def a_line(found: bool = True, fits: bool = True, available: int = 8) -> Availability:
    return Availability("var_789", "wh_101" if found else "", 5, available, found, fits)


class FakeInventory:
    """Set `outcome` (an exception is raised), `lines`, `page`, `reservations`. While `gate` is unset, no answers."""

    def __init__(self) -> None:
        self.serving = True
        self.outcome: Fact | Exception = StockReserved(a_reservation())
        self.lines: tuple[Availability, ...] = (a_line(),)
        self.page = StockPage((a_view(),), None)
        self.reservations = ReservationPage((a_reservation(),), "")
        self.found: ReservationFound | Exception = ReservationFound(a_reservation())
        self.warehouses = WarehousePage((), "")
        self.view: Any = None
        self.asked: list[object] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def ask(self, command: Command) -> Fact:
        await self._pass(command)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def submit(self, command: Command) -> Reply[Fact]:
        return self._reply(self.ask(command))

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._reply(self._look(query))

    async def _look(self, query: Query[Any]) -> Any:
        await self._pass(query)
        match query:
            case CheckBasket():
                return BasketCheck(all(line.fits for line in self.lines), self.lines)
            case GetStock():
                return StockRows(self.page.stock)
            case ListStock() | FindStock():
                return self.page
            case GetReservation():
                if isinstance(self.found, Exception):
                    raise self.found
                return self.found
            case GetTransfer() | ListTransfers() | ExplainBasket() | GetSourcing():
                return self.view
            case ReadFeed() | TakeCursor() | MoveCursor() | DropCursor() | ListCursors():
                return self.view
            case ListWarehouses():
                return self.warehouses
            case _:
                return self.reservations

    def _reply(self, answering: Coroutine[Any, Any, V]) -> Reply[V]:
        reply: Reply[V] = Reply()

        async def answer() -> None:
            try:
                reply.set(await answering)
            except Exception as error:  # noqa: BLE001 - goes to the caller
                reply.fail(error)

        task = asyncio.create_task(answer())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return reply

    async def _pass(self, question: object) -> None:
        self.asked.append(question)
        self.arrived.set()
        await self.gate.wait()

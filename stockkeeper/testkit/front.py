"""The server's own front, the frame and the servicers of `rpc`, without gRPC's transport before it.

`rpc.handlers.Frame` takes bytes and a context and gives bytes, or aborts through the context. It needs of gRPC no
more than that, so a context of forty lines stands in for HTTP/2.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

import grpc
import grpc.aio
from anyio.lowlevel import checkpoint

from actors.messages import Command, Line
from actors.outcomes import Fact, Refused
from actors.records import ReservationState, StockKey
from rpc.handlers import Frame
from rpc.inventory_service import InventoryServicer
from rpc.server import CALLS_MAX, INVENTORY, STOCK
from rpc.stock_service import StockServicer
from simulation.history import Answer, Check, History, ListReservations, ListStock, Request, StockInfo
from simulation.server import Server
from supervisor.queries import BasketCheck, ReservationPage, StockPage, StockView

Metadata = tuple[tuple[str, str | bytes], ...]
A = TypeVar("A", bound=Answer)


class Reply(NamedTuple):
    """What a call ends with, wherever it ended."""

    code: grpc.StatusCode
    body: bytes = b""
    details: str = ""
    trailers: Metadata = ()

    def error(self) -> grpc.aio.AioRpcError:
        """What the caller of grpc.aio gets for it."""
        return grpc.aio.AioRpcError(
            self.code,
            initial_metadata=grpc.aio.Metadata(),
            trailing_metadata=grpc.aio.Metadata(*self.trailers),
            details=self.details,
            debug_error_string=f"in process: {self.details}",
        )


class Front:
    """Serves calls with one server process, and notes in the history what the core was asked and answered."""

    def __init__(self, server: Server, history: History) -> None:
        self._frame = Frame(CALLS_MAX)
        inventory = _Recorded(server, history)
        self._frame.add_service(INVENTORY, InventoryServicer(inventory))
        self._frame.add_service(STOCK, StockServicer(inventory))

    async def serve(self, path: str, messages: Sequence[bytes], metadata: Metadata) -> Reply:
        """One RPC. Cancelling it is what gRPC does to a handler whose caller is gone."""
        handler: Any = self._frame.service(_CallDetails(path, metadata))
        if handler is None:
            return Reply(grpc.StatusCode.UNIMPLEMENTED, details="Method not found!")
        context = _Context(messages, metadata)
        try:
            if handler.request_streaming:
                body = await handler.stream_unary(None, context)
            else:
                body = await handler.unary_unary(messages[0], context)
        except _Aborted as aborted:
            return aborted.reply
        return Reply(grpc.StatusCode.OK, body)


class _CallDetails(grpc.HandlerCallDetails):
    def __init__(self, method: str, invocation_metadata: Metadata) -> None:
        self.method = method
        self.invocation_metadata = invocation_metadata


class _Aborted(grpc.aio.AbortError):
    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class _Context:
    """As much of grpc.aio.ServicerContext as `rpc.handlers` uses."""

    def __init__(self, messages: Sequence[bytes], metadata: Metadata) -> None:
        self._unread = list(messages)
        self._metadata = metadata

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    async def read(self) -> Any:
        await checkpoint()
        return self._unread.pop(0) if self._unread else grpc.aio.EOF

    async def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        await checkpoint()

    async def abort_with_status(self, status: Any) -> NoReturn:
        raise _Aborted(Reply(status.code, b"", status.details, tuple(status.trailing_metadata)))


class _Recorded:
    """The core behind the port `rpc.service.Inventory`. The auditor judges what passes through here."""

    def __init__(self, server: Server, history: History) -> None:
        self._server = server
        self._core = server.supervisor
        self._history = history

    @property
    def serving(self) -> bool:
        return self._server.serving

    async def ask(self, command: Command) -> Fact:
        return await self._record(command, self._core.ask(command))

    async def check(self, organization_id: str, lines: Sequence[Line]) -> BasketCheck:
        return await self._record(Check(organization_id, tuple(lines)), self._core.check(organization_id, lines))

    async def stock_info(self, organization_id: str, variant_id: str, warehouse_id: str) -> Sequence[StockView]:
        async def look() -> tuple[StockView, ...]:
            return tuple(await self._core.stock_info(organization_id, variant_id, warehouse_id))

        return await self._record(StockInfo(organization_id, variant_id, warehouse_id), look())

    async def list_stock(
        self, organization_id: str, *, variant_id: str, warehouse_id: str, after: StockKey | None, limit: int
    ) -> StockPage:
        answer = self._core.list_stock(
            organization_id, variant_id=variant_id, warehouse_id=warehouse_id, after=after, limit=limit
        )
        return await self._record(ListStock(organization_id, variant_id, warehouse_id, after, limit), answer)

    async def list_reservations(
        self, organization_id: str, *, state: ReservationState | None, order_id: str, before: str, limit: int
    ) -> ReservationPage:
        answer = self._core.list_reservations(
            organization_id, state=state, order_id=order_id, before=before, limit=limit
        )
        return await self._record(ListReservations(organization_id, state, order_id, before, limit), answer)

    async def _record(self, request: Request, answering: Awaitable[A]) -> A:
        operation = self._history.begin("client", request)
        answer: Answer | None = None
        try:
            answered = await answering
            answer = answered
            return answered
        except Refused as refused:
            answer = refused.refusal
            raise
        finally:
            if answer is not None and not self._server.is_dead:  # what a dead process says, nobody hears
                operation.answer = answer
                operation.high_lsn = self._server.store.disk.last_lsn
                operation.answered_ms = self._server.time.now_ms()
            self._history.end(operation)

"""The server's own front, the frame and the servicers of `rpc`, without gRPC's transport before it.

`rpc.frame.Frame` takes a call's bytes from its context and ends the call through it. It needs of gRPC no more than
that, so a small context stands in for HTTP/2.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple, TypeVar, cast

import grpc
import grpc.aio
from anyio import Event
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectSendStream

from actors.commands import Command
from actors.outcomes import Fact, Refused
from actors.queries import AnyQuery, Query
from actors.reply import Reply as CoreReply
from rpc.fair_turns import NoTurns
from rpc.frame import CALLS_MAX, Frame
from rpc.service_names import INVENTORY, STOCK, STREAM
from rpc.services.inventory_service import InventoryServicer
from rpc.services.stock_service import StockServicer
from rpc.transport.transport_port import CallEnd
from simulation.audit.history import Answer, History, Operation, Request
from simulation.world.simulated_server import SimulatedServer
from stockkeeper.testkit.streamed_service import StreamedServicer

Metadata = tuple[tuple[str, str | bytes], ...]
T = TypeVar("T")
V = TypeVar("V")


class WireReply(NamedTuple):
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

    def __init__(self, server: SimulatedServer, history: History) -> None:
        self._history = history
        self._frame = Frame(CALLS_MAX, turns=NoTurns())
        inventory = _Recorded(server, history)
        self._frame.add_service(INVENTORY, InventoryServicer(inventory))
        self._frame.add_service(STOCK, StockServicer(inventory))
        self._frame.add_service(STREAM, StreamedServicer(inventory))

    def __repr__(self) -> str:
        return f"<Front {self._frame} operations={len(self._history.operations)}>"

    async def serve(self, path: str, messages: Sequence[bytes], metadata: Metadata) -> WireReply:
        """One RPC. Cancelling it is the caller's going away."""
        context = _Context(messages, metadata)
        begun = len(self._history.operations)
        self._frame.serve(path, context)
        operations = self._history.operations[begun:]
        try:
            return await context.reply()
        finally:
            for operation in operations:
                if operation.end < 0:
                    self._history.end(operation)  # given up

    async def stream(
        self, path: str, message: bytes, metadata: Metadata, send: MemoryObjectSendStream[bytes]
    ) -> WireReply:
        """One RPC whose responses go to `send` as they come. Cancelling it is the caller's going away."""
        context = _StreamContext((message,), metadata, send)
        self._frame.serve(path, context)
        return await context.reply()


class _Context:
    """`rpc.frame.Context` of a call that came in one piece and has one response, if over a stream."""

    def __init__(self, messages: Sequence[bytes], metadata: Metadata) -> None:
        self._unread = list(messages)
        self._metadata = metadata
        self._on_over: Callable[[], None] = lambda: None
        self._on_gone: Callable[[], None] = lambda: None
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._reply: WireReply | None = None
        self._written = b""
        self._replied = Event()
        self.caller = ""
        self.is_over = False
        self.watched: CallEnd | None = None

    def __repr__(self) -> str:
        return f"<_Context unread={len(self._unread)} over={self.is_over} {self._reply or 'no reply yet'}>"

    async def reply(self) -> WireReply:
        """What the call ends with. Cancelling it is the caller's going away."""
        try:
            if self._coroutine is not None:
                await self._coroutine
            await self._replied.wait()
        finally:
            if not self.is_over:
                self._over()
        assert self._reply is not None
        return self._reply

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def peer(self) -> str:
        return ""

    def time_left_s(self) -> float:
        return inf  # a client of the kit gives up by cancelling

    def when_over(self, listener: Callable[[], None]) -> None:
        self._on_over = listener

    def when_gone(self, listener: Callable[[], None]) -> None:
        self._on_gone = listener

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    def receive(self, on_message: Callable[[bytes | None], None]) -> None:
        on_message(self._unread.pop(0) if self._unread else None)

    async def read(self) -> bytes | None:
        await checkpoint()
        return self._unread.pop(0) if self._unread else None

    async def confirm(self) -> None:
        await checkpoint()

    async def write(self, message: bytes) -> None:
        await checkpoint()
        self._written = message

    def end(self) -> None:
        self._end(WireReply(grpc.StatusCode.OK, self._written))

    def answer(self, message: bytes) -> None:
        self._end(WireReply(grpc.StatusCode.OK, message))

    def abort(self, status: Any) -> None:
        self._end(WireReply(status.code, b"", status.details, tuple(status.trailing_metadata)))

    def cancel(self) -> None:
        self._end(WireReply(grpc.StatusCode.CANCELLED))

    def _end(self, reply: WireReply) -> None:
        if not self.is_over:
            self._reply = reply
            self._replied.set()
            self._over()

    def _over(self) -> None:
        self.is_over = True
        self._on_over()
        self._on_gone()


class _StreamContext(_Context):
    """The same of a call that has many responses, each of which waits until it is taken."""

    def __init__(self, messages: Sequence[bytes], metadata: Metadata, send: MemoryObjectSendStream[bytes]) -> None:
        super().__init__(messages, metadata)
        self._send = send

    async def write(self, message: bytes) -> None:
        await self._send.send(message)


class _Recorded:
    """The core behind the port `rpc.inventory_port.Inventory`. The auditor judges what passes through here."""

    def __init__(self, server: SimulatedServer, history: History) -> None:
        self._server = server
        self._core = server.supervisor
        self._history = history

    def __repr__(self) -> str:
        return f"<_Recorded {self._server}>"

    @property
    def serving(self) -> bool:
        return self._server.serving

    async def ask(self, command: Command) -> Fact:
        return await self.submit(command).wait()

    def submit(self, command: Command) -> CoreReply[Fact]:
        return self._record(command, partial(self._core.submit, command))

    def answer(self, query: Query[V]) -> CoreReply[V]:
        return self._record(cast(AnyQuery, query), partial(self._core.answer, query))

    def _record(self, request: Request, begin: Callable[[], CoreReply[T]]) -> CoreReply[T]:
        operation = self._history.begin("client", request)
        try:
            reply = begin()
        except BaseException:
            self._history.end(operation)
            raise
        told: CoreReply[T] = CoreReply()
        reply.when_done(lambda: self._tell(operation, reply, told))
        return told

    def _tell(self, operation: Operation, reply: CoreReply[T], told: CoreReply[T]) -> None:
        try:
            answer: Any = reply.result()
        except Exception as error:  # noqa: BLE001 - goes to the caller
            self._end(operation, error.refusal if isinstance(error, Refused) else None)
            told.fail(error)
        else:
            self._end(operation, answer)
            told.set(answer)

    def _end(self, operation: Operation, answer: Answer | None) -> None:
        if operation.end >= 0:
            return  # its caller gave up
        if answer is not None and not self._server.is_dead:  # a dead process says nothing
            operation.answer = answer
            operation.high_lsn = self._server.store.disk.last_lsn
            operation.answered_ms = self._server.time.now_ms()
        self._history.end(operation)

"""One RPC on grpc.aio, in the task that grpc.aio gives it and cancels when the caller is gone.

Every method is served as a stream of bytes in both directions. That leaves it to the frame what is a single message,
and so one that is missing is answered; the handlers of grpc.aio for single messages leave such a caller without one.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, NamedTuple, NoReturn

import grpc
import grpc.aio

from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.kept_metadata import kept
from rpc.transport.read_turns import ReadTurns
from rpc.transport.slow_callers import LARGE_BYTES, SlowCallers
from rpc.transport.transport_port import CallEnd, Metadata

CANCELLED = "The call was cancelled by the server"

log = logging.getLogger(__name__)


class _LastWord(NamedTuple):
    """What ends a call; without a code it ends well."""

    message: bytes | None = None
    code: grpc.StatusCode | None = None
    details: str = ""
    trailing_metadata: Any = ()


class AioCall:
    """`rpc.transport.transport_port.Context` on grpc.aio.

    Args:
        context: the call, as grpc.aio has it.
        metadata: what the caller sent with it.
        slow: counts large responses until they are written.
        connections: is told of messages that came.
        reads: says when a request is read.
    """

    __slots__ = (
        *(
            "_connections",
            "_context",
            "_coroutine",
            "_last_word",
            "_metadata",
            "_on_gone",
            "_on_message",
            "_on_over",
            "_reads",
            "_served",
            "_slow",
        ),
        *("_task", "awaits_request", "caller", "is_over", "watched"),
    )

    def __init__(
        self,
        context: Any,
        metadata: Metadata,
        slow: SlowCallers["AioCall"],
        connections: ConnectionWatch,
        reads: ReadTurns,
    ) -> None:
        self._context = context
        self._metadata = kept(metadata)
        self._slow = slow
        self._connections = connections
        self._reads = reads
        self._on_gone: Callable[[], None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self.awaits_request = False
        self.caller = ""
        self._last_word: asyncio.Future[_LastWord] = asyncio.get_running_loop().create_future()
        self._on_over: Callable[[], None] | None = None
        self._on_message: Callable[[bytes | None], None] | None = None
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_over = False
        self.watched: CallEnd | None = None

    def __repr__(self) -> str:
        return f"<AioCall over={self.is_over}>"

    async def live(self, serve: Callable[["AioCall"], None]) -> None:
        """Serve the call and write what ends it. It is cancelled when the caller is gone."""
        self._task = asyncio.current_task()
        try:
            await self._serve(serve)
            await self._write_last(await self._last_word)
        finally:
            self._task = None  # or they would keep each other
            if self._coroutine is not None:
                self._coroutine.close()  # the caller was gone at the same moment
            self._over(grpc.StatusCode.CANCELLED)
            self._slow.gone(self)
            if self._on_gone is not None:
                self._on_gone()

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def time_left_s(self) -> float:
        left_s = self._context.time_remaining()
        return inf if left_s is None else float(left_s)

    def when_over(self, listener: Callable[[], None]) -> None:
        self._on_over = listener

    def when_gone(self, listener: Callable[[], None]) -> None:
        self._on_gone = listener

    def peer(self) -> str:
        return str(self._context.peer())

    def cut_off(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._note_served()

    # ---- what the caller sends --------------------------------------------------------------------------------------

    def receive(self, on_message: Callable[[bytes | None], None]) -> None:
        self._on_message = on_message

    async def read(self) -> bytes | None:
        if self.is_over:
            return None
        try:
            given = await self._context.read()
        except grpc.aio.BaseError:  # the server has ended
            return None
        message: bytes | None = None if given is grpc.aio.EOF else given
        if self._connections.is_comparing:
            self._connections.brought(self, len(message or b""))
        return message

    # ---- what the caller gets ---------------------------------------------------------------------------------------

    async def confirm(self) -> None:
        await self._send(self._context.send_initial_metadata, ())

    async def write(self, message: bytes) -> None:
        await self._send(self._context.write, message)

    def answer(self, message: bytes) -> None:
        if len(message) > LARGE_BYTES and not self.is_over:
            self._slow.given(self, len(message))
        self._end(_LastWord(message))

    def end(self) -> None:
        self._end(_LastWord())

    def abort(self, status: grpc.Status) -> None:
        self._end(_LastWord(None, status.code, status.details or "", status.trailing_metadata))

    def cancel(self) -> None:
        self._end(_LastWord(None, grpc.StatusCode.CANCELLED, CANCELLED))

    async def _serve(self, serve: Callable[["AioCall"], None]) -> None:
        try:
            serve(self)
            await self._receive()
        except Exception:
            log.exception("grpc_event_failed")
            self.cancel()
        await self._run()

    async def _receive(self) -> None:
        on_message, self._on_message = self._on_message, None  # or they would keep each other
        if on_message is not None:
            await self._reads.turn(self.peer)
            self.awaits_request = True
            message = await self.read()
            self._reads.was_read(self.peer, len(message or b""))
            self.awaits_request = False
            on_message(message)

    async def _run(self) -> None:
        await self._served  # a large request waits for its turn before it has a coroutine or an answer
        coroutine, self._coroutine = self._coroutine, None  # as above
        if coroutine is None:
            return
        try:
            await coroutine
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        if not self.is_over:
            self.cancel()  # it was cancelled, but not by the caller, which would wait for ever

    async def _send(self, send: Callable[[Any], Coroutine[Any, Any, None]], what: object) -> None:
        if self.is_over:
            await _wait_to_be_cancelled()
        try:
            await send(what)
        except grpc.aio.BaseError:
            await _wait_to_be_cancelled()

    async def _write_last(self, word: _LastWord) -> None:
        if word.message is not None:
            try:
                await self._context.write(word.message)
            except grpc.aio.BaseError:
                await _wait_to_be_cancelled()
        if word.code is not None:
            self._context.set_code(word.code)
            self._context.set_details(word.details)
            self._context.set_trailing_metadata(tuple(word.trailing_metadata))

    def _end(self, word: _LastWord) -> None:
        if not self.is_over:
            self._last_word.set_result(word)
            self._note_served()
            self._over(word.code or grpc.StatusCode.OK)

    def _note_served(self) -> None:
        if not self._served.done():
            self._served.set_result(None)

    def _over(self, code: grpc.StatusCode) -> None:
        if not self.is_over:
            self.is_over = True
            if self._on_over is not None:
                self._on_over()
            if self.watched is not None:
                self.watched.ended(code.value[0], self)


async def _wait_to_be_cancelled() -> NoReturn:
    """The caller is gone, and grpc.aio is about to say so."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError

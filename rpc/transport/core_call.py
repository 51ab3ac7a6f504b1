"""One RPC on gRPC's core, from its arrival to its end.

grpc.aio gives each call a task, three wake-ups and five writes to a socket that wakes its loop, which take three
times as long as all that gRPC's core and its own binding do for the call (docs/performance.md). Here a call is what
the core knows of it. Its response goes to the core at once, from the function that makes it; only coroutines and
generators get a task. The binding is used as grpc.Server uses it, see `rpc.transport.core_listener`.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs

from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.kept_metadata import kept
from rpc.transport.slow_callers import LARGE_BYTES, SlowCallers
from rpc.transport.transport_port import CallEnd, Metadata

NO_FLAGS = 0
OK, CANCELLED = 0, 1


class CoreCall:
    """`rpc.transport.transport_port.Context` on gRPC's core. It belongs to the loop's thread.

    Args:
        core: the call, as gRPC's core has it.
        metadata: what the caller sent with it.
        on_done: called once, when the response is written or the caller gone.
        slow: counts large responses until then.
        connections: is told of messages that came.
        details: what gRPC's core knows of it from its beginning.
    """

    __slots__ = (
        *(
            "_connections",
            "_core",
            "_details",
            "_has_begun",
            "_is_large",
            "_metadata",
            "_on_done",
            "_on_gone",
            "_on_over",
            "_slow",
        ),
        *("_task", "awaits_request", "caller", "is_over", "watched"),
    )

    def __init__(
        self,
        core: Any,
        metadata: Metadata,
        on_done: Callable[["CoreCall"], None],
        slow: SlowCallers["CoreCall"],
        connections: ConnectionWatch,
        details: Any = None,
    ) -> None:
        self._core = core
        self._details = details
        self._metadata = kept(metadata)
        self._on_done = on_done
        self._slow = slow
        self._connections = connections
        self._on_gone: Callable[[], None] | None = None
        self.awaits_request = False
        self.caller = ""
        self._on_over: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_begun = False
        self._is_large = False
        self.is_over = False
        self.watched: CallEnd | None = None
        self._start((cygrpc.ReceiveCloseOnServerOperation(NO_FLAGS),), self._on_close)

    def __repr__(self) -> str:
        return f"<CoreCall over={self.is_over} begun={self._has_begun}>"

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def time_left_s(self) -> float:
        return float(self._details.deadline) - time.time()

    def when_over(self, listener: Callable[[], None]) -> None:
        self._on_over = listener

    def when_gone(self, listener: Callable[[], None]) -> None:
        self._on_gone = listener

    def peer(self) -> str:
        return bytes(self._core.peer()).decode()

    def cut_off(self) -> None:
        self._core.cancel()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(coroutine)
        self._task.add_done_callback(self._on_task_end)

    # ---- what the caller sends --------------------------------------------------------------------------------------

    def receive(self, on_message: Callable[[bytes | None], None]) -> None:
        def arrived(event: Any) -> None:
            self.awaits_request = False
            message = event.batch_operations[0].message()
            if self._connections.is_comparing:
                self._connections.brought(self, len(message or b""))
            on_message(message)

        if self.is_over:  # an operation would abort the process, once the queue is shut down
            on_message(None)
            return
        self.awaits_request = True
        self._start((cygrpc.ReceiveMessageOperation(NO_FLAGS),), arrived)

    async def read(self) -> bytes | None:
        arrived: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def take(message: bytes | None) -> None:
            if not arrived.done():  # it is, if the reader was cancelled
                arrived.set_result(message)

        self.receive(take)
        self.awaits_request = False  # a stream has time limits of its own
        return await arrived

    # ---- what the caller gets ---------------------------------------------------------------------------------------

    async def confirm(self) -> None:
        assert not self._has_begun, self
        self._has_begun = True
        await self._send((cygrpc.SendInitialMetadataOperation((), NO_FLAGS),))

    async def write(self, message: bytes) -> None:
        operation = cygrpc.SendMessageOperation(message, NO_FLAGS)
        if self._has_begun:
            await self._send((operation,))
        else:
            self._has_begun = True
            await self._send((cygrpc.SendInitialMetadataOperation((), NO_FLAGS), operation))

    def answer(self, message: bytes) -> None:
        if len(message) > LARGE_BYTES and not self.is_over:
            self._is_large = True
            self._slow.given(self, len(message))
        self._end(OK, cygrpc.SendMessageOperation(message, NO_FLAGS), _ok())

    def end(self) -> None:
        self._end(OK, _ok())

    def abort(self, status: grpc.Status) -> None:
        code, _ = status.code.value
        self._end(code, cygrpc.SendStatusFromServerOperation(status.trailing_metadata, code, status.details, NO_FLAGS))

    def cancel(self) -> None:
        self._core.cancel()

    def _start(self, operations: Sequence[Any], tag: Callable[[Any], None]) -> None:
        code = self._core.start_server_batch(operations, tag)
        assert code == OK, (code, operations)  # otherwise nothing is begun, and `tag` is never called

    async def _send(self, operations: Sequence[Any]) -> None:
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def take(event: Any) -> None:
            if not written.done():
                written.set_result(event.success)

        if not self.is_over:  # as in `receive`
            self._start(operations, take)
        if self.is_over or not await written:
            await asyncio.get_running_loop().create_future()  # the caller is gone: wait to be cancelled

    def _end(self, code: int, *operations: Any) -> None:
        if self.is_over:
            return
        if not self._has_begun:
            self._has_begun = True
            operations = (cygrpc.SendInitialMetadataOperation((), NO_FLAGS), *operations)
        self._start(operations, self._on_written)
        self._over(code)

    def _on_written(self, event: Any) -> None:
        self._gone()

    def _gone(self) -> None:
        if self._is_large:
            self._slow.gone(self)
        if self._on_gone is not None:
            self._on_gone()
        self._on_done(self)

    def _on_close(self, event: Any) -> None:
        """The core has done with the call: in the end, or because the caller gave up, is lost or ran out of time."""
        if event.batch_operations[0].cancelled() and not self.is_over:
            if self._task is not None:
                # Not at once: a task that has not begun would never await the coroutine that it was given.
                asyncio.get_running_loop().call_soon(self._task.cancel)
            self._over(CANCELLED)
            self._gone()

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        self._task = None  # or they would keep each other
        if not self.is_over:
            self.cancel()  # it was cancelled, but not by the caller, which would wait for ever

    def _over(self, code: int) -> None:
        self.is_over = True
        if self._on_over is not None:
            self._on_over()
        if self.watched is not None:
            self.watched.ended(code, self)


def _ok() -> Any:
    return cygrpc.SendStatusFromServerOperation((), OK, b"", NO_FLAGS)

"""Sends a stream and returns the one answer to it. grpc.aio by itself loses errors of both sides:

- An iterator handed to it that raises ends the call as cancelled, and what it raised is gone. So the requests are
  written one by one here.
- A write that fails because the service has answered, or because the deadline is over, sets the call's status to
  INTERNAL, "Internal error from Core". The true status replaces that if it comes later, and is lost if it came before:
  seen in 15 of 1,500 refusals that came while requests were written. So the first status is kept here.
"""

# The generic types of grpc.aio have no subscript at run time before grpcio 1.84.
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar, cast

import grpc.aio

_STATUS_PATIENCE_S = 1.0

Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


async def write_all(call: grpc.aio.StreamUnaryCall[Request, Response], requests: AsyncIterable[Request]) -> None:
    """Writes `requests` until they end, or until the service has answered and reads no more.

    What `requests` raises, as well as cancelling, cancels the call and is passed on.
    """
    try:
        async for request in requests:
            try:
                await call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return
        await call.done_writing()
    except BaseException:
        call.cancel()
        raise


class FirstStatus:
    """Keeps the status that the service gives to `call`, and not the one that a write of `writer` sets when it fails.

    `writer`: the task that writes to it; this one if it is not given.
    """

    def __init__(self, call: grpc.aio.Call, writer: asyncio.Task[Any] | None = None) -> None:
        self._writer = writer or asyncio.current_task()
        self._call: Any = call
        self._error: grpc.aio.AioRpcError | None = None
        self._known = asyncio.Event()
        call.add_done_callback(self._on_done)

    def __repr__(self) -> str:
        return f"<FirstStatus {'none yet' if self._error is None else self._error.code().name}>"

    async def answer(self, call: grpc.aio.StreamUnaryCall[Any, Response]) -> Response:
        """The answer to `call`. Raises AioRpcError."""
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise self._error or error from None

    async def behind(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """What the call ended with, where `error` may be only what a failed write made of it."""
        if error.code() is grpc.StatusCode.INTERNAL and not self._known.is_set():
            try:
                async with asyncio.timeout(_STATUS_PATIENCE_S):
                    await self._known.wait()
            except TimeoutError:
                pass
        return self._error or error

    def _on_done(self, _: Any) -> None:
        if asyncio.current_task() is self._writer:
            return
        self._known.set()
        code = _result(self._call.code())
        if code is not grpc.StatusCode.OK:
            self._error = grpc.aio.AioRpcError(
                code,
                trailing_metadata=_result(self._call.trailing_metadata()),
                details=_result(self._call.details()),
                debug_error_string="",
            )


def _result(finished: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that has nothing to wait for: a call that is done has its status."""
    try:
        finished.send(None)
    except StopIteration as done:
        return cast(Result, done.value)
    finished.close()
    raise AssertionError("a call that is done has its status")


async def each(given: Iterable[Request] | AsyncIterable[Request]) -> AsyncIterator[Request]:
    """What a caller gives to be sent, wherever it comes from."""
    if isinstance(given, AsyncIterable):
        async for one in given:
            yield one
    else:
        for one in given:
            yield one

"""The frame around every method: bytes in, bytes out, and the one place where an exception becomes a status.

gRPC gets handlers that take raw bytes, so that parsing happens inside of the frame (see `rpc.wire`). It is a
frame and not a server interceptor: an interceptor costs each call two more coroutines and cannot see what a
deserializer raises. Methods are registered under one generic handler; gRPC's own registration of each
(`_registered_method`) was measured to serve no more calls.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from actors.outcomes import Unavailable
from rpc.errors import INTERNAL, describe
from rpc.status import details_bytes_max, to_status
from rpc.wire import M, parse

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
Behaviour = Callable[..., Any]  # a servicer's method: its types are checked where the servicer is written

RETRY_AFTER_OVERLOAD_MS = 500

log = structlog.get_logger(__name__)


class FrameStatistics(NamedTuple):
    calls_under_way: int
    calls_taken: int
    calls_turned_away: int


class Frame(grpc.GenericRpcHandler):
    """All methods of a server, each inside of the frame.

    Args:
        calls_max: how many calls may be under way; one more is answered UNAVAILABLE, to be retried.
    """

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._calls_under_way = 0
        self._calls_taken = 0
        self._calls_turned_away = 0
        self._handlers: dict[str, Handler] = {}

    def __repr__(self) -> str:
        return f"<Frame methods={len(self._handlers)} calls={self._calls_under_way}/{self._calls_max}>"

    def statistics(self) -> FrameStatistics:
        return FrameStatistics(self._calls_under_way, self._calls_taken, self._calls_turned_away)

    def add_service(self, name: str, servicer: object, serve_as: str = "") -> None:
        """Serve every method of a service by the servicer's method of that name.

        Args:
            name: the service's full name; its generated code has been imported.
            serve_as: what callers call it; its own name by default.
        """
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            path = f"/{serve_as or name}/{method.name}"
            self._handlers[path] = self._handler(path, method, getattr(servicer, method.name))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """gRPC's question who serves a method; for None it answers UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, path: str, method: MethodDescriptor, behaviour: Behaviour) -> Handler:
        kind = GetMessageClass(method.input_type)

        def one(raw: bytes, context: Context) -> Any:
            return parse(kind, raw)

        def many(_: object, context: Context) -> Any:
            return Requests(kind, context, whole=not method.server_streaming)

        match method.client_streaming, method.server_streaming:
            case False, False:
                return grpc.unary_unary_rpc_method_handler(self._answering(path, one, behaviour))
            case True, False:
                return grpc.stream_unary_rpc_method_handler(self._answering(path, many, behaviour))
            case False, True:
                return grpc.unary_stream_rpc_method_handler(self._streaming(path, one, behaviour))
            case _:
                return grpc.stream_stream_rpc_method_handler(self._streaming(path, many, behaviour))

    def _answering(self, path: str, read: Behaviour, behaviour: Behaviour) -> Behaviour:
        async def answer(received: Any, context: Context) -> Any:
            self._calls_under_way += 1
            self._calls_taken += 1
            try:
                self._check_load()
                return (await behaviour(read(received, context), context)).SerializeToString()
            except grpc.aio.BaseError:
                raise  # gRPC's own: the caller is gone, or the server
            except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug; a cancellation passes
                await _abort(path, error, context)
            finally:
                self._calls_under_way -= 1

        return answer

    def _streaming(self, path: str, read: Behaviour, behaviour: Behaviour) -> Behaviour:
        async def stream(received: Any, context: Context) -> None:
            self._calls_under_way += 1
            self._calls_taken += 1
            try:
                self._check_load()
                async with aclosing(behaviour(read(received, context), context)) as responses:
                    async for response in responses:
                        await context.write(response.SerializeToString())
            except grpc.aio.BaseError:
                raise  # as above
            except Exception as error:  # noqa: BLE001 - as above
                await _abort(path, error, context)
            finally:
                self._calls_under_way -= 1

        return stream

    def _check_load(self) -> None:
        if self._calls_under_way > self._calls_max:
            self._calls_turned_away += 1
            raise Unavailable("OVERLOADED", "Too many calls are under way", RETRY_AFTER_OVERLOAD_MS)


class Requests(AsyncIterator[M], Generic[M]):
    """The messages of a client's stream.

    It reads the call itself and leaves alone the iterator that gRPC offers, which is an async generator: abandoned half
    way, as a refusal does it, one of those lives until the garbage collector finds it.

    Args:
        whole: whether the answer is about all of the stream, so that a stream that broke off must not pass for it.
    """

    def __init__(self, kind: type[M], context: Context, *, whole: bool) -> None:
        self._kind = kind
        self._context = context
        self._whole = whole

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M:
        """Raises `Invalid` for what is no message of the kind. Is cancelled where a whole stream broke off."""
        raw = await self._context.read()
        if raw is grpc.aio.EOF:
            if self._whole:
                await self._wait_for_cancellation_if_broken_off()
            raise StopAsyncIteration
        return parse(self._kind, raw)

    async def _wait_for_cancellation_if_broken_off(self) -> None:
        # grpc.aio says EOF too when the caller gave up, its deadline passed, the connection was lost or a message was
        # too large, and cancels this task only afterwards. What tells them apart: headers can be sent to a caller who
        # has ended the stream and waits for the answer, and to none of the others.
        try:
            await self._context.send_initial_metadata(())
        except grpc.aio.InternalError:
            await asyncio.get_running_loop().create_future()


async def _abort(path: str, error: Exception, context: Context) -> NoReturn:
    problem = describe(error)
    if problem is None:
        log.error("rpc_failed", method=path, exc_info=error)
        problem = INTERNAL
    await context.abort_with_status(to_status(problem, details_bytes_max(context.invocation_metadata() or ())))

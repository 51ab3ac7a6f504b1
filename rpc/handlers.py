"""The frame around every method: bytes in, bytes out, and the one place where an exception becomes a status.

gRPC gets handlers that take raw bytes, so that parsing happens inside of the frame (see `rpc.wire`). It is a
frame and not a server interceptor: an interceptor costs each call two more coroutines and cannot see what a
deserializer raises. Methods are registered under one generic handler; gRPC's own registration of each
(`_registered_method`) was measured to serve no more calls.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeAlias

import anyio
import grpc
import grpc.aio
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from rpc.errors import INTERNAL, StreamStalled, describe
from rpc.gate import Gate
from rpc.load import Load
from rpc.status import Problem, details_bytes_max, to_status
from rpc.wire import M, parse

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
Behaviour = Callable[..., Any]  # a servicer's method: its types are checked where the servicer is written

UPLOADS_MAX = 4
UPLOAD_STALL_TIMEOUT_S = 30.0
STREAMS_MAX = 1_000
BATCH_LEVELS = 3  # a message of a stream holds requests in envelopes, and each of those its lines

log = structlog.get_logger(__name__)


class FrameStatistics(NamedTuple):
    calls_under_way: int
    calls_turned_away: int


class Frame(grpc.GenericRpcHandler):
    """All methods of a server, each inside of the frame.

    A call is counted while it runs. What a client can hold open without asking for anything is not: a stream of
    requests counts each of them (see `calls`), an upload and the stream itself have limits of their own.

    Args:
        calls_max: how many calls may be under way; one more is answered UNAVAILABLE, to be retried. So it is with
        uploads_max: streams with one answer at their end;
        streams_max: streams with an answer to each message.
        upload_stall_timeout_s: an upload that sends nothing for so many seconds is ended.
    """

    def __init__(
        self,
        calls_max: int,
        *,
        uploads_max: int = UPLOADS_MAX,
        streams_max: int = STREAMS_MAX,
        upload_stall_timeout_s: float = UPLOAD_STALL_TIMEOUT_S,
    ) -> None:
        self.calls = Load(calls_max, "calls")
        self._uploads = Load(uploads_max, "imports")
        self._streams = Load(streams_max, "streams")
        self._uncounted = Load(None, "questions")
        self._upload_stall_timeout_s = upload_stall_timeout_s
        self._gate = Gate()
        self._handlers: dict[str, Handler] = {}

    def __repr__(self) -> str:
        return f"<Frame methods={len(self._handlers)} {self.calls}>"

    def statistics(self) -> FrameStatistics:
        counted = (self.calls, self._uploads)
        return FrameStatistics(
            sum(load.under_way for load in counted),
            sum(load.turned_away for load in (*counted, self._streams)),
        )

    def add_service(
        self,
        name: str,
        servicer: object,
        serve_as: str = "",
        *,
        is_counted: bool = True,
        gathered: Collection[str] = (),
    ) -> None:
        """Serve every method of a service by the servicer's method of that name.

        Args:
            name: the service's full name; its generated code has been imported.
            serve_as: what callers call it; its own name by default.
            is_counted: whether its calls have limits. One that tells of an overload is served during it.
            gathered: methods with one request and one response that are handled together in a crowd; see `rpc.gate`.
        """
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            path = f"/{serve_as or name}/{method.name}"
            load = self._load_of(method) if is_counted else self._uncounted
            behaviour = getattr(servicer, method.name)
            if method.name in gathered:
                behaviour = _gathered(behaviour, self._gate, load)
            self._handlers[path] = self._handler(path, method, behaviour, load)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """gRPC's question who serves a method; for None it answers UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _load_of(self, method: MethodDescriptor) -> Load:
        if not method.client_streaming:
            return self.calls
        return self._streams if method.server_streaming else self._uploads

    def _handler(self, path: str, method: MethodDescriptor, behaviour: Behaviour, load: Load) -> Handler:
        kind = GetMessageClass(method.input_type)

        def one(raw: bytes, context: Context) -> Any:
            return parse(kind, raw)

        def all_of_them(_: object, context: Context) -> Any:
            return Requests(kind, context, whole=True, stall_timeout_s=self._upload_stall_timeout_s)

        def each(_: object, context: Context) -> Any:
            return Requests(kind, context, whole=False, levels=BATCH_LEVELS)

        match method.client_streaming, method.server_streaming:
            case False, False:
                return grpc.unary_unary_rpc_method_handler(_answering(path, one, behaviour, load))
            case True, False:
                return grpc.stream_unary_rpc_method_handler(_answering(path, all_of_them, behaviour, load))
            case False, True:
                return grpc.unary_stream_rpc_method_handler(_streaming(path, one, behaviour, load))
            case _:
                return grpc.stream_stream_rpc_method_handler(_streaming(path, each, behaviour, load))


def _answering(path: str, read: Behaviour, behaviour: Behaviour, load: Load) -> Behaviour:
    async def answer(received: Any, context: Context) -> Any:
        try:
            with load:
                return (await behaviour(read(received, context), context)).SerializeToString()
        except grpc.aio.BaseError:
            raise  # gRPC's own: the caller is gone, or the server
        except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug; a cancellation passes
            await _abort(path, error, context)

    return answer


def _gathered(behaviour: Behaviour, gate: Gate, load: Load) -> Behaviour:
    async def gathered(request: object, context: Context) -> Any:
        await gate.enter(load.under_way)
        return await behaviour(request, context)

    return gathered


def _streaming(path: str, read: Behaviour, behaviour: Behaviour, load: Load) -> Behaviour:
    async def stream(received: Any, context: Context) -> None:
        try:
            with load:
                async with aclosing(behaviour(read(received, context), context)) as responses:
                    async for response in responses:
                        await context.write(response.SerializeToString())
        except grpc.aio.BaseError:
            raise  # as above
        except Exception as error:  # noqa: BLE001 - as above
            await _abort(path, error, context)

    return stream


class Requests(AsyncIterator[M], Generic[M]):
    """The messages of a client's stream.

    It reads the call itself and leaves alone the iterator that gRPC offers, which is an async generator: abandoned half
    way, as a refusal does it, one of those lives until the garbage collector finds it.

    Args:
        whole: whether the answer is about all of the stream, so that a stream that broke off must not pass for it.
        levels: how deep a large message's fields are counted; see `rpc.wire.parse`.
        stall_timeout_s: how long to wait for a message, in seconds; None: as long as the call may last.
    """

    def __init__(
        self, kind: type[M], context: Context, *, whole: bool, levels: int = 1, stall_timeout_s: float | None = None
    ) -> None:
        self._kind = kind
        self._context = context
        self._whole = whole
        self._levels = levels
        self._stall_timeout_s = stall_timeout_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M:
        """Raises `Invalid` for what is no message of the kind, and `StreamStalled`.

        Is cancelled where a whole stream broke off.
        """
        raw = await self._read()
        if raw is grpc.aio.EOF:
            if self._whole:
                await self._wait_for_cancellation_if_broken_off()
            raise StopAsyncIteration
        return parse(self._kind, raw, self._levels)

    async def _read(self) -> Any:
        if self._stall_timeout_s is None:
            return await self._context.read()
        with anyio.move_on_after(self._stall_timeout_s):
            return await self._context.read()
        raise StreamStalled(self._stall_timeout_s)

    async def _wait_for_cancellation_if_broken_off(self) -> None:
        # grpc.aio says EOF too when the caller gave up, its deadline passed, the connection was lost or a message was
        # too large, and cancels this task only afterwards. What tells them apart: headers can be sent to a caller who
        # has ended the stream and waits for the answer, and to none of the others.
        try:
            await self._context.send_initial_metadata(())
        except grpc.aio.InternalError:
            await asyncio.get_running_loop().create_future()


def problem_of(path: str, error: Exception) -> Problem:
    """What the caller of a method is told of an error. One that is not known is a bug, and logged."""
    problem = describe(error)
    if problem is None:
        log.error("rpc_failed", method=path, exc_info=error)
        return INTERNAL
    return problem


async def _abort(path: str, error: Exception, context: Context) -> NoReturn:
    problem = problem_of(path, error)
    await context.abort_with_status(to_status(problem, details_bytes_max(context.invocation_metadata() or ())))

"""What the generated stubs' methods are, and what they return: the types of gRPC that a caller meets.

A module for type checkers alone. gRPC comes without types; where types-grpcio is installed each class here is one of
its classes too, and where it is not, these declarations hold by themselves.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar, type_check_only

import grpc
import grpc.aio

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_RequestIn = TypeVar("_RequestIn", contravariant=True)
_ResponseOut = TypeVar("_ResponseOut", covariant=True)
_Metadata = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]

# ---- over a channel of grpc.aio: a call is awaited, or iterated over with `async for` --------------------------------

@type_check_only
class UnaryUnary(grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], Generic[_Request, _Response]):
    def __call__(
        self,
        request: _Request,
        *,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> UnaryUnaryCall[_Request, _Response]: ...

@type_check_only
class UnaryStream(grpc.aio.UnaryStreamMultiCallable[_Request, _Response], Generic[_Request, _Response]):
    def __call__(
        self,
        request: _Request,
        *,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> UnaryStreamCall[_Request, _Response]: ...

@type_check_only
class StreamUnary(grpc.aio.StreamUnaryMultiCallable[_Request, _Response], Generic[_Request, _Response]):
    def __call__(
        self,
        request_iterator: AsyncIterable[_Request] | Iterable[_Request] | None = None,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> StreamUnaryCall[_Request, _Response]: ...

@type_check_only
class StreamStream(grpc.aio.StreamStreamMultiCallable[_Request, _Response], Generic[_Request, _Response]):
    def __call__(
        self,
        request_iterator: AsyncIterable[_Request] | Iterable[_Request] | None = None,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> StreamStreamCall[_Request, _Response]: ...

@type_check_only
class UnaryUnaryCall(grpc.aio.UnaryUnaryCall[_Request, _Response], Generic[_Request, _Response]):
    def __await__(self) -> Generator[None, None, _Response]: ...
    def cancel(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...

@type_check_only
class UnaryStreamCall(grpc.aio.UnaryStreamCall[_Request, _Response], Generic[_Request, _Response]):
    def __aiter__(self) -> AsyncIterator[_Response]: ...
    async def read(self) -> object | _Response: ...
    def cancel(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...

@type_check_only
class StreamUnaryCall(grpc.aio.StreamUnaryCall[_Request, _Response], Generic[_Request, _Response]):
    def __await__(self) -> Generator[None, None, _Response]: ...
    async def write(self, request: _Request) -> None: ...
    async def done_writing(self) -> None: ...
    def cancel(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...

@type_check_only
class StreamStreamCall(grpc.aio.StreamStreamCall[_Request, _Response], Generic[_Request, _Response]):
    def __aiter__(self) -> AsyncIterator[_Response]: ...
    async def read(self) -> object | _Response: ...
    async def write(self, request: _Request) -> None: ...
    async def done_writing(self) -> None: ...
    def cancel(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...

# ---- over a channel of grpc: a call blocks, and returns the response or an iterator over responses -------------------

@type_check_only
class BlockingUnaryUnary(Protocol[_RequestIn, _ResponseOut]):
    def __call__(
        self,
        request: _RequestIn,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _ResponseOut: ...

@type_check_only
class BlockingUnaryStream(Protocol[_RequestIn, _ResponseOut]):
    def __call__(
        self,
        request: _RequestIn,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> BlockingResponses[_ResponseOut]: ...

@type_check_only
class BlockingStreamUnary(Protocol[_RequestIn, _ResponseOut]):
    def __call__(
        self,
        request_iterator: Iterator[_RequestIn],
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _ResponseOut: ...
    def future(
        self,
        request_iterator: Iterator[_RequestIn],
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> BlockingFuture[_ResponseOut]: ...

@type_check_only
class BlockingStreamStream(Protocol[_RequestIn, _ResponseOut]):
    def __call__(
        self,
        request_iterator: Iterator[_RequestIn],
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> BlockingResponses[_ResponseOut]: ...

@type_check_only
class BlockingResponses(Iterator[_ResponseOut], Protocol[_ResponseOut]):
    def cancel(self) -> bool: ...
    def add_callback(self, callback: Callable[[], None]) -> bool: ...
    def time_remaining(self) -> float | None: ...

@type_check_only
class BlockingFuture(Protocol[_ResponseOut]):
    def result(self, timeout: float | None = None) -> _ResponseOut: ...
    def add_done_callback(self, fn: Callable[[BlockingFuture[_ResponseOut]], None]) -> None: ...
    def cancel(self) -> bool: ...

"""A real grpc.aio server on a real socket that answers as its script says: here the client is what is tested."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from stockkeeper_client import InventoryClient, RetryPolicy
from stockkeeper_client.v1 import (
    inventory_pb2,
    inventory_pb2_grpc,
    stock_pb2,
    stock_pb2_grpc,
    stream_pb2,
    stream_pb2_grpc,
)

Connect = Callable[..., InventoryClient]


class Context(Protocol):
    """As much of a call's context as the service uses, for calls and for requests in a stream."""

    def invocation_metadata(self) -> Any: ...

    async def abort(self, code: grpc.StatusCode, message: str, trailers: Any) -> Any: ...


@dataclass
class Refusal:
    code: grpc.StatusCode
    message: str = "refused"
    details: tuple[Any, ...] = ()
    trailers: tuple[tuple[str, str | bytes], ...] = ()

    async def abort(self, context: Context) -> NoReturn:
        trailers = list(self.trailers)
        if self.details:
            status = status_pb2.Status(code=self.code.value[0], message=self.message)
            for detail in self.details:
                packed = any_pb2.Any()
                packed.Pack(detail)
                status.details.append(packed)
            trailers.append(("grpc-status-details-bin", status.SerializeToString()))
        await context.abort(self.code, self.message, tuple(trailers))
        raise AssertionError("abort raises")


class Hang:
    """Answers when `release` is set, and tells when the call has come and when it was cancelled."""

    def __init__(self) -> None:
        self.arrived, self.release, self.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        self.arrived.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@dataclass
class Call:
    method: str
    request: Any
    metadata: dict[str, str | bytes]


@dataclass
class ScriptedService:
    """Takes the next step of `script` for each attempt that arrives; without one it gives an empty answer."""

    port: int = 0
    server: grpc.aio.Server | None = None
    script: deque[Any] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    streams: list[Any] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    ends_of_streams: deque[grpc.StatusCode] = field(default_factory=deque)

    async def start(self) -> None:
        """Listens on the port of the last time, if there was one."""
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", 50 * 1024 * 1024)])
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(Inventory(self), server)
        stock_pb2_grpc.add_StockServiceServicer_to_server(Stock(self), server)
        stream_pb2_grpc.add_ReservationStreamServicer_to_server(Reservations(self), server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self.server = server

    async def stop(self) -> None:
        assert self.server is not None
        await self.server.stop(None)

    def play(self, *steps: Any) -> None:
        """Each a refusal, a hang, or the answer itself."""
        self.script.extend(steps)

    async def answer(self, method: str, request: Any, context: Context, empty: Any) -> Any:
        self.calls.append(Call(method, request, dict(context.invocation_metadata() or ())))
        step = self.script.popleft() if self.script else empty
        if isinstance(step, Refusal):
            await step.abort(context)
        if isinstance(step, Hang):
            await step.wait()
            return empty
        return step


class Inventory(inventory_pb2_grpc.InventoryServiceServicer):
    def __init__(self, service: ScriptedService) -> None:
        for name in (
            "CheckAvailability",
            "CheckBulkAvailability",
            "ReserveStock",
            "ConfirmReservation",
            "ReleaseReservation",
            "GetStockInfo",
        ):
            setattr(self, name, scripted(service, name, getattr(inventory_pb2, f"{name}Response")))


class Stock(stock_pb2_grpc.StockServiceServicer):
    def __init__(self, service: ScriptedService) -> None:
        self.service = service
        for name in (
            *("ReceiveStock", "AnnounceStock", "DeductStock", "AdjustStock", "DeleteStock", "FulfillReservation"),
            *("ListStock", "ListReservations", "ExtendReservation", "GetReservation"),
            *("AmendReservation", "ReacquireReservation"),
            *("UpsertWarehouse", "ListWarehouses", "SetStockLevels", "SetSourcingPolicy", "GetSourcingPolicy"),
            "Reserve",
            "ExplainReservation",
            *("ShipTransfer", "ReceiveTransfer", "CancelTransfer", "GetTransfer", "ListTransfers"),
        ):
            setattr(self, name, scripted(service, name, getattr(stock_pb2, f"{name}Response")))

    async def ExportStock(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """The next step of the script, of which each line may be a refusal or a hang of its own."""
        for step in await self.service.answer("ExportStock", request, context, ()):
            if isinstance(step, Refusal):
                await step.abort(context)
            elif isinstance(step, Hang):
                await step.wait()
            else:
                yield step

    async def ImportStock(self, request_iterator: AsyncIterator[Any], context: Context) -> Any:
        chunks = []
        async for chunk in request_iterator:
            chunks.append(chunk)
            if isinstance(self.service.script[0] if self.service.script else None, Refusal):
                break
        return await self.service.answer("ImportStock", chunks, context, stock_pb2.ImportStockResponse())


class Reservations(stream_pb2_grpc.ReservationStreamServicer):
    """Takes a step for each request, as if it were a call of its own."""

    def __init__(self, service: ScriptedService) -> None:
        self.service = service

    async def ReserveStock(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # type: ignore[override]
        self.service.streams.append(context)
        one_at_a_time = asyncio.Lock()
        async with asyncio.TaskGroup() as answering:
            async for message in request_iterator:
                self.service.messages.append(len(message.requests))
                if self.service.ends_of_streams:
                    break
                for streamed in message.requests:
                    answering.create_task(self.answer(streamed, context, one_at_a_time))
        if self.service.ends_of_streams:
            code = self.service.ends_of_streams.popleft()
            if code is not grpc.StatusCode.OK:
                await context.abort(code, "broken")

    async def answer(self, streamed: Any, context: Any, one_at_a_time: asyncio.Lock) -> None:
        reply = stream_pb2.ReserveStockReply(sequence=streamed.sequence)
        try:
            empty = inventory_pb2.ReserveStockResponse()
            own = StreamedContext(streamed.idempotency_key)
            reply.response.CopyFrom(await self.service.answer("ReserveStock", streamed.request, own, empty))
        except Aborted as aborted:
            reply.status.ParseFromString(aborted.status.SerializeToString())
        async with one_at_a_time:
            await context.write(stream_pb2.ReserveStockReplies(replies=[reply]))


class Aborted(Exception):
    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status)
        self.status = status


class StreamedContext:
    def __init__(self, idempotency_key: str) -> None:
        self.idempotency_key = idempotency_key

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return (("idempotency-key", self.idempotency_key),)

    async def abort(self, code: grpc.StatusCode, message: str, trailers: Any) -> None:
        packed = dict(trailers).get("grpc-status-details-bin")
        raise Aborted(
            status_pb2.Status.FromString(packed) if packed else status_pb2.Status(code=code.value[0], message=message)
        )


def scripted(service: ScriptedService, name: str, response: type[Message]) -> Callable[..., Any]:
    async def handler(request: Any, context: Context) -> Any:
        return await service.answer(name, request, context, response())

    return handler


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def event_loop_of_the_module(anyio_backend: str) -> AsyncIterator[None]:
    """Keeps one event loop for all tests of a module.

    gRPC has one completion queue for the whole process. What is left in it of a cancelled call, when the loop of that
    call is closed already, raises "Event loop is closed" in the loop that comes next, and fails a test that has no part
    in it. So loops are few, and before one is closed a last call goes through the queue after everything else.
    """
    yield
    service = ScriptedService()
    await service.start()
    async with InventoryClient("127.0.0.1", service.port) as client:
        await client.get_stock_info("org_1", "var_1")
    await service.stop()


@pytest.fixture
async def service(event_loop_of_the_module: None) -> AsyncIterator[ScriptedService]:
    scripted_service = ScriptedService()
    await scripted_service.start()
    yield scripted_service
    await scripted_service.stop()


@pytest.fixture
async def connect(service: ScriptedService) -> AsyncIterator[Connect]:
    """Makes clients of `service`, whose retries come at once unless told otherwise, and closes them."""
    clients = []

    def open_client(**options: Any) -> InventoryClient:
        options.setdefault("retry", RetryPolicy(backoff_s=0.01))
        clients.append(InventoryClient("127.0.0.1", service.port, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.close()


@pytest.fixture(params=[False, True], ids=["unary", "stream"])
def streaming(request: pytest.FixtureRequest) -> bool:
    """Whether reservations go over the stream; what a test says of them has to hold for both ways."""
    return bool(request.param)


@pytest.fixture
def refusal() -> type[Refusal]:
    return Refusal


@pytest.fixture
def hang() -> Hang:
    return Hang()

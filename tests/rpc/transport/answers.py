"""What the tests of the transports share: a servicer that answers in every way, and a listener before it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc.aio
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from actors.outcomes import Fact
from actors.reply import Reply
from rpc.call_answers import Deferred
from rpc.frame import Frame
from rpc.service_names import INVENTORY
from rpc.transport.addresses import Address, free_addresses
from rpc.transport.server_options import server_options
from rpc.transport.transport_choice import build_listener
from rpc.transport.transport_name import TransportName
from rpc.transport.transport_port import Listener

QUESTION = pb.GetStockInfoRequest(organization_id="org_123", variant_id="var_789")
RESERVATION = pb.ReserveStockRequest(
    organization_id="o", order_id="o", items=[pb.ReservationItem(variant_id="v", quantity=1)]
)
END_STREAM = 1


class Answers:
    """A servicer that has a way of answering in each method."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.replies: list[Reply[Fact]] = []
        self.metadata: Any = ()

    def GetStockInfo(self, request: pb.GetStockInfoRequest, context: Any) -> pb.GetStockInfoResponse:
        self.metadata = context.invocation_metadata()
        return pb.GetStockInfoResponse(stock_info=[pb.StockInfo(variant_id=request.variant_id)])

    async def CheckAvailability(self, request: Any, context: Any) -> pb.CheckAvailabilityResponse:
        await self.gate.wait()
        return pb.CheckAvailabilityResponse()

    def ReserveStock(self, request: Any, context: Any) -> Deferred:
        self.replies.append(Reply())
        return Deferred(self.replies[-1], lambda fact: pb.ReserveStockResponse())

    async def ConfirmReservation(self, request: Any, context: Any) -> pb.ConfirmReservationResponse:
        raise asyncio.CancelledError

    def ReleaseReservation(self, request: Any, context: Any) -> pb.ReleaseReservationResponse:
        raise ValueError("a bug")

    CheckBulkAvailability = ReleaseReservation


class Listening(NamedTuple):
    """A listener before a frame, and a client of it."""

    listener: Listener
    frame: Frame
    inventory: InventoryServiceStub
    address: Address

    def calls(self) -> int:
        return self.listener.statistics().calls_under_way


@asynccontextmanager
async def listening(
    answers: Answers, transport: TransportName, options: Mapping[str, int] | None = None
) -> AsyncIterator[Listening]:
    """A listener on an address of its own. `options` replace those of gRPC's that the server has."""
    frame = Frame(calls_max=10_000)
    frame.add_service(INVENTORY, answers)
    [address] = free_addresses("127.0.0.1", 0)
    listener = build_listener(
        transport, frame, [address], tuple((dict(server_options()) | dict(options or {})).items())
    )
    await listener.open()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as channel:
        try:
            yield Listening(listener, frame, InventoryServiceStub(channel), address)
        finally:
            await listener.close(0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the core does not tell
            await asyncio.sleep(0.001)


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


# ---- HTTP/2 by hand, for what gRPC's own clients refuse to send -----------------------------------------------------


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b"")


def headers_by_hand(path: bytes, more: Mapping[bytes, bytes] | None = None) -> bytes:
    """The headers of a call as a block that nothing compresses."""
    headers = {b":method": b"POST", b":scheme": b"http", b":path": path, b":authority": b"localhost"}
    headers |= {b"content-type": b"application/grpc", b"te": b"trailers"} | dict(more or {})
    return b"".join(b"\x10" + bytes([len(name)]) + name + bytes([len(text)]) + text for name, text in headers.items())


def call_by_hand(
    path: bytes, message: bytes, flags: int = END_STREAM, more: Mapping[bytes, bytes] | None = None
) -> bytes:
    """A call of one message as it is on the wire, on a connection of its own."""
    data = b"\0" + len(message).to_bytes(4, "big") + message
    return PREFACE + h2_frame(1, 4, 1, headers_by_hand(path, more)) + h2_frame(0, flags, 1, data)

"""The frame by itself: what passes through it untouched."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from inventory.v1.inventory_pb2 import ConfirmReservationResponse, GetStockInfoRequest
from inventory.v1.inventory_pb2_grpc import InventoryServiceServicer

from rpc.handlers import Frame, Requests
from rpc.server import INVENTORY

pytestmark = pytest.mark.anyio


class Raising(InventoryServiceServicer):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def GetStockInfo(self, request: GetStockInfoRequest, context: Any) -> Any:
        raise self.error


class BrokenStream:
    """A call that looks ended to a reader and is dead to a writer."""

    async def read(self) -> Any:
        return grpc.aio.EOF

    async def send_initial_metadata(self, metadata: Any) -> None:
        raise grpc.aio.InternalError


async def answer(error: BaseException) -> None:
    frame = Frame(calls_max=10)
    frame.add_service(INVENTORY, Raising(error))
    details: Any = type("Details", (), {"method": f"/{INVENTORY}/GetStockInfo"})
    handler = frame.service(details)
    assert handler is not None
    try:
        await handler.unary_unary(b"", None)  # type: ignore[misc]
    finally:
        assert frame.statistics().calls_under_way == 0


@pytest.mark.parametrize("error", [grpc.aio.InternalError(), grpc.aio.UsageError(), asyncio.CancelledError()])
async def test_a_cancellation_and_what_grpc_raises_pass(error: BaseException, events: list[Any]) -> None:
    with pytest.raises(type(error)):
        await answer(error)
    assert not events


async def test_a_broken_stream_waits_for_its_cancellation() -> None:
    requests = Requests(ConfirmReservationResponse, BrokenStream(), whole=True)  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(anext(requests))
    done, _ = await asyncio.wait([waiting], timeout=0.01)
    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

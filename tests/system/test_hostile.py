"""3,000 random and hostile requests against the real server: each gets a clear status, and nothing changes."""

import asyncio
import random
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2

from tests.system.servers import ORGANIZATION, audit, figures, line, running_server

pytestmark = pytest.mark.anyio

METHODS = [
    "/inventory.v1.InventoryService/CheckAvailability",
    "/inventory.v1.InventoryService/CheckBulkAvailability",
    "/inventory.v1.InventoryService/ReserveStock",
    "/inventory.v1.InventoryService/ConfirmReservation",
    "/inventory.v1.InventoryService/ReleaseReservation",
    "/inventory.v1.InventoryService/GetStockInfo",
    "/inventory.v1.StockService/ReceiveStock",
    "/inventory.v1.StockService/FulfillReservation",
    "/inventory.v1.StockService/ExtendReservation",
    "/inventory.v1.StockService/AmendReservation",
    "/inventory.v1.StockService/ReacquireReservation",
    "/inventory.v1.StockService/GetReservation",
    "/inventory.v1.StockService/ListStock",
    "/inventory.v1.StockService/ListReservations",
    "/inventory.v1.InventoryService/NoSuchMethod",
    "/no.such.Service/Method",
]
IDS = ["", "a", "x" * 128, "x" * 129, "x" * 100_000, "\x00", "a\nb", "\x7f", "é" * 128, "💥", "' OR 1=1 --", "a/../b"]
QUANTITIES = [0, 1, -1, 2**31 - 1, -(2**31), 6, 1_000_000]
EXPECTED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def hostile(dice: random.Random) -> tuple[str, bytes]:
    """A method and what is sent to it; never something that could change stock."""
    method = dice.choice(METHODS)
    if dice.random() < 0.4:
        return method, dice.randbytes(dice.randint(1, 300))

    def pick_id() -> str:
        return dice.choice(IDS)

    def pick_quantity() -> int:
        return dice.choice(QUANTITIES)

    organization = dice.choice([ORGANIZATION, *IDS])
    message: Any
    match method.rpartition("/")[2]:
        case "CheckAvailability":
            message = pb.CheckAvailabilityRequest(
                organization_id=organization, variant_id=pick_id(), warehouse_id=pick_id(), quantity=pick_quantity()
            )
        case "CheckBulkAvailability":
            items = [pb.AvailabilityItem(variant_id=pick_id(), quantity=pick_quantity()) for _ in range(3)]
            message = pb.CheckBulkAvailabilityRequest(organization_id=organization, items=items)
        case "ReserveStock":
            wishes = [pb.ReservationItem(variant_id=pick_id(), warehouse_id=pick_id(), quantity=pick_quantity())]
            # Row "a" has 5 pieces: whatever is asked of it here is invalid or too much.
            wishes.append(pb.ReservationItem(variant_id="a", quantity=dice.choice([0, -1, 6, 2**31 - 1])))
            message = pb.ReserveStockRequest(
                organization_id=organization, order_id=pick_id(), items=wishes, ttl_minutes=pick_quantity()
            )
        case (
            "ConfirmReservation" | "ReleaseReservation" | "FulfillReservation" | "ExtendReservation" | "GetReservation"
        ):
            message = pb.ConfirmReservationRequest(
                organization_id=organization, reservation_id=pick_id(), order_id=pick_id()
            )
        case "ReceiveStock":
            message = stock_pb2.ReceiveStockRequest(
                organization_id=organization,
                request_id=pick_id(),
                lines=[stock_pb2.ReceivedLine(variant_id="a", warehouse_id="w1", quantity=dice.choice([0, -1]))],
            )
        case _:
            message = stock_pb2.ListStockRequest(organization_id=organization, variant_id=pick_id(), page_size=-1)
    return method, bytes(message.SerializeToString())


async def test_hostile_requests_get_a_status_and_change_nothing(tmp_path: Path) -> None:
    dice = random.Random(20101201)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        statuses: dict[grpc.StatusCode, int] = {}
        options = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:

            async def send(method: str, payload: bytes) -> None:
                call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
                try:
                    await call(payload, timeout=20)
                    status = grpc.StatusCode.OK
                except grpc.aio.AioRpcError as error:
                    status = error.code()
                    assert status in EXPECTED, (method, payload[:200], error)
                    assert "Traceback" not in (error.details() or "")
                statuses[status] = statuses.get(status, 0) + 1

            for _ in range(60):
                await asyncio.gather(*(send(*hostile(dice)) for _ in range(50)))
            await send("/inventory.v1.InventoryService/ReserveStock", bytes(60 * 1024 * 1024))
        assert sum(statuses.values()) == 3_001
        assert statuses[grpc.StatusCode.RESOURCE_EXHAUSTED] == 1
        assert statuses[grpc.StatusCode.INVALID_ARGUMENT] > 500
        assert await figures(client) == {("a", "w1"): (5, 0)}
        assert [r async for r in client.stock.list_reservations(ORGANIZATION)] == []
        assert "Traceback" not in server.log.read_text()
    audit(tmp_path / "stock.db")

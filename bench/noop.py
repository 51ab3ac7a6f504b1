"""The ceiling: a gRPC server that answers every method with bytes prepared before.

Started by the benchmarks in a process of its own: `python -m bench.noop` is a server of grpc.aio, as a Python
program has it; with `--bare` it is what the service has before its frame, gRPC's core without that layer.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import uvloop
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stream_pb2

from rpc.transport.addresses import free_addresses
from rpc.transport.core_listener import CoreListener
from rpc.transport.server_options import server_options
from rpc.transport.transport_port import Context

RESERVED = pb.ReserveStockResponse(
    success=True,
    reservation_id="0199c3c1-1956-77cc-bc2a-b4530d51db33",
    reserved_items=[
        pb.ReservedItem(
            reservation_item_id=f"0199c3c1-1956-77cc-bc2a-b4530d51db33-{line}",
            variant_id=f"v{line}",
            warehouse_id="w1",
            stock_id="0199c3c1-1956-77cc-bc2a-b4530d51db34",
            quantity=1,
            stock_before=100_000_000,
            stock_after=99_999_999,
        )
        for line in range(2)
    ],
    expires_at="2026-01-01T12:14:25.526Z",
    message="Stock reserved successfully",
)
ANSWERS = {
    "ReserveStock": RESERVED,
    "CheckAvailability": pb.CheckAvailabilityResponse(
        available=True, available_quantity=100_000_000, warehouse_id="w1", message="Stock available"
    ),
    "ConfirmReservation": pb.ConfirmReservationResponse(
        success=True, message="Reservation confirmed", confirmed_at="2026-01-01T12:14:25.526Z"
    ),
    "ReleaseReservation": pb.ReleaseReservationResponse(
        success=True, message="Reservation released", items_released=2, total_quantity_released=2
    ),
}


def handler(answer: bytes) -> Any:
    async def unary(request: bytes, context: object) -> bytes:
        return answer

    return grpc.unary_unary_rpc_method_handler(unary)


async def stream(requests: AsyncIterator[bytes], context: Any) -> None:
    while (raw := await context.read()) is not grpc.aio.EOF:
        sequences = [request.sequence for request in stream_pb2.ReserveStockRequests.FromString(raw).requests]
        replies = [stream_pb2.ReserveStockReply(sequence=sequence, response=RESERVED) for sequence in sequences]
        await context.write(stream_pb2.ReserveStockReplies(replies=replies).SerializeToString())


class Bare:
    """Stands in the place of the service's frame, behind its listener."""

    def __init__(self) -> None:
        self._answers = {
            f"/inventory.v1.InventoryService/{method}": answer.SerializeToString() for method, answer in ANSWERS.items()
        }

    def __repr__(self) -> str:
        return f"<Bare methods={len(self._answers)}>"

    def serve(self, path: str, context: Context) -> None:
        answer = self._answers[path]
        context.receive(lambda _: context.answer(answer))


async def bare() -> None:
    [address] = free_addresses("127.0.0.1", 0)
    listener = CoreListener(Bare(), [address], server_options())
    await listener.open()
    print(f"noop listens on {address}", flush=True)  # noqa: T201
    await asyncio.Event().wait()


async def main() -> None:
    server = grpc.aio.server()
    methods = {method: handler(answer.SerializeToString()) for method, answer in ANSWERS.items()}
    streams: dict[str, Any] = {"ReserveStock": grpc.stream_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("inventory.v1.InventoryService", methods),
            grpc.method_handlers_generic_handler("inventory.v1.ReservationStream", streams),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"noop listens on 127.0.0.1:{port}", flush=True)  # noqa: T201
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(bare() if "--bare" in sys.argv else main())

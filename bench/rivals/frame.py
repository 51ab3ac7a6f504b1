"""The parts that all rivals share: a gRPC server around one function, the command line, the form of the answer."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import uuid_utils
import uvloop
from stockkeeper_client.v1 import inventory_pb2 as pb

Reserve = Callable[[pb.ReserveStockRequest], Awaitable[pb.ReserveStockResponse]]
Key = tuple[str, str]
TTL_MINUTES = 15


class InsufficientStock(Exception):
    """A line asks for more than there is, or for goods that the table does not have."""


def arguments() -> Namespace:
    """`--url` of the database and the size of the `--pool` of connections to it."""
    parser = ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--pool", type=int, required=True)
    return parser.parse_args()


def new_id() -> str:
    return str(uuid_utils.uuid7())


def expiry(request: pb.ReserveStockRequest) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=request.ttl_minutes or TTL_MINUTES)


def wanted(request: pb.ReserveStockRequest) -> list[tuple[Key, int]]:
    """Pieces by variant and warehouse, in the order in which all orders lock them."""
    sums: Counter[Key] = Counter()
    for item in request.items:
        sums[item.variant_id, item.warehouse_id] += item.quantity
    return sorted(sums.items())


def answer(
    reservation_id: str, expires_at: datetime, items: Iterable[tuple[str, str, int, int]]
) -> pb.ReserveStockResponse:
    """Args:
    items: of each line variant, warehouse, quantity, and how many were available before.
    """
    return pb.ReserveStockResponse(
        success=True,
        reservation_id=reservation_id,
        reserved_items=[
            pb.ReservedItem(
                reservation_item_id=f"{reservation_id}-{line}",
                variant_id=variant_id,
                warehouse_id=warehouse_id,
                quantity=quantity,
                stock_before=before,
                stock_after=before - quantity,
            )
            for line, (variant_id, warehouse_id, quantity, before) in enumerate(items)
        ],
        expires_at=expires_at.isoformat(timespec="milliseconds"),
        message="Stock reserved successfully",
    )


async def serve(name: str, reserve: Reserve) -> None:
    """Serve ReserveStock until the process is ended."""

    async def handle(request: pb.ReserveStockRequest, context: Any) -> pb.ReserveStockResponse:
        try:
            return await reserve(request)
        except InsufficientStock as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Insufficient stock: {error}")
            raise  # abort has raised

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        handle, pb.ReserveStockRequest.FromString, pb.ReserveStockResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("inventory.v1.InventoryService", {"ReserveStock": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{name} listens on 127.0.0.1:{port}", flush=True)  # noqa: T201
    await server.wait_for_termination()


def run(main: Awaitable[None]) -> None:
    uvloop.run(main)  # type: ignore[arg-type]

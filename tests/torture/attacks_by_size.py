"""Attacks by gRPC's own client with what is allowed and very large, or very many; see `tests.torture.attackers`."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2

from tests.torture.attack import ATTACKER, BASKET, RESERVE, STOCK, attack
from tests.torture.attacks_by_grpc import channel_to, repeat

ORDER, OTHER_WAREHOUSE = "of-a-thousand-lines", "other"
EXPLAIN = f"{STOCK}ExplainReservation"


def again(request: Any) -> Iterator[bytes]:
    return itertools.repeat(request.SerializeToString())


@attack
async def goods_in_very_many_warehouses(port: int) -> None:
    """Baskets of 1,000 lines of one variant that 10,000 warehouses have: asked for, explained, and in unknown ones."""
    unknown = [f"unknown-{number}" for number in range(1_000)]
    items = [pb.ReservationItem(variant_id="packed", warehouse_id=one, quantity=1) for one in unknown]
    lines = [stock_pb2.GoodsLine(variant_id="packed", quantity=9)] * 1_000
    asked = pb.ReserveStockRequest(organization_id=ATTACKER, order_id="unknown", items=items)
    explained = stock_pb2.ExplainReservationRequest(organization_id=ATTACKER, items=lines)
    await asyncio.gather(repeat(port, RESERVE, 2, again(asked)), repeat(port, EXPLAIN, 2, again(explained)))


@attack
async def more_for_a_large_order(port: int) -> None:
    """Two callers that have it explained why an order of 1,000 lines cannot have more of any."""
    lines = [stock_pb2.GoodsLine(variant_id=variant, quantity=2_000_000_001) for variant in BASKET]
    request = stock_pb2.ExplainReservationRequest(organization_id=ATTACKER, order_id=ORDER, items=lines)
    await repeat(port, EXPLAIN, 2, again(request))


@attack
async def wide_transfers(port: int) -> None:
    """Four callers that list transfers of 1,000 lines, a thousand on a page."""
    request = stock_pb2.ListTransfersRequest(organization_id=ATTACKER, page_size=1_000)
    await repeat(port, f"{STOCK}ListTransfers", 4, again(request))


@attack
async def woken_watches(port: int) -> None:
    """1,200 watches of an organization in which something happens four times a second."""
    channels = [channel_to(port) for _ in range(12)]
    request = stock_pb2.WatchChangesRequest(organization_id=ATTACKER).SerializeToString()

    async def watch(number: int) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError):
                async for _ in channels[number % 12].unary_stream(f"{STOCK}WatchChanges")(request):
                    pass
            await asyncio.sleep(0.2)

    async def change() -> None:
        for number in itertools.count():
            items = [pb.ReservationItem(variant_id=BASKET[0], quantity=1)]
            order = pb.ReserveStockRequest(organization_id=ATTACKER, order_id=f"w{number}", items=items)
            with suppress(grpc.aio.AioRpcError):
                await channels[0].unary_unary(RESERVE)(order.SerializeToString(), timeout=20)
            await asyncio.sleep(0.25)

    await asyncio.gather(change(), *(watch(number) for number in range(1_200)))


@attack
async def remembered_answers(port: int) -> None:
    """Eight callers that receive 1,000 lines with long ids under ever new keys, whose answers are remembered."""
    numbers = itertools.count()

    def deliveries() -> Iterator[bytes]:
        for number in numbers:
            lines = [
                stock_pb2.ReceivedLine(variant_id=variant.ljust(128, "x"), warehouse_id="w" * 128, quantity=1)
                for variant in BASKET
            ]
            request = stock_pb2.ReceiveStockRequest(organization_id=ATTACKER, request_id=f"d{number}", lines=lines)
            yield request.SerializeToString()

    await repeat(port, f"{STOCK}ReceiveStock", 8, deliveries())


@attack
async def very_many_organizations(port: int) -> None:
    """1,100 organizations that call from one address, each again as soon as it is answered."""
    channels = [channel_to(port) for _ in range(12)]

    async def one(number: int) -> None:
        call = channels[number % 12].unary_unary(RESERVE)
        items = [pb.ReservationItem(variant_id="nothing", quantity=1)]
        order = pb.ReserveStockRequest(organization_id=f"{ATTACKER}-{number}", order_id="o", items=items)
        while True:
            with suppress(grpc.aio.AioRpcError):
                await call(order.SerializeToString(), timeout=60)

    await asyncio.gather(*(one(number) for number in range(1_100)))


@attack
async def imports_without_a_line(port: int) -> None:
    """Eight imports that say how they are called every few seconds, and nothing else."""
    named = stock_pb2.ImportStockRequest(request_id="without").SerializeToString()

    async def import_again() -> None:
        async with channel_to(port) as channel:
            while True:
                call = channel.stream_unary(f"{STOCK}ImportStock")()
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    while True:
                        await call.write(named)
                        await asyncio.sleep(3.0)
                await asyncio.sleep(0.2)

    await asyncio.gather(*(import_again() for _ in range(8)))

"""Attacks by gRPC's own client; see `tests.torture.attackers`."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import grpc
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2, stream_pb2

from tests.torture.attack import ATTACKER, BASKET, CHECK, HOST, RESERVE, STOCK, STREAM, attack

OWN_HOST = "::1"  # where the machine has IPv6: the bystander comes from another


def channel_to(port: int) -> Any:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
    return grpc.aio.insecure_channel(f"{host_at(port)}:{port}", options=options)


@cache
def host_at(port: int) -> str:
    with suppress(OSError), socket.create_connection((OWN_HOST, port), timeout=5):
        return f"[{OWN_HOST}]"
    return HOST


async def repeat(port: int, path: str, callers: int, messages: Iterator[bytes], connections: int = 4) -> None:
    """Callers that call again as soon as they are answered."""
    channels = [channel_to(port) for _ in range(connections)]

    async def call_on(channel: Any) -> None:
        call = channel.unary_unary(path)
        for message in messages:
            with suppress(grpc.aio.AioRpcError):
                await call(message, timeout=60)

    await asyncio.gather(*(call_on(channels[number % connections]) for number in range(callers)))


@attack
async def baskets_that_cannot_be_packed(port: int) -> None:
    """1,000 lines in 999 warehouses that each take one, beside 10,000 others."""
    items = [pb.AvailabilityItem(variant_id="packed", quantity=2)] * 1_000
    request = pb.CheckBulkAvailabilityRequest(organization_id=ATTACKER, items=items).SerializeToString()
    await repeat(port, CHECK, 8, itertools.repeat(request))


@attack
async def large_baskets(port: int) -> None:
    """64 callers that reserve 1,000 lines each."""
    items = [pb.ReservationItem(variant_id=variant, quantity=1) for variant in BASKET]

    def orders() -> Iterator[bytes]:
        for number in itertools.count():
            request = pb.ReserveStockRequest(organization_id=ATTACKER, order_id=f"o{number}", items=items)
            yield request.SerializeToString()

    await repeat(port, RESERVE, 64, orders())


@attack
async def hot_rows(port: int) -> None:
    """64 callers on two rows."""
    items = [pb.ReservationItem(variant_id=variant, quantity=1) for variant in BASKET[:2]]

    def orders() -> Iterator[bytes]:
        for number in itertools.count():
            request = pb.ReserveStockRequest(organization_id=ATTACKER, order_id=f"h{number}", items=items)
            yield request.SerializeToString()

    await repeat(port, RESERVE, 64, orders())


@attack
async def imports_in_a_loop(port: int) -> None:
    """Four imports of 20,000 lines each, again and again."""
    numbers = itertools.count()

    def lines() -> Iterator[bytes]:
        request_id, many = f"i{next(numbers)}", range(20_000)
        for begin in range(0, len(many), 1_000):
            of_one = [
                stock_pb2.ImportLine(
                    organization_id=ATTACKER, variant_id=f"i{n}", warehouse_id="w", total_quantity=1_000_000
                )
                for n in many[begin : begin + 1_000]
            ]
            yield stock_pb2.ImportStockRequest(request_id=request_id, lines=of_one).SerializeToString()

    async def import_again() -> None:
        async with channel_to(port) as channel:
            while True:
                with suppress(grpc.aio.AioRpcError):
                    await channel.stream_unary(f"{STOCK}ImportStock")(lines(), timeout=120)

    await asyncio.gather(*(import_again() for _ in range(4)))


@attack
async def unread_refusals(port: int) -> None:
    """43 ReservationStreams of baskets that are refused, whose replies are not read."""
    items = [pb.ReservationItem(variant_id=f"{variant}-nowhere", quantity=1) for variant in BASKET]
    order = stream_pb2.StreamedRequest(request=pb.ReserveStockRequest(organization_id=ATTACKER, items=items))
    message = stream_pb2.ReserveStockRequests(requests=[order] * 16).SerializeToString()

    async def stream() -> None:
        async with channel_to(port) as channel:
            while True:
                call = channel.stream_stream(STREAM)()
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    while True:
                        await call.write(message)

    await asyncio.gather(*(stream() for _ in range(43)))


@attack
async def idle_streams(port: int) -> None:
    """1,100 ReservationStreams that say nothing of use every few seconds."""
    empty = stream_pb2.ReserveStockRequests().SerializeToString()

    async def stream(channel: Any) -> None:
        while True:
            call = channel.stream_stream(STREAM)()
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                while True:
                    await call.write(empty)
                    await asyncio.sleep(3.0)
            await asyncio.sleep(0.5)

    channels = [channel_to(port) for _ in range(12)]
    await asyncio.gather(*(stream(channels[number % 12]) for number in range(1_100)))


@attack
async def wide_lists(port: int) -> None:
    """Eight callers that list 1,000 reservations of 1,000 lines."""
    request = stock_pb2.ListReservationsRequest(organization_id=ATTACKER, page_size=1_000).SerializeToString()
    await repeat(port, f"{STOCK}ListReservations", 8, itertools.repeat(request))


@attack
async def stalled_imports(port: int) -> None:
    """Eight imports that begin, and then say nothing of use every few seconds."""
    line = stock_pb2.ImportLine(organization_id=ATTACKER, variant_id="s", warehouse_id="w", total_quantity=1)
    begin = stock_pb2.ImportStockRequest(request_id="stalled", lines=[line])

    async def import_again() -> None:
        async with channel_to(port) as channel:
            while True:
                call = channel.stream_unary(f"{STOCK}ImportStock")()
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await call.write(begin.SerializeToString())
                    while True:
                        await asyncio.sleep(3.0)
                        await call.write(b"")
                await asyncio.sleep(0.2)

    await asyncio.gather(*(import_again() for _ in range(8)))

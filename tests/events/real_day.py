"""Orders of a shop's real day, each taken to its end whatever is killed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc.aio
from stockkeeper_client import InventoryClient, StockLine

from examples.order_day import Order, read_day
from tests.system.servers import ORGANIZATION, line

UNPAID_EVERY = 10
TTL_MINUTES = 40_000  # the server's minutes may be seconds

T = TypeVar("T")


def first_orders(count: int) -> Sequence[Order]:
    return read_day().orders[:count]


async def take(client: InventoryClient, orders: Sequence[Order]) -> None:
    """Every tenth is not paid, the others leave the house."""
    for number, order in enumerate(orders):
        items: list[Any] = [{"variant_id": code, "quantity": quantity} for code, quantity in order.lines]
        about = (ORGANIZATION, order.order_id)
        found = (await patiently(partial(client.reserve_stock, *about, items, TTL_MINUTES))).reservation_id
        if _is_unpaid(number):
            await patiently(partial(client.release_reservation, ORGANIZATION, found, "not paid"))
            continue
        await patiently(partial(client.confirm_reservation, ORGANIZATION, found, order.order_id))
        ship = partial(client.stock.fulfill_reservation, ORGANIZATION, found, request_id=f"ship-{order.order_id}")
        await patiently(ship)


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: what is asked may have been done, and then has the same one."""
    while True:
        try:
            return await attempt()
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
        await asyncio.sleep(0.1)


def stock_for(orders: Sequence[Order]) -> list[StockLine]:
    """As much as they want."""
    wanted: Counter[str] = Counter()
    for order in orders:
        for code, quantity in order.lines:
            wanted[code] += quantity
    return [line(code, quantity, "north") for code, quantity in wanted.items()]


async def assert_taken(client: InventoryClient, orders: Sequence[Order]) -> None:
    """Each has one reservation, which ended as it should."""
    for number, order in enumerate(orders):
        found = client.stock.list_reservations(ORGANIZATION, order_id=order.order_id)
        states = [one.state async for one in found]
        assert states == ["released" if _is_unpaid(number) else "fulfilled"], order.order_id


def _is_unpaid(number: int) -> bool:
    return number % UNPAID_EVERY == UNPAID_EVERY - 1

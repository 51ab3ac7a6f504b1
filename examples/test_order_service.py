"""How an Order Service tests its checkout with the fixture `simulation`: with a bug, the test that finds it, and
the cure.

    pytest examples/test_order_service.py
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import grpc
import pytest
from grpc.aio import AioRpcError
from stockkeeper_client import CircuitOpenError, InsufficientStock, InventoryClient, Item, ReservationExpired, StockLine

from stockkeeper.testkit import Simulation, World

# [checkout]
SHOP = "org_1"
ATTEMPTS_MAX = 10
IN_DOUBT = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)  # done or not: unknown


@dataclass
class Order:
    order_id: str
    mugs: int
    reservation_id: str = ""


T = TypeVar("T")
Pay = Callable[[Order], Awaitable[bool]]


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again what may or may not have happened."""
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await attempt()
        except CircuitOpenError as error:  # five calls failed, and this one was not sent
            await anyio.sleep(error.retry_after_s)
        except AioRpcError as error:
            if error.code() not in IN_DOUBT:
                raise
    return await attempt()


async def checkout(inventory: InventoryClient, pay: Pay, order: Order) -> str:
    """Reserve, take the money, confirm. Returns `sold`, `sold out` or `declined`."""
    items: list[Item] = [{"variant_id": "mug", "quantity": order.mugs}]
    try:
        reserved = await patiently(lambda: inventory.reserve_stock(SHOP, order.order_id, items))
    except InsufficientStock:
        return "sold out"
    order.reservation_id = reserved.reservation_id
    if not await pay(order):
        await patiently(lambda: inventory.release_reservation(SHOP, order.reservation_id, "payment_failed"))
        return "declined"
    await patiently(lambda: inventory.confirm_reservation(SHOP, order.reservation_id, order.order_id))
    return "sold"


# [/checkout]


# [bug]
async def checkout_with_a_bug(inventory: InventoryClient, pay: Pay, order: Order) -> str:
    """The same, written in a hurry: "the reservation timed out, so let us ask for a new one"."""
    items: list[Item] = [{"variant_id": "mug", "quantity": order.mugs}]
    asked = order.order_id
    try:
        for number in range(ATTEMPTS_MAX):
            try:
                reserved = await inventory.reserve_stock(SHOP, asked, items)
                break
            except AioRpcError as error:
                if error.code() not in IN_DOUBT:
                    raise
                asked = f"{order.order_id}-{number + 1}"  # the bug: the first one may well have succeeded
    except AioRpcError:
        return "sold out"
    order.reservation_id = reserved.reservation_id
    if not await pay(order):
        await patiently(lambda: inventory.release_reservation(SHOP, order.reservation_id, "payment_failed"))
        return "declined"
    await patiently(lambda: inventory.confirm_reservation(SHOP, order.reservation_id, asked))
    return "sold"


# [/bug]


# [test]
Checkout = Callable[[InventoryClient, Pay, Order], Awaitable[str]]


async def customers(checkout: Checkout, world: World) -> None:
    """Each client of the world is a customer who wants two mugs. There are eleven."""
    mugs: StockLine = {"organization_id": SHOP, "variant_id": "mug", "warehouse_id": "main", "total_quantity": 11}
    with world.without_faults():
        await world.inventory.stock.import_stock([mugs])

    async def pay(order: Order) -> bool:
        random = world.random(order.order_id)
        await world.sleep(random.uniform(1, 30))
        return random.random() < 0.8

    async def buy(number: int) -> str:
        return await checkout(world.clients[number], pay, Order(f"order-{number}", mugs=2))

    ends = await world.in_parallel(buy, range(len(world.clients)))

    await world.settle()
    [stock] = (await world.inventory.get_stock_info(SHOP, "mug")).stock_info
    assert stock.reserved_quantity == 2 * ends.count("sold"), "mugs are held for no order"


def test_goods_are_held_for_customers_that_have_paid(simulation: Simulation) -> None:
    simulation.run(partial(customers, checkout), clients=6, faults=["reply_lost"], seeds=range(50))


def test_it_finds_the_bug(simulation: Simulation) -> None:
    with pytest.raises(AssertionError, match="mugs are held for no order"):
        simulation.run(partial(customers, checkout_with_a_bug), clients=6, faults=["reply_lost"], seeds=range(50))


# [/test]


def test_everything_else_that_may_go_wrong(simulation: Simulation) -> None:
    faults = [
        "request_lost",
        "reply_lost",
        "client_timeout",
        "server_crash",
        "store_error",
        "commit_lands_late",
        "stalls",
    ]
    simulation.run(partial(customers, checkout), clients=6, faults=faults, seeds=range(50))


# [expiry]
def test_a_reservation_that_expired_while_the_customer_typed_is_not_sold(simulation: Simulation) -> None:
    async def slow_customer(world: World) -> None:
        await world.inventory.stock.receive_stock(SHOP, [{"variant_id": "mug", "warehouse_id": "main", "quantity": 2}])

        async def pay(order: Order) -> bool:
            [reservation] = [it async for it in world.inventory.stock.list_reservations(SHOP, order_id=order.order_id)]
            await world.sleep_until_expired(reservation)  # fifteen minutes, and no time at all
            return True

        with pytest.raises(ReservationExpired):
            await checkout(world.inventory, pay, Order("order-1", mugs=2))

    simulation.run(slow_customer)


# [/expiry]

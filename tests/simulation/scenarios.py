"""What the tests of the test kit have in common."""

from collections.abc import Awaitable
from typing import Any

import pytest
from grpc.aio import AioRpcError
from stockkeeper_client import CircuitOpenError, InventoryClient, Item, StockLine

from stockkeeper.testkit import Fault, Run, Simulation, World

ORG = "org_1"


def of(variant_id: str, quantity: int, warehouse_id: str = "") -> Item:
    return {"variant_id": variant_id, "quantity": quantity, "warehouse_id": warehouse_id}


def counted(variant_id: str, total: int, warehouse_id: str = "w1") -> StockLine:
    return {
        "organization_id": ORG,
        "variant_id": variant_id,
        "warehouse_id": warehouse_id,
        "total_quantity": total,
    }


async def lay_in(world: World, pieces: int = 10) -> None:
    with world.without_faults():
        await world.inventory.stock.import_stock([counted("mug", pieces)])


async def refusal(call: Awaitable[object]) -> AioRpcError:
    with pytest.raises(AioRpcError) as refused:
        await call
    return refused.value


async def busy(world: World) -> None:
    """A scenario in which a lot happens, and everything may go wrong."""
    await lay_in(world)

    async def one(client: InventoryClient) -> None:
        order_id = world.new_id()
        for _ in range(4):
            try:
                reserved = await client.reserve_stock(
                    ORG, order_id, [of("mug", world.random(order_id).randint(1, 3))], 1
                )
                await world.sleep(world.random(order_id).random() * 50)
                await client.confirm_reservation(ORG, reserved.reservation_id, order_id)
                await client.stock.fulfill_reservation(ORG, reserved.reservation_id)
                return
            except (AioRpcError, CircuitOpenError) as error:
                world.note(type(error).__name__)

    await world.in_parallel(one, world.clients)
    await world.settle()


def runs_of_busy(**named: Any) -> tuple[Run, ...]:
    return Simulation().run(busy, seeds=range(8), clients=5, faults=list(Fault), **named)

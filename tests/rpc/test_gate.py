"""The gate lets a crowd in together, and keeps nobody waiting who is nearly alone."""

import asyncio

import pytest
from inventory.v1 import inventory_pb2 as pb
from inventory.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc import gate
from rpc.gate import CROWD_MIN, Gate
from tests.rpc.test_services import ORG, an_order

pytestmark = pytest.mark.anyio

FOR_EVER = 3600.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_few_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PAUSE_S", FOR_EVER)
    await Gate().enter(CROWD_MIN - 1)


async def test_a_crowd_enters_together_in_the_order_of_its_coming() -> None:
    entered: list[int] = []
    turnstile = Gate()

    async def call(number: int) -> None:
        await turnstile.enter(CROWD_MIN)
        entered.append(number)
        if number == 0:
            asyncio.get_running_loop().call_soon(entered.append, -1)

    async with asyncio.TaskGroup() as tasks:
        for number in range(CROWD_MIN):
            tasks.create_task(call(number))
        await asyncio.sleep(0)
        assert entered == []
    assert entered == [*range(CROWD_MIN), -1], "all of them in one turn of the loop"


async def test_one_that_gives_up_keeps_back_nobody() -> None:
    turnstile = Gate()
    calls = [asyncio.create_task(turnstile.enter(CROWD_MIN)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.gather(*calls[1:])
    assert calls[0].cancelled()
    await turnstile.enter(CROWD_MIN)  # it opens again for who comes later


async def test_reservations_pass_it_and_checks_do_not(
    inventory: InventoryServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CROWD_MIN", 1)
    monkeypatch.setattr(gate, "PAUSE_S", FOR_EVER)
    reserving = inventory.ReserveStock(an_order())
    assert (
        await inventory.CheckAvailability(pb.CheckAvailabilityRequest(**ORG, variant_id="var_789", quantity=5))
    ).available
    assert not reserving.done()
    reserving.cancel()

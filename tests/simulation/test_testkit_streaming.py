"""`world.client(streaming=True)`: reservations over one stream, with what can happen to a stream."""

from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError
from stockkeeper_client import CircuitOpenError, InventoryClient

from stockkeeper.testkit import Fault, Run, Simulation, World
from tests.simulation.scenarios import ORG, lay_in, of, refusal


async def crowd(world: World) -> None:
    """Twelve orders at a time over one stream, for goods that do not suffice."""
    await lay_in(world, 20)
    client = world.client(streaming=True)

    async def one(number: int) -> None:
        for _ in range(4):
            try:
                reserved = await client.reserve_stock(ORG, f"o{number}", [of("mug", 2)], 1)
                await client.confirm_reservation(ORG, reserved.reservation_id, f"o{number}")
                return
            except (AioRpcError, CircuitOpenError) as error:
                world.note(type(error).__name__)
                await world.sleep(1)

    await world.in_parallel(one, range(12))
    await world.settle()
    [stock] = (await world.inventory.get_stock_info(ORG, "mug")).stock_info
    assert stock.reserved_quantity <= 20


def runs(faults: Any = tuple(Fault), **named: Any) -> tuple[Run, ...]:
    return Simulation().run(crowd, seeds=range(6), faults=faults, **named)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_same_seed_gives_the_same_trace(backend: Any) -> None:
    first = runs(backend=backend)
    assert first == runs(backend=backend)
    assert len({run.trace for run in first}) == len(first)


@pytest.mark.parametrize(
    "fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST, Fault.REQUEST_DUPLICATED, Fault.CLIENT_TIMEOUT, Fault.SERVER_CRASH]
)
def test_every_fault_of_the_wire_has_an_effect(fault: Fault) -> None:
    undisturbed = {run.trace for run in runs([])}
    assert {run.trace for run in runs([fault])} - undisturbed


def test_the_client_counts_what_is_under_way_on_its_stream() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        client = world.client(streaming=True)
        seen: list[int] = []

        async def one(number: int) -> None:
            if number:
                await client.reserve_stock(ORG, f"o{number}", [of("mug", 1)])
            else:
                while not seen or seen[-1] < 4:
                    await world.sleep(0.0001)
                    counted = client.statistics().reservations
                    assert counted is not None
                    seen.append(counted.waiting)

        await world.in_parallel(one, range(5))
        assert client.statistics().reservations == (1, 0, 0)

    Simulation().run(scenario, seeds=range(2), faults=())


def test_a_connection_that_breaks_is_lost_to_all_that_are_under_way() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        client = world.client("streamer", streaming=True, retry=None, breaker=False)
        ends: set[tuple[grpc.StatusCode | None, float]] = set()

        async def one(number: int) -> None:
            try:
                await client.reserve_stock(ORG, f"o{number}", [of("mug", 1)])
                ends.add((None, world.now()))
            except AioRpcError as error:
                ends.add((error.code(), world.now()))

        async def crash(_: int) -> None:
            await world.crash_server(down_s=1.0)

        async def either(number: int) -> None:
            await (one(number) if number else crash(number))

        await world.in_parallel(either, range(6))
        [(code, _)] = ends  # at one moment
        assert code is grpc.StatusCode.UNAVAILABLE
        assert (await client.reserve_stock(ORG, "o1", [of("mug", 1)])).success  # over another stream

    Simulation().run(scenario, seeds=range(5))


def test_a_reservation_ends_at_its_deadline_and_leaves_the_others_alone() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        client = world.client(streaming=True, retry=None, breaker=False)
        error = await refusal(client.reserve_stock(ORG, "o1", [of("mug", 1)], timeout_s=0.000_001))
        assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        assert (await client.reserve_stock(ORG, "o2", [of("mug", 1)])).success

    Simulation().run(scenario)


def test_a_closed_client_makes_no_more_reservations() -> None:
    async def scenario(world: World) -> None:
        client = world.client(streaming=True)
        assert isinstance(client, InventoryClient)
        await lay_in(world)
        assert (await client.reserve_stock(ORG, "o1", [of("mug", 1)])).success
        await client.close(grace_s=1.0)
        with pytest.raises(RuntimeError, match="closed"):
            await client.reserve_stock(ORG, "o2", [of("mug", 1)])

    Simulation().run(scenario)

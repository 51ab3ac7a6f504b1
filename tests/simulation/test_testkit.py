"""The test kit keeps its promises about seeds and time, and finds bugs."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterable
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from stockkeeper_client import CircuitBreaker, CircuitOpenError, StockLine, error_details

from simulation.planted.bugs import BUGS
from stockkeeper.testkit import Fault, Simulation, SimulationFailed, World
from stockkeeper.testkit.kit_world import BrokenGuarantee
from tests.simulation.scenarios import ORG, busy, counted, lay_in, of, refusal, runs_of_busy

ROOT = Path(__file__).resolve().parents[2]
PLANTED = "acknowledge_before_durable"


# ---- seeds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_same_seed_gives_the_same_trace(backend: Any) -> None:
    first, second = runs_of_busy(backend=backend), runs_of_busy(backend=backend)
    assert first == second
    assert len({run.trace for run in first}) == len(first)


def test_the_trace_is_the_same_in_another_process_with_other_hashes() -> None:
    program = "from tests.simulation.scenarios import runs_of_busy; print([run.trace for run in runs_of_busy()])"
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str([run.trace for run in runs_of_busy()]), done.stderr


def test_every_fault_has_an_effect() -> None:
    def traces(faults: Iterable[str]) -> set[str]:
        # A commit lands late once in twenty batches, and what comes while one is written makes no batch of its own.
        return {run.trace for run in Simulation().run(busy, seeds=range(16), clients=3, faults=faults)}

    undisturbed = traces([])
    for fault in Fault:
        assert traces([fault]) - undisturbed, fault


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        (Fault.REQUEST_LOST, "the request is lost"),
        (Fault.REPLY_LOST, "the reply OK is lost"),
        (Fault.REQUEST_DUPLICATED, "arrives a second time"),
        (Fault.CLIENT_TIMEOUT, "gets DEADLINE_EXCEEDED"),
        (Fault.SERVER_CRASH, "the server crashes"),
        (Fault.STORE_ERROR, "UNAVAILABLE"),
        (Fault.COMMIT_LANDS_LATE, "UNAVAILABLE"),
        (Fault.COMMIT_LANDS_UNSEEN, "UNAVAILABLE"),
        (Fault.WALL_CLOCK_JUMPS, "the wall clock jumps"),
    ],
)
def test_a_fault_is_what_its_name_says_and_is_absent_unless_asked_for(fault: Fault, event: str) -> None:
    def seen(faults: dict[str, float]) -> bool:
        runs = Simulation().run(busy, seeds=range(8), clients=3, faults=faults)
        return any(event in line for run in runs for line in run.events)

    assert seen({fault: 0.5})
    assert not seen({})


def test_arguments_that_make_no_sense_are_refused_before_any_run() -> None:
    simulation = Simulation()
    with pytest.raises(ValueError, match="there is no fault 'fire'; there are request_lost, "):
        simulation.run(busy, faults=["fire"])
    with pytest.raises(ValueError, match=r"faults are a list of names, as \['reply_lost'\]"):
        simulation.run(busy, faults="reply_lost")
    with pytest.raises(ValueError, match="has to be 0 to 1"):
        simulation.run(busy, faults={"reply_lost": 2})
    with pytest.raises(ValueError, match="a seed or seeds"):
        simulation.run(busy, seed=1, seeds=range(2))
    with pytest.raises(ValueError, match="no seed to run"):
        simulation.run(busy, seeds=())


def test_the_standard_workload_runs_without_a_scenario() -> None:
    [run] = Simulation().run(clients=12)
    assert run.steps > 100
    assert Simulation().run(clients=12) == (run,)
    assert Simulation().run(clients=12, faults=["reply_lost"]) != (run,)


# ---- time and crashes -----------------------------------------------------------------------------------------------


def test_a_month_passes_in_no_time() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        reserved = await world.inventory.reserve_stock(ORG, "o1", [of("mug", 10)], 44_640)
        before = world.now()
        await world.sleep_until_expired(reserved)
        assert 31 * 86_400 <= world.now() - before < 31 * 86_400 + 5
        assert (await world.inventory.check_availability(ORG, "mug", "", 10)).available
        await world.sleep_until_expired(reserved)  # it has
        error = await refusal(world.inventory.confirm_reservation(ORG, reserved.reservation_id, "o1"))
        assert error_details(error).reason == "RESERVATION_EXPIRED"

    [run] = Simulation().run(scenario)
    assert run.steps < 20_000


def test_waiting_for_a_reservation_that_does_not_expire_is_an_error() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        reserved = await world.inventory.reserve_stock(ORG, "o1", [of("mug", 1)])
        await world.inventory.confirm_reservation(ORG, reserved.reservation_id, "o1")
        with pytest.raises(ValueError, match="is confirmed, and will not expire"):
            await world.sleep_until_expired(reserved)

    Simulation().run(scenario)


def test_what_was_answered_survives_a_crash_and_calls_meanwhile_are_sent_again() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        reserved = await world.inventory.reserve_stock(ORG, "o1", [of("mug", 4)])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.crash_server, 1.0)
            await world.sleep(0.5)
            impatient = world.client(retry=None)
            error = await refusal(impatient.get_stock_info(ORG, "mug"))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            [stock] = (await world.inventory.get_stock_info(ORG, "mug")).stock_info
            assert world.now() > 1.0
        assert (stock.available_quantity, stock.reserved_quantity) == (6, 4)
        await world.inventory.confirm_reservation(ORG, reserved.reservation_id, "o1")

    Simulation().run(scenario, seeds=range(5))


def test_deadlines_and_the_breaker_go_by_virtual_time() -> None:
    async def scenario(world: World) -> None:
        breaker = CircuitBreaker(failure_threshold=1, open_s=60.0, clock=world.now)
        client = world.client(timeout_s=2.0, retry=None, breaker=breaker)
        error = await refusal(client.get_stock_info(ORG, "mug"))
        assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        assert 2.0 <= world.now() < 2.1
        with pytest.raises(CircuitOpenError):
            await client.get_stock_info(ORG, "mug")
        await world.settle()
        await world.sleep(60)
        await client.get_stock_info(ORG, "mug")

    Simulation().run(scenario, faults={"client_timeout": 1.0})


def test_an_import_ends_at_its_deadline_and_passes_on_what_its_lines_raise() -> None:
    async def scenario(world: World) -> None:
        async def slow_lines() -> AsyncIterator[StockLine]:
            yield counted("mug", 1)
            await world.sleep(100)

        async def broken_lines() -> AsyncIterator[StockLine]:
            yield counted("mug", 1)
            raise OSError("the file is gone")

        stock = world.inventory.stock
        error = await refusal(stock.import_stock(slow_lines(), timeout_s=10))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(OSError, match="the file is gone"):
            await stock.import_stock(broken_lines())
        assert [row async for row in stock.list_stock(ORG)] == []

    Simulation().run(scenario)


def test_a_caller_that_gives_up_leaves_nothing_behind() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        with anyio.move_on_after(world.random("patience").random() * 0.01):
            await world.inventory.reserve_stock(ORG, "o1", [of("mug", 4)])
        await world.settle()
        [stock] = (await world.inventory.get_stock_info(ORG, "mug")).stock_info
        kept.add(stock.reserved_quantity)
        [again] = await world.in_parallel(lambda client: client.reserve_stock(ORG, "o1", [of("mug", 4)]), world.clients)
        assert again.success

    kept: set[int] = set()
    Simulation().run(scenario, seeds=range(40), faults=["slow_network", "slow_store"])
    assert kept == {0, 4}


# ---- failures -------------------------------------------------------------------------------------------------------


def test_a_broken_guarantee_of_the_service_fails_the_run_whatever_the_scenario_thinks() -> None:
    async def scenario(world: World) -> None:
        await lay_in(world)
        reserved = await world.inventory.reserve_stock(ORG, "o1", [of("mug", 1)])
        await world.crash_server()
        await world.inventory.confirm_reservation(ORG, reserved.reservation_id, "o1")
        world.audit()

    Simulation().run(scenario)
    with BUGS[PLANTED].planted(), pytest.raises(BrokenGuarantee) as broken:
        Simulation().run(busy, seeds=range(100), clients=5, faults=list(Fault))
    assert "simulation seed" in broken.value.__notes__[0]


def test_a_broken_guarantee_fails_the_standard_workload_with_its_seed() -> None:
    with BUGS[PLANTED].planted(), pytest.raises(SimulationFailed, match=r"stockkeeper simulate --seed \d+"):
        Simulation().run(seeds=range(100))


def test_a_scenario_that_never_ends_is_reported() -> None:
    async def scenario(world: World) -> None:
        await anyio.sleep_forever()

    with pytest.raises(SimulationFailed, match="the scenario has not ended after 3000 steps") as failed:
        Simulation().run(scenario, steps_max=3_000, faults=["stalls", "wall_clock_jumps"])
    assert "again with:\n  simulation.run(..., seed=0)" in failed.value.__notes__[0]


def test_an_exception_of_a_scenario_comes_out_unchanged_also_from_a_task() -> None:
    async def scenario(world: World) -> None:
        async def fail(number: int) -> None:
            await world.sleep(number)
            raise LookupError(f"number {number}")

        await world.in_parallel(fail, [3, 2, 1])

    with pytest.raises(LookupError, match="number 1") as raised:
        Simulation().run(scenario, seed=5)
    assert "simulation seed 5 failed" in raised.value.__notes__[0]
    with pytest.raises(pytest.fail.Exception, match="so it is"):
        Simulation().run(_gives_up)
    with pytest.raises(KeyboardInterrupt):
        Simulation().run(_is_interrupted)


async def _gives_up(world: World) -> None:
    pytest.fail("so it is")


async def _is_interrupted(world: World) -> None:
    raise KeyboardInterrupt


LOADED_BY_THE_KIT = """
import sys
import grpc.aio  # the client's own, with the binding in it
before = set(sys.modules)
import stockkeeper.testkit
from stockkeeper.testkit import Simulation

OURS = ("actors", "cells", "storage", "supervisor", "rpc", "events", "stockkeeper", "simulation")

async def scenario(world):
    await world.inventory.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "main", "quantity": 1}])

Simulation().run(scenario)
print("\\n".join(set(sys.modules) - before))
bound = [name for name, module in sys.modules.items() if name.startswith(OURS) and hasattr(module, "cygrpc")]
assert not bound, bound
"""


def test_the_kit_loads_neither_the_server_s_transport_nor_grpc_s_binding() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED_BY_THE_KIT], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("rpc.transport.")} == {"rpc.transport.transport_port"}
    assert not loaded & {"rpc.rpc_server", "stockkeeper.bootstrap", "uvloop"}
    assert not {name for name in loaded if name.startswith(("stockkeeper.serving", "stockkeeper.command_line"))}


def test_a_scenario_that_needs_asyncio_is_told_so_once() -> None:
    async def scenario(world: World) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(asyncio.sleep, 0.1)

    with pytest.raises(BaseExceptionGroup) as raised:
        Simulation().run(scenario)
    assert "".join(raised.value.__notes__).count("simulation.run(..., backend='asyncio')") == 1
    assert len(Simulation().run(scenario, backend="asyncio")) == 1


def test_a_scenario_that_hands_a_future_of_asyncio_to_trio_is_told_so() -> None:
    class Future:
        """Awaited, it yields itself to the event loop, as one of asyncio does."""

        def __await__(self) -> Generator[object, None, None]:
            yield self

    async def scenario(world: World) -> None:
        await Future()

    with pytest.raises(TypeError, match="asyncio") as raised:
        Simulation().run(scenario)
    assert "backend='asyncio'" in "".join(raised.value.__notes__)


def test_the_first_of_many_exceptions_is_passed_on() -> None:
    async def fail(number: int) -> None:
        raise ValueError(f"number {number}")

    async def scenario(world: World) -> None:
        await world.in_parallel(fail, range(8))

    with pytest.raises(ValueError, match=r"^number \d\n?"):
        Simulation().run(scenario)

"""The test kit says what the server says, keeps its promises about seeds and time, and finds bugs."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc.aio import AioRpcError
from inventory import CircuitBreaker, CircuitOpenError, InventoryClient, error_details

from rpc.server import RpcServer
from simulation.bugs import BUGS
from stockkeeper.testkit import Fault, Run, Simulation, SimulationFailed, World
from stockkeeper.testkit.faults import RATES
from stockkeeper.testkit.world import BrokenGuarantee
from storage.memory import Disk, MemoryStore
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.settings import Limits
from supervisor.supervisor import Supervisor

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "test_order_service.py"
MANUAL = ROOT / "docs" / "testkit.md"
ORG = "org_1"
PLANTED = "acknowledge_before_durable"


def of(variant_id: str, quantity: int, warehouse_id: str = "") -> dict[str, Any]:
    return {"variant_id": variant_id, "quantity": quantity, "warehouse_id": warehouse_id}


def counted(variant_id: str, total: int, warehouse_id: str = "w1") -> dict[str, Any]:
    ids = {"organization_id": ORG, "variant_id": variant_id, "warehouse_id": warehouse_id}
    return {**ids, "total_quantity": total}


async def lay_in(world: World, pieces: int = 10) -> None:
    with world.without_faults():
        await world.inventory.stock.import_stock([counted("mug", pieces)])


async def refusal(call: Awaitable[object]) -> AioRpcError:
    with pytest.raises(AioRpcError) as refused:
        await call
    return refused.value


# ---- the same as a server over a socket -----------------------------------------------------------------------------

Expire = Callable[[Any], Awaitable[None]]


class Conversation:
    """Everything that a client can ask, and what it was told, without what differs from server to server."""

    def __init__(self, client: InventoryClient, expire: Expire) -> None:
        self._client = client
        self._expire = expire
        self.heard: list[object] = []

    async def hold(self) -> list[object]:
        await self._stock_comes_in()
        await self._reservations()
        await self._time_passes()
        await self._goods_go_out()
        await self._nonsense()
        return self.heard

    async def say(self, call: Awaitable[Message]) -> Any:
        try:
            answer = await call
        except AioRpcError as error:
            details = error_details(error)
            keys = sorted({key for key, _ in error.trailing_metadata() or ()})
            # How long it takes until a hold is over depends on when it was asked.
            retry = details.retry_delay_s is not None
            told = (error.code(), error.details(), keys, retry, details.reason, details.domain, dict(details.metadata))
            listed = (details.field_violations, details.precondition_violations, details.line_errors)
            self.heard.append(blurred((*told, *listed, details.line_errors_total)))
            return None
        fields = MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        self.heard.append(blurred((type(answer).__name__, fields)))
        return answer

    async def list(self, rows: AsyncIterator[Message]) -> None:
        self.heard.append(blurred([MessageToDict(row, preserving_proto_field_name=True) async for row in rows]))

    async def _stock_comes_in(self) -> None:
        client, say = self._client, self.say
        lines = [counted("mug", 10), counted("mug", 4, "w2"), counted("pot", 2), counted("jug", 1)]
        await say(client.stock.import_stock(lines, request_id="i1"))
        await say(client.stock.import_stock(lines, request_id="i1"))
        await say(client.stock.import_stock(lines, request_id="i2", chunk_lines=1))
        await say(client.stock.import_stock(lines[:1], request_id="i1"))
        await say(client.stock.import_stock([], request_id="i3"))
        await say(client.stock.import_stock([counted("mug", -1), counted("", 1), lines[2], lines[2]], request_id="i4"))
        await say(client.stock.receive_stock(ORG, "pot", "w1", 3, request_id="r1", reason="purchase", reference="PO"))
        await say(client.stock.receive_stock(ORG, "pot", "w1", 3, request_id="r1", reason="purchase", reference="PO"))
        await say(client.stock.receive_stock(ORG, "pot", "w1", 4, request_id="r1"))
        await say(client.stock.receive_stock(ORG, "pot", "w1", 2**31 - 1, request_id="r2"))
        await say(client.get_stock_info(ORG, "mug"))
        await say(client.get_stock_info(ORG, "mug", "w2"))
        await say(client.get_stock_info(ORG, "unknown"))
        for page_size in (1, 500):
            await self.list(client.stock.list_stock(ORG, page_size=page_size))
        await self.list(client.stock.list_stock(ORG, variant_id="mug", warehouse_id="w2"))
        for quantity in (0, 1, 11, -1):
            await say(client.check_availability(ORG, "mug", "", quantity))
        await say(client.check_availability(ORG, "unknown", "w1", 1))
        await say(client.check_bulk_availability(ORG, [of("mug", 6), of("mug", 6), of("unknown", 1)]))
        await say(client.check_bulk_availability(ORG, [of("mug", 6), of("pot", 5)]))

    async def _reservations(self) -> None:
        client, say = self._client, self.say
        one = await say(client.reserve_stock(ORG, "o1", [of("mug", 3), of("pot", 1, "w1")], 15))
        await say(client.reserve_stock(ORG, "o1", [of("mug", 3), of("pot", 1, "w1")], 15))
        await say(client.reserve_stock(ORG, "o1", [of("mug", 4)], 15))
        await say(client.reserve_stock(ORG, "o2", [of("unknown", 1)], 15))
        await say(client.reserve_stock(ORG, "o2", [of("mug", 9), of("pot", 9)], 15))
        await say(client.reserve_stock(ORG, "o3", [of("mug", 90)], 15, idempotency_key="k1"))
        await say(client.reserve_stock(ORG, "o3", [of("mug", 1)], 15, idempotency_key="k1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "other"))
        await say(client.stock.fulfill_reservation(ORG, one.reservation_id, request_id="f0"))
        await say(client.confirm_reservation("org_2", one.reservation_id, "o1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "o1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "o1"))
        two = await say(client.reserve_stock(ORG, "o4", [of("mug", 1)], 15))
        await say(client.release_reservation(ORG, two.reservation_id, "cancelled"))
        await say(client.release_reservation(ORG, two.reservation_id, "cancelled"))
        await say(client.confirm_reservation(ORG, two.reservation_id, "o4"))
        await say(client.release_reservation(ORG, "unknown", "cancelled"))

    async def _time_passes(self) -> None:
        client, say = self._client, self.say
        late = await say(client.reserve_stock(ORG, "o5", [of("jug", 1)], 1))
        await say(client.reserve_stock(ORG, "o6", [of("jug", 1)], 1))
        await self._expire(late)
        await say(client.confirm_reservation(ORG, late.reservation_id, "o5"))
        await say(client.release_reservation(ORG, late.reservation_id, "late"))
        await say(client.get_stock_info(ORG, "jug"))

    async def _goods_go_out(self) -> None:
        client, say = self._client, self.say
        three = await say(client.reserve_stock(ORG, "o7", [of("mug", 2)], 15))
        await say(client.confirm_reservation(ORG, three.reservation_id, "o7"))
        for request_id in ("f1", "f1", "f2"):
            await say(client.stock.fulfill_reservation(ORG, three.reservation_id, request_id=request_id))
        await say(client.release_reservation(ORG, three.reservation_id, "too late"))
        await say(client.confirm_reservation(ORG, three.reservation_id, "o7"))
        for page_size in (2, 100):
            await self.list(client.stock.list_reservations(ORG, page_size=page_size))
        await self.list(client.stock.list_reservations(ORG, state="confirmed"))
        await self.list(client.stock.list_reservations(ORG, order_id="o4"))

    async def _nonsense(self) -> None:
        client, say = self._client, self.say
        await say(client.check_availability("", "", "\n", -5))
        await say(client.check_bulk_availability(ORG, []))
        await say(client.reserve_stock("", "x" * 129, [of("", 0)], 50_000, idempotency_key="x" * 129))
        await say(client.reserve_stock(ORG, "o9", [of("mug", 1)] * 1_001))
        await say(client.reserve_stock(ORG, "o9", [of("x" * 129, 0, "y" * 129)] * 1_000))
        await say(client.confirm_reservation("", "", ""))
        await say(client.release_reservation("", "", "x" * 600))
        await say(client.get_stock_info("", ""))
        await say(client.stock.receive_stock("", "", "", 0, request_id="x" * 129))
        await say(client.stock.fulfill_reservation("", "", reference="\n"))
        await say(client.stock.import_stock([counted("mug", 1)], request_id="x" * 129))
        with pytest.raises(AioRpcError) as refused:
            await self.list(client.stock.list_reservations(ORG, state="lost", page_size=2_000))
        self.heard.append((refused.value.code(), refused.value.details()))


def blurred(value: object) -> str:
    """Ids and times made the same."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", str(value))
    return re.sub(r"id-\d{6}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)


@asynccontextmanager
async def server_on_a_socket(ahead_s: Callable[[], float]) -> AsyncIterator[InventoryClient]:
    numbers = count(1)
    clock = ServiceClock(lambda: 1_767_225_600_000, lambda: anyio.current_time() + ahead_s())
    sources = Sources(clock, lambda: f"id-{next(numbers):06}", lambda actor, error: None)
    supervisor = Supervisor(MemoryStore(Disk()), sources, Limits(heartbeat_s=0.01))
    server = RpcServer(supervisor, host="127.0.0.1", port=0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        [address] = await server.start()
        async with InventoryClient("127.0.0.1", address.port, breaker=False) as client:
            yield client
        supervisor.stop()
        await server.stop(1)


def heard_over_a_socket() -> list[object]:
    async def main() -> list[object]:
        ahead_s = 0.0

        async def expire(_: object) -> None:
            nonlocal ahead_s
            ahead_s += 61
            with anyio.fail_after(5):
                while (await client.get_stock_info(ORG, "jug")).stock_info[0].reserved_quantity:  # noqa: ASYNC110
                    await anyio.sleep(0.01)

        async with server_on_a_socket(lambda: ahead_s) as client:
            return await Conversation(client, expire).hold()

    return anyio.run(main)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_kit_says_what_a_server_on_a_socket_says_call_by_call(backend: Any) -> None:
    heard: list[object] = []

    async def scenario(world: World) -> None:
        client = world.client(breaker=False)
        heard.extend(await Conversation(client, world.sleep_until_expired).hold())

    Simulation().run(scenario, backend=backend)
    expected = heard_over_a_socket()
    assert len(expected) > 60
    for number, (mine, real) in enumerate(zip(heard, expected, strict=True)):
        assert mine == real, number


def test_the_client_is_an_inventory_client() -> None:
    async def scenario(world: World) -> None:
        client = world.client(metadata=(("authorization", "x"),))
        assert isinstance(client, InventoryClient)
        assert (await client.stub.GetStockInfo(_stock_info_request(), timeout=1.0)).stock_info == []
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.get_stock_info(ORG, "mug")

    Simulation().run(scenario)


def _stock_info_request() -> Any:
    from inventory.v1 import inventory_pb2

    return inventory_pb2.GetStockInfoRequest(organization_id=ORG, variant_id="mug")


# ---- seeds ----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_same_seed_gives_the_same_trace(backend: Any) -> None:
    first, second = runs_of_busy(backend=backend), runs_of_busy(backend=backend)
    assert first == second
    assert len({run.trace for run in first}) == len(first)


def test_the_trace_is_the_same_in_another_process_with_other_hashes() -> None:
    program = "from tests.simulation.test_testkit import runs_of_busy; print([run.trace for run in runs_of_busy()])"
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str([run.trace for run in runs_of_busy()]), done.stderr


def test_every_fault_makes_itself_felt() -> None:
    def traces(faults: Iterable[str]) -> set[str]:
        return {run.trace for run in Simulation().run(busy, seeds=range(8), clients=3, faults=faults)}

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


def test_what_makes_no_sense_is_said_at_once() -> None:
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


def test_who_waits_for_the_end_of_what_does_not_end_is_told_so() -> None:
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
        async def slow_lines() -> AsyncIterator[dict[str, Any]]:
            yield counted("mug", 1)
            await world.sleep(100)

        async def broken_lines() -> AsyncIterator[dict[str, Any]]:
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


def test_a_scenario_that_never_ends_is_said_to_be_one() -> None:
    async def scenario(world: World) -> None:
        await anyio.sleep_forever()

    with pytest.raises(SimulationFailed, match="the scenario has not ended after 3000 steps") as failed:
        Simulation().run(scenario, steps_max=3_000, faults=["stalls", "wall_clock_jumps"])
    assert "again with:\n  simulation.run(..., seed=0)" in failed.value.__notes__[0]


def test_what_a_scenario_raises_comes_out_as_it_was_also_from_a_task() -> None:
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


# ---- the plugin -----------------------------------------------------------------------------------------------------

A_FAILING_TEST = """
    import pytest

    async def scenario(world):
        world.note("the moment before")
        assert world.seed != 3, "three"

    def test_plain(simulation):
        simulation.run(scenario, seeds=range(10))

    @pytest.mark.simulation_seeds(5)
    def test_marked(simulation):
        simulation.run(scenario)
"""


def test_a_failing_seed_is_named_with_the_command_that_runs_it_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=A_FAILING_TEST)
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: three",
            "*simulation seed 3 failed; its last steps:",
            "* 0.000 s  the moment before",
            "*pytest test_it.py::test_plain --simulation-seed 3",
            "*pytest 'test_it.py::test_marked?seed-3?' --simulation-seed 3",
        ]
    )
    for again in ("test_it.py::test_plain", "test_it.py::test_marked[seed-3]"):
        pytester.runpytest(again, "--simulation-seed", "3").assert_outcomes(failed=1)
    pytester.runpytest("test_it.py", "--simulation-seed", "4").assert_outcomes(passed=2)
    pytester.runpytest("test_it.py", "--simulation-seeds", "4..8").assert_outcomes(passed=5)


@pytest.mark.parametrize("seeds", ["8..4", "4", "a..b"])
def test_a_range_of_seeds_that_is_none_is_refused(pytester: pytest.Pytester, seeds: str) -> None:
    pytester.makepyfile(A_FAILING_TEST)
    result = pytester.runpytest("--simulation-seeds", seeds)
    assert f"--simulation-seeds looks like 0..500, not '{seeds}'" in result.stdout.str() + result.stderr.str()
    assert result.ret != 0


def test_loading_the_plugin_imports_nothing_of_the_service() -> None:
    program = "import sys, stockkeeper.pytest_plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"trio", "grpc", "rpc", "simulation", "supervisor", "stockkeeper.testkit"} & set(done.stdout.split())


# ---- the example and the manual -------------------------------------------------------------------------------------


def test_the_example_finds_its_bug_and_passes_without() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("part", ["checkout", "bug", "test", "expiry"])
def test_the_code_in_the_manual_is_the_examples(part: str) -> None:
    [code] = re.findall(rf"^# \[{part}\]\n(.*?)^# \[/{part}\]", EXAMPLE.read_text(), re.MULTILINE | re.DOTALL)
    assert f"```python\n{code.strip()}\n```" in MANUAL.read_text()


def test_the_failure_in_the_manual_is_what_is_printed(pytester: pytest.Pytester) -> None:
    found = EXAMPLE.read_text().replace(
        'with pytest.raises(AssertionError, match="mugs are held for nobody"):', "if True:"
    )
    pytester.makepyfile(test_order_service=found)
    printed = pytester.runpytest("-k", "finds_the_bug").stdout.str()
    [shown] = re.findall(r"```text\n(E .*?)```", MANUAL.read_text(), re.DOTALL)
    for line in shown.splitlines():
        if "…" not in line:
            assert line in printed.splitlines(), line


def test_the_manual_has_every_fault_with_its_rate() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", MANUAL.read_text(), re.MULTILINE)
    assert {name: float(rate) for name, rate in rows} == dict(RATES)


def test_the_manuals_python_is_python() -> None:
    for code in re.findall(r"^```python\n(.*?)^```", MANUAL.read_text(), re.MULTILINE | re.DOTALL):
        compile(code, str(MANUAL), "exec")

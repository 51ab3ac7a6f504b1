"""The test kit: its manual is true, it repeats itself, and it says what a server in production says."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from google.protobuf.json_format import MessageToDict
from grpc.aio import AioRpcError
from inventory import InventoryClient, error_details

from rpc.server import RpcServer
from stockkeeper.bootstrap import build_sources, build_store
from stockkeeper.testkit import Fault, Simulation, SimulationFailed, World
from supervisor.settings import Limits
from supervisor.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
ORGANIZATION = "org_1"
MUGS = [{"variant_id": "mug", "quantity": 2}]


def test_the_manual_shows_the_example() -> None:
    example = (ROOT / "examples" / "test_order_service.py").read_text()
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testkit.md").read_text(), re.DOTALL)
    assert len(snippets) == 4
    for snippet in snippets:
        assert snippet.strip("\n") in example


def test_the_manual_names_every_fault() -> None:
    manual = (ROOT / "docs" / "testkit.md").read_text()
    assert all(f"`{fault}`" in manual for fault in Fault)


async def busy(world: World) -> None:
    await world.inventory.stock.receive_stock(ORGANIZATION, "mug", "main", 5)

    async def buy(number: int) -> None:
        for _ in range(5):
            try:
                await world.clients[number].reserve_stock(ORGANIZATION, f"order-{number}", MUGS)
                return
            except AioRpcError as error:
                if error_details(error).reason == "INSUFFICIENT_STOCK":
                    return

    await world.in_parallel(buy, range(len(world.clients)))


def test_the_same_seed_is_the_same_run_and_another_is_another() -> None:
    faults = ["reply_lost", "request_duplicated", "stalls"]
    runs = [Simulation().run(busy, seed=seed, clients=4, faults=faults)[0] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].trace != runs[2].trace


def test_the_standard_workload_runs_with_any_number_of_clients() -> None:
    [run] = Simulation().run(clients=12)
    assert run.steps > 100


def test_virtual_time_takes_no_time() -> None:
    async def scenario(world: World) -> None:
        await world.inventory.stock.receive_stock(ORGANIZATION, "mug", "main", 5)
        reserved = await world.inventory.reserve_stock(ORGANIZATION, "order-1", MUGS, ttl_minutes=120)
        await world.sleep_until_expired(reserved)
        assert world.now() >= 7_200
        [stock] = (await world.inventory.get_stock_info(ORGANIZATION, "mug")).stock_info
        assert stock.available_quantity == 5

    Simulation().run(scenario)


def test_what_was_reserved_survives_a_crash() -> None:
    async def scenario(world: World) -> None:
        await world.inventory.stock.receive_stock(ORGANIZATION, "mug", "main", 5)
        reserved = await world.inventory.reserve_stock(ORGANIZATION, "order-1", MUGS)
        await world.crash_server()
        assert await world.inventory.reserve_stock(ORGANIZATION, "order-1", MUGS) == reserved

    Simulation().run(scenario, seeds=range(5))


def test_a_failure_says_how_to_see_it_again() -> None:
    async def scenario(world: World) -> None:
        await world.inventory.check_availability(ORGANIZATION, "mug", "", 1)
        raise RuntimeError("a bug in the code under test")

    with pytest.raises(RuntimeError, match="a bug in the code under test") as failure:
        Simulation(again=lambda seed: f"pytest test_x.py::test_y --simulation-seed {seed}").run(scenario, seed=17)
    note = "\n".join(failure.value.__notes__)
    assert "simulation seed 17 failed" in note
    assert "pytest test_x.py::test_y --simulation-seed 17" in note


def test_a_scenario_that_does_not_end_is_said_to() -> None:
    async def scenario(world: World) -> None:
        while True:
            await world.sleep(1)

    with pytest.raises(SimulationFailed, match="has not ended"):
        Simulation().run(scenario, steps_max=500)


def test_the_fixture_is_there(simulation: Simulation) -> None:
    assert simulation.run(busy, clients=2)


# ---- the same calls over a socket ---------------------------------------------------------------------------------

Call = Callable[[Any, dict[str, str]], Awaitable[Any]]

CALLS: list[tuple[str, Call]] = [
    ("unknown stock", lambda c, _: c.check_availability(ORGANIZATION, "mug", "", 1)),
    ("reserve unknown", lambda c, _: c.reserve_stock(ORGANIZATION, "o0", MUGS)),
    ("receive", lambda c, _: c.stock.receive_stock(ORGANIZATION, "mug", "main", 5, request_id="r1")),
    ("receive again", lambda c, _: c.stock.receive_stock(ORGANIZATION, "mug", "main", 5, request_id="r1")),
    ("key reused", lambda c, _: c.stock.receive_stock(ORGANIZATION, "mug", "main", 6, request_id="r1")),
    ("check", lambda c, _: c.check_availability(ORGANIZATION, "mug", "", 6)),
    ("check bulk", lambda c, _: c.check_bulk_availability(ORGANIZATION, MUGS)),
    ("reserve", lambda c, _: c.reserve_stock(ORGANIZATION, "o1", MUGS)),
    ("reserve other lines", lambda c, _: c.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "mug", "quantity": 1}])),
    ("reserve too much", lambda c, _: c.reserve_stock(ORGANIZATION, "o2", [{"variant_id": "mug", "quantity": 9}])),
    ("invalid", lambda c, _: c.reserve_stock("", "o\n", [{"variant_id": "", "quantity": -1}], 99_999)),
    ("fulfill unconfirmed", lambda c, ids: c.stock.fulfill_reservation(ORGANIZATION, ids["o1"], request_id="f0")),
    ("confirm wrong order", lambda c, ids: c.confirm_reservation(ORGANIZATION, ids["o1"], "o2")),
    ("confirm", lambda c, ids: c.confirm_reservation(ORGANIZATION, ids["o1"], "o1")),
    ("other organization", lambda c, ids: c.release_reservation("org_2", ids["o1"], "mine")),
    ("fulfill", lambda c, ids: c.stock.fulfill_reservation(ORGANIZATION, ids["o1"], request_id="f1")),
    ("release fulfilled", lambda c, ids: c.release_reservation(ORGANIZATION, ids["o1"], "late")),
    ("info", lambda c, _: c.get_stock_info(ORGANIZATION, "mug")),
    ("import badly", lambda c, _: c.stock.import_stock([{"variant_id": "mug", "total_quantity": -1}], request_id="i1")),
]


def blurred(answer: object) -> object:
    """An answer without its ids and times."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|id-\d+", "<id>", str(answer))
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", text)


async def answers(client: Any) -> list[tuple[str, object]]:
    """What each call says: the message, or the status with its details."""
    said: list[tuple[str, object]] = []
    ids: dict[str, str] = {}
    for name, call in CALLS:
        try:
            answer = await call(client, ids)
            ids.setdefault("o1", getattr(answer, "reservation_id", "") or "unknown") if name == "reserve" else None
            said.append((name, blurred(MessageToDict(answer))))
        except AioRpcError as error:
            details = re.sub(r"retry_delay_s=[0-9.]+", "retry_delay_s=<time>", str(error_details(error)))
            said.append((name, (error.code(), blurred(error.details()), blurred(details))))
    return said


@asynccontextmanager
async def real_server(database: Path) -> AsyncIterator[InventoryClient]:
    store = build_store(f"sqlite+aiosqlite:///{database}")
    supervisor = Supervisor(store, build_sources(), Limits())
    server = RpcServer(supervisor, host="127.0.0.1", port=0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        [address] = await server.start()
        async with InventoryClient("127.0.0.1", address.port, breaker=False) as client:
            yield client
        supervisor.stop()
        await server.stop(1)


def test_the_kit_says_what_a_server_says_over_a_socket_call_by_call(tmp_path: Path) -> None:
    over_socket: list[tuple[str, object]] = []
    in_process: list[tuple[str, object]] = []

    async def ask_server() -> None:
        async with real_server(tmp_path / "stock.db") as client:
            over_socket.extend(await answers(client))

    async def scenario(world: World) -> None:
        in_process.extend(await answers(world.inventory))

    anyio.run(ask_server)
    Simulation().run(scenario)
    assert len(in_process) == len(CALLS)
    for here, there in zip(in_process, over_socket, strict=True):
        assert here == there

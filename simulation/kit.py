"""The test kit: other people's code against a real inventory service, in virtual time, under a seed, with faults.

    def test_paying_late_gives_the_goods_back(simulation):
        async def scenario(world):
            await world.bring({("shirt", "wh_1"): 1})
            reservation = await world.client("shop").reserve_stock("org_1", "order_1", [...], ttl_minutes=1)
            await world.sleep_until_expired(reservation)
            ...

        simulation.run(scenario, seeds=50, faults=("reply_lost", "crash"))

A scenario is a trio or anyio coroutine function. It is run once for each seed; what it raises, and any
guarantee that the service breaks meanwhile, fails the test with the seed in the message.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Literal

import anyio
import grpc
import grpc.aio
from inventory.v1 import inventory_pb2 as pb
from inventory.v1 import stock_pb2

from actors.messages import Confirm, CountedLine, Fulfill, Import, Line, Receive, Release, Reserve
from actors.outcomes import Refusal
from actors.records import ReservationState
from simulation import wire
from simulation.auditor import audit
from simulation.faults import Options, options_of
from simulation.history import Check, ListReservations, ListStock, Request, StockInfo
from simulation.inspection import small_filters
from simulation.runner import no_collector, run_seed, run_virtually
from simulation.schedule import Mode, Schedule
from simulation.world import World
from storage.memory import Disk

Fault = Literal[
    "request_lost", "reply_lost", "duplicate", "late_duplicate", "slow_network", "store_error", "slow_store", "crash"
]
Scenario = Callable[["KitWorld"], Awaitable[None]]

SEEDS = 20
FAULT_RATE = 0.2
CRASH_STEPS_MAX = 400
PAGE_ROWS = 500


class SimulatedClient:
    """InventoryClient's methods, over the simulated network. Refusals raise grpc.aio.AioRpcError, as there."""

    def __init__(self, world: World, name: str, attempts: int) -> None:
        self._world = world
        self._name = name
        self._attempts = attempts
        self.stock = SimulatedStockClient(self)

    async def check_availability(
        self, organization_id: str, variant_id: str, warehouse_id: str, quantity: int, **_: Any
    ) -> pb.CheckAvailabilityResponse:
        answer = await self.ask(Check(organization_id, (Line(variant_id, warehouse_id, quantity),)))
        return wire.availability(answer.lines[0])

    async def check_bulk_availability(
        self, organization_id: str, items: Iterable[Mapping[str, Any]], **_: Any
    ) -> pb.CheckBulkAvailabilityResponse:
        response: pb.CheckBulkAvailabilityResponse = wire.message(await self.ask(Check(organization_id, _lines(items))))
        return response

    async def reserve_stock(
        self,
        organization_id: str,
        order_id: str,
        items: Iterable[Mapping[str, Any]],
        ttl_minutes: int = 15,
        *,
        idempotency_key: str | None = None,
        **_: Any,
    ) -> pb.ReserveStockResponse:
        request = Reserve(organization_id, order_id, _lines(items), ttl_minutes or 15, idempotency_key or "")
        response: pb.ReserveStockResponse = wire.message(await self.ask(request))
        return response

    async def confirm_reservation(
        self, organization_id: str, reservation_id: str, order_id: str, **_: Any
    ) -> pb.ConfirmReservationResponse:
        request = Confirm(organization_id, reservation_id, order_id)
        response: pb.ConfirmReservationResponse = wire.message(await self.ask(request))
        return response

    async def release_reservation(
        self, organization_id: str, reservation_id: str, reason: str, **_: Any
    ) -> pb.ReleaseReservationResponse:
        request = Release(organization_id, reservation_id, reason)
        response: pb.ReleaseReservationResponse = wire.message(await self.ask(request))
        return response

    async def get_stock_info(
        self, organization_id: str, variant_id: str, warehouse_id: str = "", **_: Any
    ) -> pb.GetStockInfoResponse:
        views = await self.ask(StockInfo(organization_id, variant_id, warehouse_id))
        return pb.GetStockInfoResponse(stock_info=wire.stock(views))

    async def close(self, grace_s: float | None = None) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> "SimulatedClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ask(self, request: Request) -> Any:
        """Send a request, again after errors as the client's retry rule does.

        Raises:
            grpc.aio.AioRpcError: it was refused, or all attempts failed.
        """
        operation = await self._world.network.call(self._name, request, self._attempts)
        if operation.answer is None:
            text = "The service did not answer; what was asked may or may not have been done"
            raise wire.failed(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", text, {})
        if isinstance(operation.answer, Refusal):
            raise wire.refused(operation.answer)
        return operation.answer


class SimulatedStockClient:
    """StockClient's methods."""

    def __init__(self, client: SimulatedClient) -> None:
        self._client = client
        self._requests = 0

    def _request_id(self, given: str | None) -> str:
        self._requests += 1
        return given or f"{self._client._name}-{self._requests}"

    async def receive_stock(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_id: str,
        quantity: int,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        **_: Any,
    ) -> stock_pb2.ReceiveStockResponse:
        request_id = self._request_id(request_id)
        request = Receive(organization_id, variant_id, warehouse_id, quantity, request_id, reason, reference)
        response: stock_pb2.ReceiveStockResponse = wire.message(await self._client.ask(request))
        return response

    async def fulfill_reservation(
        self, organization_id: str, reservation_id: str, *, reference: str = "", request_id: str | None = None, **_: Any
    ) -> stock_pb2.FulfillReservationResponse:
        request = Fulfill(organization_id, reservation_id, self._request_id(request_id), reference)
        response: stock_pb2.FulfillReservationResponse = wire.message(await self._client.ask(request))
        return response

    async def import_stock(
        self, lines: Iterable[Mapping[str, Any]], *, request_id: str | None = None, **_: Any
    ) -> stock_pb2.ImportStockResponse:
        counted = tuple(
            CountedLine(
                line["organization_id"],
                line["variant_id"],
                line["warehouse_id"],
                line.get("warehouse_name", ""),
                line["total_quantity"],
                line.get("damaged_quantity", 0),
                line.get("in_transit_quantity", 0),
                line.get("min_stock", 0),
                line.get("max_stock", 0),
                number,
            )
            for number, line in enumerate(lines, 1)
        )
        request = Import(counted, self._request_id(request_id))
        response: stock_pb2.ImportStockResponse = wire.message(await self._client.ask(request))
        return response

    async def list_stock(
        self, organization_id: str, *, variant_id: str = "", warehouse_id: str = "", **_: Any
    ) -> AsyncIterator[pb.StockInfo]:
        after = None
        while True:
            page = await self._client.ask(ListStock(organization_id, variant_id, warehouse_id, after, PAGE_ROWS))
            for row in wire.stock(page.stock):
                yield row
            after = page.next_key
            if after is None:
                return

    async def list_reservations(
        self, organization_id: str, *, state: ReservationState | None = None, order_id: str = "", **_: Any
    ) -> AsyncIterator[stock_pb2.Reservation]:
        before = ""
        while True:
            request = ListReservations(organization_id, state or None, order_id, before, PAGE_ROWS)
            page = await self._client.ask(request)
            for record in page.reservations:
                yield wire.reservation(record)
            before = page.next_before
            if not before:
                return


class KitWorld:
    """What a scenario gets.

    `random` is the scenario's own stream: it is the same for the same seed.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self.seed = seed
        self.random = Random(f"{seed}/scenario")

    def client(self, name: str = "order-service", *, attempts: int = 6) -> SimulatedClient:
        """A client of its own name. `attempts`: how often a call is sent before it fails with UNAVAILABLE."""
        return SimulatedClient(self._world, name, attempts)

    async def bring(self, stock: Mapping[tuple[str, str], int], organization_id: str = "org_1") -> None:
        """Set these totals, by variant and warehouse. No fault hits this."""
        lines = tuple(
            CountedLine(organization_id, variant, warehouse, "", total, 0, 0, 0, 0, number)
            for number, ((variant, warehouse), total) in enumerate(stock.items(), 1)
        )
        calm, self._world.is_calm = self._world.is_calm, True
        await self._world.network.call("kit", Import(lines, f"kit-{len(self._world.history.operations)}"))
        self._world.is_calm = calm

    async def sleep(self, seconds: float) -> None:
        """Virtual time passes, and no real time."""
        await anyio.sleep(seconds)

    async def sleep_until_expired(self, reservation: pb.ReserveStockResponse) -> None:
        """Until the reservation's time is over and its stock is back."""
        at_ms = wire.milliseconds(reservation.expires_at)
        while True:
            server = self._world.server
            assert server is not None
            left_s = server.time.monotonic_s_at(at_ms + 1_100) - anyio.current_time()
            if left_s <= 0:
                return
            await anyio.sleep(left_s)

    async def crash(self) -> None:
        """Kill the service with kill -9, and start it again."""
        await self._world.kill_server()
        await self._world.start_server()

    def stop_faults(self) -> None:
        """From here on nothing goes wrong: for the assertions at the end of a scenario."""
        self._world.is_calm = True


class Simulation:
    """The pytest fixture `simulation`."""

    def run(
        self,
        scenario: Scenario | None = None,
        *,
        seed: int | None = None,
        seeds: int | Sequence[int] = SEEDS,
        faults: Sequence[Fault] = (),
        clients: int | None = None,
        operations: int | None = None,
    ) -> None:
        """Run a scenario, or the kit's own workload, once for each seed.

        Args:
            scenario: an async function of a KitWorld; None: `clients` do `operations` each, and all is audited.
            seed: only this one.
            seeds: how many from 0, or which.
            faults: what may go wrong, by name; each is on in about half of the seeds.

        Raises:
            AssertionError: with the seed; its cause is what the scenario raised.
        """
        chosen = [seed] if seed is not None else range(seeds) if isinstance(seeds, int) else seeds
        for one in chosen:
            if scenario is None:
                result = run_seed(one, options_of(one, clients=clients, operations=operations))
                broken = result.violations
            else:
                broken = self._run_scenario(scenario, one, faults)
            if broken:
                raise AssertionError(f"seed {one}: {broken[0]}")

    def _run_scenario(self, scenario: Scenario, seed: int, faults: Sequence[Fault]) -> tuple[Any, ...]:
        options = _options(seed, faults)
        schedule = Schedule(f"{seed}/schedule/", options.mode)
        worlds: list[World] = []
        failures: list[Exception] = []

        async def main() -> None:
            world = World(str(seed), options, schedule, Disk())
            worlds.append(world)
            with anyio.move_on_after(1_000_000.0):
                async with world.open():
                    world.is_calm = False
                    for step in options.crash_steps:
                        schedule.at_step(schedule.steps + step, world._on_crash_step)
                    world._tasks.start_soon(world._restart_after_crashes)
                    try:
                        await scenario(KitWorld(world, seed))
                    except Exception as failure:  # noqa: BLE001 - it is raised again, with the seed
                        failures.append(failure)

        with no_collector(), small_filters():
            run_virtually(main, schedule)
        if failures:
            raise AssertionError(f"seed {seed}: {failures[0]!r} (again with seed={seed})") from failures[0]
        [world] = worlds
        ended = [operation for operation in world.history.operations if operation.end >= 0]
        return (*world.violations, *audit(ended, world.disk.transactions, 0))


def _lines(items: Iterable[Mapping[str, Any]]) -> tuple[Line, ...]:
    return tuple(Line(item["variant_id"], item.get("warehouse_id") or "", item["quantity"]) for item in items)


def _options(seed: int, faults: Sequence[Fault]) -> Options:
    random = Random(f"{seed}/kit")
    rates: dict[str, Any] = {}
    for fault in faults:
        is_on = random.random() < 0.5
        if fault == "crash":
            steps = sorted(random.randrange(10, CRASH_STEPS_MAX) for _ in range(2))
            rates["crash_steps"] = tuple(steps) if is_on else ()
        elif is_on:
            rates[fault] = FAULT_RATE
    mode: Mode = random.choice(("shuffle", "walk"))
    return Options(mode=mode, dispatch=random.choice(("mixed", "tasks", "inline")), **rates)

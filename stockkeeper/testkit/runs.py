"""Runs scenarios, one seed after another, and says of a failing one how to see it again."""

from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b
from unittest import mock

import anyio
import msgspec
from msgspec import Struct

from actors.exceptions import leaves, only_cause
from simulation import report
from simulation.faults import Backend
from simulation.runner import no_collector, run_seed, run_virtually
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule, check_hooks
from simulation.world.inspection import small_scale
from stockkeeper.testkit.engine import Engine
from stockkeeper.testkit.kit_world import World
from stockkeeper.testkit.requested_faults import (
    Faults,
    Rates,
    rates_of,
    scenario_options,
    standard_options,
)

Scenario = Callable[[World], Awaitable[object]]

STEPS_MAX = 200_000
STEPS_TOLD = 30
ASYNCIO_HINT = "This code needs asyncio, and the simulation runs on trio: simulation.run(..., backend='asyncio')."


class SimulationFailed(AssertionError):
    """A guarantee of the service was broken, or a scenario does not end."""


class Run(Struct, frozen=True):
    """What came of one seed.

    Args:
        trace: of every step, every call and every change, in hex: two runs with the same one were the same run.
        steps: how often a task ran.
        virtual_s: how long it took in the world.
        events: what happened, and to which client, in order; of a scenario only.
    """

    seed: int
    trace: str
    steps: int
    virtual_s: float
    events: tuple[str, ...] = ()


class Simulation:
    """The fixture `simulation`.

    >>> def test_a_mug_is_held_for_its_order(simulation):
    ...     async def scenario(world):
    ...         delivery = [{"variant_id": "mug", "warehouse_id": "main", "quantity": 1}]
    ...         await world.inventory.stock.receive_stock("shop", delivery)
    ...         mug = {"variant_id": "mug", "quantity": 1}
    ...         assert (await world.inventory.reserve_stock("shop", "order-1", [mug])).success
    ...
    ...     simulation.run(scenario, faults=["reply_lost"], seeds=range(10))
    >>> test_a_mug_is_held_for_its_order(Simulation())

    Args:
        seeds: what `run` takes unless it is told otherwise.
        only_seeds: what it takes whatever it is told: what the command line says.
        again: makes the command that runs a seed again.
    """

    def __init__(
        self,
        seeds: Iterable[int] = (0,),
        only_seeds: Iterable[int] | None = None,
        again: Callable[[int], str] = lambda seed: f"simulation.run(..., seed={seed})",
    ) -> None:
        self._seeds = tuple(seeds)
        self._only_seeds = None if only_seeds is None else tuple(only_seeds)
        self._again = again

    def __repr__(self) -> str:
        return f"<Simulation seeds={self._only_seeds or self._seeds}>"

    def run(
        self,
        scenario: Scenario | None = None,
        *,
        seed: int | None = None,
        seeds: Iterable[int] | None = None,
        clients: int | None = None,
        faults: Faults | None = None,
        backend: Backend = "trio",
        steps_max: int = STEPS_MAX,
    ) -> tuple[Run, ...]:
        """Run a scenario in a world of its own for each seed, and audit each. The first that fails ends it.

        Args:
            scenario: `async def scenario(world)`. None: the standard workload, which is clients that call everything on
                few and scarce goods.
            seed, seeds: one or several; by default what the test was parametrized with, or 0.
            clients: how many `world.clients` has, by default 1; or how many the standard workload has, by default the
                seed's choice.
            faults: names, or names with their rates. By default a scenario has none, and the standard workload those
                that the seed chooses.
            backend: what everything runs on. `asyncio` is for code that cannot do without it.
            steps_max: a scenario that takes more is taken for one that never ends.

        Returns:
            A Run for each seed.

        Raises:
            SimulationFailed: the service broke a guarantee, or the scenario does not end.
            BaseException: what the scenario raised, with a note of its seed, its last steps and how to replay it.
            ValueError: the arguments make no sense.

        >>> async def scenario(world):
        ...     await world.sleep(60)
        >>> [(run.seed, run.virtual_s >= 60) for run in Simulation().run(scenario, seeds=range(2))]
        [(0, True), (1, True)]
        """
        if seed is not None and seeds is not None:
            raise ValueError("give a seed or seeds, and not both")
        rates = None if faults is None else rates_of(faults)
        given = self._seeds if seeds is None else tuple(seeds)
        chosen = (given if seed is None else (seed,)) if self._only_seeds is None else self._only_seeds
        if not chosen:
            raise ValueError("there is no seed to run")
        if backend == "trio":
            check_hooks()
        if scenario is None:
            return tuple(self._run_standard(one, clients, rates, backend) for one in chosen)
        number = 1 if clients is None else clients
        return tuple(self._run_scenario(scenario, one, number, rates or {}, backend, steps_max) for one in chosen)

    def _run_standard(self, seed: int, clients: int | None, rates: Rates | None, backend: Backend) -> Run:
        result = run_seed(seed, standard_options(seed, clients, rates), backend=backend)
        if result.failed:
            raise SimulationFailed(f"{report.failure(result, backend=backend)}\nor:\n  {self._again(seed)}")
        return Run(seed, result.trace_hash, result.steps, result.virtual_s)

    def _run_scenario(
        self, scenario: Scenario, seed: int, clients: int, rates: Rates, backend: Backend, steps_max: int
    ) -> Run:
        options = scenario_options(seed, rates)
        kind = Schedule if backend == "trio" else LoopSchedule
        schedule = kind(f"{seed}/schedule/", options.mode)
        attempt = _Attempt(scenario, seed, clients, steps_max)

        async def main() -> None:
            await attempt.run(Engine(str(seed), options, rates, schedule))

        with no_collector(), small_scale():
            run_virtually(main, schedule)
            failure = attempt.failure()
            trace = attempt.trace(schedule)
        if failure is not None:
            failure.add_note(self._note(seed, attempt.engine.events))
            if backend == "trio" and any(map(_needs_asyncio, leaves(failure))):
                failure.add_note(ASYNCIO_HINT)
            raise failure
        return Run(seed, trace, schedule.steps, attempt.ended_s, tuple(attempt.engine.events))

    def _note(self, seed: int, events: list[str]) -> str:
        steps = [f"  {event}" for event in events[-STEPS_TOLD:]]
        left_out = [f"  ({len(events) - len(steps)} earlier ones)"] if len(events) > len(steps) else []
        lines = [f"simulation seed {seed} failed; its last steps:", *left_out, *steps, "again with:"]
        return "\n".join([*lines, f"  {self._again(seed)}"])


def _needs_asyncio(error: BaseException) -> bool:
    """Whether asyncio says that it does not run here, or trio that it was given a future of asyncio."""
    words = ("no running event loop", "no current event loop", "some other framework like asyncio")
    return isinstance(error, RuntimeError | TypeError) and any(it in str(error) for it in words)


class _Attempt:
    """One scenario with one seed."""

    def __init__(self, scenario: Scenario, seed: int, clients: int, steps_max: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._clients = clients
        self._steps_max = steps_max
        self._raised: BaseException | None = None
        self._is_endless = False
        self._world: World
        self.engine: Engine
        self.ended_s = 0.0

    def __repr__(self) -> str:
        return f"<_Attempt seed={self._seed} clients={self._clients} {self._raised or 'nothing raised'}>"

    async def run(self, engine: Engine) -> None:
        self.engine = engine
        with anyio.CancelScope() as whole:
            engine.schedule.at_step(self._steps_max, whole.cancel)
            await engine.run_scenario(self._live)
        self._is_endless = whole.cancelled_caught
        self.ended_s = anyio.current_time()

    async def _live(self) -> bool:
        self._world = World(self.engine, self._seed, self._clients)
        # The client makes request ids with uuid4, and what is random and not the seed's would change the run.
        with mock.patch("stockkeeper_client.request_ids.uuid4", self._world.uuid):
            try:
                await self._scenario(self._world)
            except (anyio.get_cancelled_exc_class(), GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 - raised again, outside of the world; pytest.fail is one
                self._raised = only_cause(error)
                return False
        return True

    def failure(self) -> BaseException | None:
        """What went wrong, if anything did. A broken guarantee goes first: what the scenario met may come of it."""
        if self._is_endless:
            when = f"{self._steps_max} steps and {self.ended_s:,.0f} s of virtual time"
            return SimulationFailed(f"the scenario has not ended after {when}")
        if isinstance(self._raised, KeyboardInterrupt | SystemExit):
            return self._raised
        try:
            self._world.audit()
        except AssertionError as broken:
            if self._raised is None:
                return broken
            broken.__cause__ = self._raised
            return broken
        return self._raised

    def trace(self, schedule: Schedule | LoopSchedule) -> str:
        digest = blake2b(schedule.digest(), digest_size=8)
        digest.update(msgspec.msgpack.encode(self.engine.events))
        digest.update(msgspec.msgpack.encode(self.engine.disk.transactions))
        digest.update(repr(self.ended_s).encode())
        return digest.hexdigest()

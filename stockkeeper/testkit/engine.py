"""The simulated world in which a scenario runs: servers one after another on one disk, and the trouble around them."""

from collections.abc import Awaitable, Callable
from random import Random

import anyio

from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.inspection import look_at
from simulation.world.simulated_server import SimulatedServer
from simulation.world.simulated_world import QUIET_S_MAX, SETTLE_S, SimulatedWorld
from stockkeeper.testkit.front import Front
from stockkeeper.testkit.requested_faults import Fault, Rates
from stockkeeper.testkit.wire import Wire

_LOOKS = 5


class Engine(SimulatedWorld):
    """A world whose clients are code under test.

    Args:
        seed: names its streams of decisions.
        options: what may happen at the servers.
        rates: every fault that was asked for.
        schedule: decides which task runs next.
    """

    def __init__(self, seed: str, options: Options, rates: Rates, schedule: Schedule | LoopSchedule) -> None:
        super().__init__(seed, options, schedule, WatchedDisk())
        self.rates = rates
        self.events: list[str] = []
        self.wire: Wire
        self._fronts: dict[SimulatedServer, Front] = {}
        self._restarts = anyio.Lock()
        self._is_settled = False

    def tell(self, what: str) -> None:
        """Remember what happened, for people and for the trace."""
        self.events.append(f"{self.schedule.now_s():10.3f} s  {what}")

    async def run_scenario(self, scenario: Callable[[], Awaitable[bool]]) -> None:
        """Run it in trouble, then wait for quiet and look whether the server has everything in order.

        Args:
            scenario: returns whether it came to its end; if not, nothing is looked at.
        """
        async with self.open():
            self.wire = Wire(
                self.seed,
                self.rates,
                lambda: self.is_calm,
                self._serving,
                self._front,
                self._crash_in,
                self._tasks,
                self.tell,
            )
            is_over = False
            async with anyio.create_task_group() as trouble:
                trouble.start_soon(self._restart_what_crashed)
                if self.rates.get(Fault.WALL_CLOCK_JUMPS):
                    trouble.start_soon(self._jump_now_and_then)
                if self.options.stall:
                    trouble.start_soon(self._stall_now_and_then)
                self.is_calm = False
                is_over = await scenario()
                if is_over:
                    await self.settle()
                trouble.cancel_scope.cancel()
            if is_over:
                await self.heal()
                await self._look_at_last()

    async def settle(self) -> None:
        """From now on nothing goes wrong; returns when nothing is under way any more."""
        self._is_settled = True
        self.be_calm(True)
        with anyio.move_on_after(QUIET_S_MAX) as patience:
            while self._serving() is None or self.wire.under_way:  # noqa: ASYNC110 - they do not tell
                await anyio.sleep(0.5)
        if patience.cancelled_caught:
            self.fail("G10", "calls never end although nothing goes wrong any more")
        await anyio.sleep(SETTLE_S)

    def be_calm(self, is_calm: bool) -> None:
        """Whether nothing goes wrong for now. After `settle` it stays so."""
        self.is_calm = is_calm or self._is_settled
        if self.is_calm:
            self.schedule.resume()

    async def crash(self, down_s: float) -> None:
        """kill -9, and another process `down_s` seconds later."""
        async with self._restarts:
            self.tell("the server is killed")
            await self._bring_up(down_s)

    def _front(self, server: SimulatedServer) -> Front:
        if server not in self._fronts:
            self._fronts[server] = Front(server, self.history)
        return self._fronts[server]

    def _crash_in(self, server: SimulatedServer, steps: int) -> None:
        def crash() -> None:
            if server is self.server and not server.is_dead and not self.is_calm:
                self.tell("the server crashes")
                self._cut(server)
                self._crash.set()

        self.schedule.at_step(self.schedule.steps + steps, crash)

    async def _restart_what_crashed(self) -> None:
        random = Random(f"{self.seed}/downtime")
        while True:
            await self._crash.wait()
            self._crash = anyio.Event()
            async with self._restarts:
                if self._serving() is None:
                    await self._bring_up(random.random() * random.choice((0.1, 2.0)))

    async def _bring_up(self, down_s: float) -> None:
        await self.kill_server()
        await anyio.sleep(down_s)
        await self.start_server()
        self.tell("a server serves again")

    async def _jump_now_and_then(self) -> None:
        random = Random(f"{self.seed}/wall")
        while True:
            await anyio.sleep(random.random() * 20.0)
            jump_s = random.choice((-3600, -90, -5, 5, 90, 3600))
            if not self.is_calm and random.random() < self.rates[Fault.WALL_CLOCK_JUMPS]:
                self._wall_offset_ms += jump_s * 1_000
                self.tell(f"the wall clock jumps by {jump_s} s")

    async def _stall_now_and_then(self) -> None:
        random = Random(f"{self.seed}/stalls")
        part = self.options.stall
        while True:
            await anyio.sleep(random.random() * 3.0)
            length_s = random.random() * random.choice((0.01, 0.5, 2.0))
            if self.is_calm:
                continue
            self.schedule.stall(lambda name: part in name)
            try:
                await anyio.sleep(length_s)
            finally:
                self.schedule.resume()

    async def _look_at_last(self) -> None:
        assert self.server is not None
        wrong: list[tuple[str, str]] = []
        for _ in range(_LOOKS):
            wrong = list(look_at(self.server.supervisor, self.disk))
            if not wrong:
                return
            await anyio.sleep(1.0)  # a reservation that lives on may expire at this very moment
        for guarantee, sentence in wrong:
            self.fail(guarantee, f"when all calls have ended, {sentence}")

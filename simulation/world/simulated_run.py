"""A run of one seed: a world, its clients, and the phases that they go through.

*Chaos*: clients work, and everything goes wrong that the seed wants. *Quiet*: nothing goes wrong any more, and every
call must end. Then the run looks into the server's memory, before a restart can hide a leak; kills the server; looks
again; repeats what was answered before; and stops the server in order.
"""

from functools import partial
from random import Random

import anyio
import anyio.lowlevel

from actors.commands import Command, DeliveryLine, Line, Receive
from actors.queries import CheckBasket, GetStock, ListStock
from actors.turn import MOMENT_S
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.disks.faulty_store import FaultyStore
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.shop import Shop
from simulation.world.simulated_world import SimulatedWorld
from simulation.world.workload import Client

RUN_S_MAX = 20_000.0  # of virtual time
REPLAYED_MAX = 12


class SimulatedRun(SimulatedWorld):
    """A world with simulated clients.

    Args:
        seed: the number of the run, perhaps with a salt.
        options: what may happen.
        schedule: decides about steps.
        disk: what outlives the processes.
        store_kind: how they reach it.
    """

    steps_max = 200_000

    def __init__(
        self,
        seed: str,
        options: Options,
        schedule: Schedule | LoopSchedule,
        disk: WatchedDisk,
        store_kind: type[FaultyStore] = FaultyStore,
    ) -> None:
        super().__init__(seed, options, schedule, disk, store_kind)
        self.shop = Shop(seed, options)
        self.chaos_steps = 0

    async def run(self) -> None:
        """Go through all phases."""
        with anyio.move_on_after(RUN_S_MAX) as whole:
            self.schedule.at_step(self.steps_max, whole.cancel)
            async with self.open():
                await self.phases()
        if whole.cancelled_caught:
            stuck = [operation for operation in self.history.operations if operation.end < 0]
            if not self.violations:
                self.fail("G10", f"the run does not end; {len(stuck)} calls are open: {stuck[:2]!r}")

    def audited(self) -> list[GuaranteeViolation]:
        """What its own audit finds, of a world that has one."""
        raise NotImplementedError

    async def phases(self) -> None:
        """What happens, one after the other."""
        await self.network.call("importer", self.shop.opening_stock())
        await self.chaos()
        await self.heal()
        if not self.violations:
            self.look("when all calls have ended")
            await self.kill_server()
            await self.start_server()
            await self.ask_again()
            self.look("after a restart")
            await self.stop()

    async def chaos(self) -> None:
        """Let clients work while everything goes wrong that the seed wants."""
        options = self.options
        self.is_calm = False
        began = self.schedule.steps
        for step in options.crash_steps:
            self.schedule.at_step(self.schedule.steps + step, self._on_crash_step)
        async with anyio.create_task_group() as trouble:
            trouble.start_soon(self._restart_after_crashes)
            trouble.start_soon(self._jump_the_wall_clock)
            trouble.start_soon(self._take_over)
            if options.stall:
                trouble.start_soon(self._stall)
            async with anyio.create_task_group() as clients:
                for number in range(options.clients):
                    client = Client(number, self.shop, self.network.call, self._sleep_until_ms)
                    clients.start_soon(client.run)
            trouble.cancel_scope.cancel()
        self.chaos_steps = self.schedule.steps - began

    async def ask_again(self) -> None:
        """Read everything, and repeat some of the requests that were answered before the restart."""
        random = Random(f"{self.seed}/again")
        answered = [
            operation
            for operation in self.history.operations
            if operation.answer is not None and isinstance(operation.request, Command)
        ]
        again = random.sample(answered, min(REPLAYED_MAX, len(answered)))
        for operation in sorted(again, key=lambda o: o.number):
            await self.network.call("again", operation.request)
        for organization in self.shop.organizations:
            await self.network.call("again", ListStock(organization, "", "", None, 1_000))
            for variant in self.shop.variants:
                await self.network.call("again", GetStock(organization, variant, ""))
                await self.network.call("again", CheckBasket(organization, (Line(variant, "", 1),)))
        # An order that stood by hears of the decision with the caller of the change, and its step may come later. What
        # a large one takes of many rows is noted a moment after its answer.
        await anyio.sleep(2 * MOMENT_S)

    async def stop(self) -> None:
        """Stop the server while calls are under way: each of them must get an answer."""
        assert self.server is not None
        server = self.server
        line = DeliveryLine(self.shop.variants[0], self.shop.warehouses[0], 1)
        async with anyio.create_task_group() as calls:
            for organization in self.shop.organizations:
                for n in range(3):
                    request = Receive(organization, (line,), f"last-{n}")
                    calls.start_soon(partial(self.network.call, f"last-{n}", request, attempts_max=1))
            await anyio.lowlevel.checkpoint()
            server.supervisor.stop()
            with anyio.move_on_after(60.0) as patience:
                await server.ended.wait()
            if patience.cancelled_caught:
                self.fail("G10", "the server does not stop")
        if self.disk.owner is not None:
            self.fail("G9", "a server that has stopped still owns the database")

    # ---- what goes wrong ---------------------------------------------------------------------------------------------

    def _on_crash_step(self) -> None:
        if self.server is not None and not self.is_calm:
            self._cut(self.server)
            self._crash.set()

    async def _restart_after_crashes(self) -> None:
        random = Random(f"{self.seed}/downtime")
        while True:
            await self._crash.wait()
            self._crash = anyio.Event()
            if self.server is not None and self.server.serving:
                continue
            await self.kill_server()
            await anyio.sleep(random.random() * random.choice((0.1, 2.0)))
            await self.start_server()

    async def _jump_the_wall_clock(self) -> None:
        random = Random(f"{self.seed}/wall")
        for _ in range(self.options.wall_jumps):
            await anyio.sleep(random.random() * self.options.think_s * self.options.operations / 4)
            jump_s = random.choice((-3600, -90, -5, 5, 90, 3600))
            self._wall_offset_ms += jump_s * 1_000
            self.history.note(f"the wall clock jumps by {jump_s} s")

    async def _stall(self) -> None:
        random = Random(f"{self.seed}/stalls")
        part = self.options.stall
        while True:
            await anyio.sleep(random.random() * 3.0)
            self.schedule.stall(lambda name: part in name)
            try:
                await anyio.sleep(random.random() * random.choice((0.01, 0.5, 2.0)))
            finally:
                self.schedule.resume()

    async def _take_over(self) -> None:
        random = Random(f"{self.seed}/takeover")
        for _ in range(self.options.second_owners):
            await anyio.sleep(random.random() * self.options.think_s * self.options.operations / 4)
            if self.server is not None and self.server.serving:
                self.history.note("a second owner takes over")
                await self.start_server(takes_over=True)

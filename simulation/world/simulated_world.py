"""A world for one seed: a disk, processes that come and go, a wall clock that jumps, a network and its clients.

A run goes through phases: *chaos*, in which clients work and all that the seed wants goes wrong; *quiet*, in
which nothing goes wrong any more, so that everything must come to an end; a look into the server's memory,
before a restart could hide what leaked; a *crash*; the same look again; retries of what was answered before;
and an orderly stop.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from msgspec import Struct

from actors.commands import Confirm, Fulfill, Import, Line, Receive, Release, Reserve
from actors.records import Transaction
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import Check, History, ListStock, StockInfo
from simulation.disks.faulty_store import FaultyStore
from simulation.disks.sqlite_disk import SqliteDisk
from simulation.disks.sqlite_store import SqliteStore
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import LATE_S_MAX, Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.inspection import look_at
from simulation.world.simulated_network import SimulatedNetwork
from simulation.world.simulated_server import SimulatedServer
from simulation.world.workload import Client, Shop
from supervisor.background.housekeeping import RETRY_S

EPOCH_MS = 1_767_225_600_000  # 2026-01-01
RUN_S_MAX = 20_000.0  # of virtual time
STEPS_MAX = 200_000
QUIET_S_MAX = 300.0
SETTLE_S = 5.0  # a slow read that began in chaos still takes its time
LATE_MS_MAX = LATE_S_MAX * 1_000
REPLAYED_MAX = 12


class WorldStatistics(Struct, frozen=True):
    """Counts since the world began.

    Args:
        servers: how many processes were started.
        chaos_steps: how many steps the chaos took; 0 until it is over.
        violations: how many guarantees were seen broken, without the audit.
    """

    servers: int
    chaos_steps: int
    violations: int


class SimulatedWorld:
    """Everything there is, for one seed.

    Args:
        seed: the number of the run, perhaps with a salt.
        options: what may happen.
        schedule: who decides about steps.
        disk: what outlives the processes.
    """

    def __init__(self, seed: str, options: Options, schedule: Schedule | LoopSchedule, disk: WatchedDisk) -> None:
        self.seed = seed
        self.options = options
        self.schedule = schedule
        self.violations: list[GuaranteeViolation] = []
        self.disk = disk
        disk.old_ms = self._old_ms
        self.history = History(schedule.now_s, lambda: schedule.steps)
        self.shop = Shop(seed, options)
        self.server: SimulatedServer | None = None
        self.servers: list[SimulatedServer] = []
        self.is_calm = True
        self.quiet_since_ms = 0
        self.chaos_steps = 0
        self._wall_offset_ms = 0
        self._ids = 0
        self._tasks: TaskGroup
        self.network: SimulatedNetwork
        self._crash = anyio.Event()

    def __repr__(self) -> str:
        state = "calm" if self.is_calm else "chaos"
        return f"<SimulatedWorld {self.seed} {state} servers={len(self.servers)} violations={len(self.violations)}>"

    def statistics(self) -> WorldStatistics:
        return WorldStatistics(len(self.servers), self.chaos_steps, len(self.violations))

    # ---- what the parts need ----------------------------------------------------------------------------------------

    def wall_ms(self) -> int:
        return EPOCH_MS + int(self.schedule.now_s() * 1_000) + self._wall_offset_ms

    def _old_ms(self) -> int:
        """What was over before this service time may be moved out."""
        owner = next(server for server in self.servers if server.store is self.disk.owner)
        return owner.time.now_ms() - self.options.keep_s * 1_000

    def fail(self, guarantee: str, sentence: str) -> None:
        """Something is wrong that needs no audit."""
        self.violations.append(GuaranteeViolation(guarantee, sentence))
        self.history.note(f"VIOLATION of {guarantee}: {sentence}")

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids:06}"

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        async def run() -> None:
            await anyio.sleep(delay_s)
            do()

        self._tasks.start_soon(run)

    def _serving(self) -> SimulatedServer | None:
        server = self.server
        return server if server is not None and server.serving else None

    def _reached(self) -> SimulatedServer | None:
        """Who gets a call: one that was driven out and does not know it yet may still have its callers."""
        driven_out = [server for server in self.servers if server.serving and server is not self.server]
        if driven_out and Random(f"{self.seed}/reached/{self.schedule.steps}").random() < 0.5:
            return driven_out[-1]
        return self._serving()

    def _on_landed(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        self.history.note("disk", transactions)
        if epoch != self.disk.epoch:
            sentence = f"LSN {transactions[0].lsn} is written in epoch {epoch} after epoch {self.disk.epoch} has begun"
            self.fail("G9", sentence)
        for server in self.servers:
            if server.store is self.disk.owner and not server.is_dead and server.serving:
                now_ms = server.time.now_ms()
                if transactions[-1].at_ms > now_ms + 1:
                    self.fail("G7", f"LSN {transactions[-1].lsn} is {transactions[-1].at_ms - now_ms} ms in the future")
                if now_ms - transactions[0].at_ms > LATE_MS_MAX:
                    self.fail("G7", f"LSN {transactions[0].lsn} is {now_ms - transactions[0].at_ms} ms in the past")

    def _on_refused(self, why: str) -> None:
        guarantee = "G3" if why.startswith("LSN") else "G6" if why.startswith("RequestKey") else "G8"
        self.fail(guarantee, f"the disk refuses a batch: {why}")

    # ---- processes --------------------------------------------------------------------------------------------------

    async def start_server(self, *, takes_over: bool = False) -> SimulatedServer:
        """A new process, which serves when this returns."""
        if any(server.is_dead and server.store is self.disk.owner for server in self.servers):
            self.disk.release()  # as the kernel does for whoever dies, also one that died while it started
        name = f"{self.seed}/server-{len(self.servers) + 1}"
        kind = SqliteStore if isinstance(self.disk, SqliteDisk) else FaultyStore
        store = kind(
            self.disk,
            name,
            self.options,
            lambda: self.is_calm,
            self.history.note,
            self._later,
            self._on_landed,
            self._on_refused,
            takes_over=takes_over,
        )
        server = SimulatedServer(
            name,
            store,
            self.options,
            self.wall_ms,
            self.schedule.now_s,
            self._new_id,
            lambda: self.is_calm,
            lambda sentence: self.fail("no bug is met", sentence),
            self.history.note,
        )
        self.servers.append(server)
        before, self.server = self.server, server
        await self._tasks.start(server.run)
        if server.is_dead and self.server is server:
            self.server = self._living_owner() or before
            self._crash.set()
        return server

    def _living_owner(self) -> SimulatedServer | None:
        """Who owns the database: perhaps one that was driven out once and came back."""
        owners = [server for server in self.servers if server.store is self.disk.owner and not server.is_dead]
        return owners[0] if owners else None

    async def kill_server(self) -> None:
        """Kill whoever serves, and have the kernel clean up."""
        server = self.server
        if server is not None:
            self._cut(server)
            await server.ended.wait()
            if self.disk.owner is server.store:
                self.disk.release()

    def _cut(self, server: SimulatedServer) -> None:
        if not server.is_dead:
            self.history.note(f"{server.name} is killed")
            server.kill()

    def _on_crash_step(self) -> None:
        if self.server is not None and not self.is_calm:
            self._cut(self.server)
            self._crash.set()

    # ---- chaos ------------------------------------------------------------------------------------------------------

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

    async def chaos(self) -> None:
        """Clients work while everything goes wrong that the seed wants."""
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

    async def _sleep_until_ms(self, at_ms: int) -> None:
        if self.server is not None:
            await anyio.sleep(min(400.0, max(0.0, self.server.time.monotonic_s_at(at_ms) - anyio.current_time())))

    # ---- quiet ------------------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Nothing goes wrong any more: every call must end, and everything overdue must go."""
        self.is_calm = True
        self.schedule.resume()
        server = self.server
        if server is None or server.is_dead:
            await self.kill_server()
            await self.start_server()
        with anyio.move_on_after(QUIET_S_MAX) as patience:
            while self._serving() is None or self.network.under_way:
                await anyio.sleep(0.5)
                if self.server is not None and self.server.is_dead:
                    self.server = self._living_owner() or self.server
        if patience.cancelled_caught:
            what = "the server does not come back" if self._serving() is None else "calls never end"
            self.fail("G10", f"{what} although nothing goes wrong any more")
            return
        assert self.server is not None
        await anyio.sleep(SETTLE_S)
        self.quiet_since_ms = self.server.time.now_ms()
        with anyio.move_on_after(QUIET_S_MAX):
            while self.disk.active:
                soonest_ms = self.disk.active[0][0]
                if soonest_ms < self.server.time.now_ms() - 1_000:
                    _, _, reservation = self.disk.active[0]
                    late_ms = self.server.time.now_ms() - soonest_ms
                    self.fail("G7", f"{reservation} is overdue for {late_ms} ms and nothing gives its stock back")
                    return
                await self._sleep_until_ms(soonest_ms + 1_050)
        await anyio.sleep(1.0)
        if self.options.keep_s:
            await self._see_what_is_kept()

    async def _see_what_is_kept(self) -> None:
        """What was long over when a step was due must have gone."""
        patience_s = max(self.options.heartbeat_s, RETRY_S) + SETTLE_S
        old_ms = self._old_ms()
        await anyio.sleep(patience_s)
        for at_ms, *what in (*self.disk.ended[:1], *self.disk.answered[:1]):
            if at_ms < old_ms:
                late_ms = self._old_ms() - at_ms
                self.fail("what is over goes", f"{what} should have been moved out {late_ms} ms ago and is still there")

    def look(self, when: str) -> None:
        """Nothing is under way: memory must be empty of holds and agree with the disk."""
        assert self.server is not None
        for sentence in look_at(self.server.supervisor, self.disk):
            self.fail("G2" if "hold" in sentence else "G3", f"{when}, {sentence}")

    async def ask_again(self) -> None:
        """After a restart: reads of everything, and retries of what was answered before."""
        random = Random(f"{self.seed}/again")
        answered = [
            operation
            for operation in self.history.operations
            if operation.answer is not None
            and isinstance(operation.request, Reserve | Confirm | Release | Fulfill | Receive | Import)
        ]
        again = random.sample(answered, min(REPLAYED_MAX, len(answered)))
        for operation in sorted(again, key=lambda o: o.number):
            await self.network.call("again", operation.request)
        for organization in self.shop.organizations:
            await self.network.call("again", ListStock(organization, "", "", None, 1_000))
            for variant in self.shop.variants:
                await self.network.call("again", StockInfo(organization, variant, ""))
                await self.network.call("again", Check(organization, (Line(variant, "", 1),)))

    async def stop(self) -> None:
        """An orderly stop while calls are under way: all of them must get an answer."""
        assert self.server is not None
        server = self.server
        async with anyio.create_task_group() as calls:
            for organization in self.shop.organizations:
                for n in range(3):
                    request = Receive(organization, self.shop.variants[0], self.shop.warehouses[0], 1, f"last-{n}")
                    calls.start_soon(partial(self.network.call, f"last-{n}", request, attempts_max=1))
            await anyio.lowlevel.checkpoint()
            server.supervisor.stop()
            with anyio.move_on_after(60.0) as patience:
                await server.ended.wait()
            if patience.cancelled_caught:
                self.fail("G10", "the server does not stop")
        if self.disk.owner is not None:
            self.fail("G9", "a server that has stopped still owns the database")

    # ---- the whole --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self) -> AsyncIterator["SimulatedWorld"]:
        """A running world with nobody in it."""
        async with anyio.create_task_group() as self._tasks:
            self.network = SimulatedNetwork(
                self.seed,
                self.options,
                lambda: self.is_calm,
                self._reached,
                self.history,
                self._tasks,
                self.fail,
            )
            await self.start_server()
            try:
                yield self
            finally:
                self.is_calm = True
                self.schedule.resume()
                for server in self.servers:
                    server.kill()
                self._tasks.cancel_scope.cancel()

    async def run(self) -> None:
        """All phases."""
        with anyio.move_on_after(RUN_S_MAX) as whole:
            self.schedule.at_step(STEPS_MAX, whole.cancel)
            async with self.open():
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
        if whole.cancelled_caught:
            stuck = [operation for operation in self.history.operations if operation.end < 0]
            if not self.violations:
                self.fail("G10", f"the run does not end; {len(stuck)} calls are open: {stuck[:2]!r}")

"""A world for one seed: a disk, processes that come and go, a wall clock that jumps, and a network.

It has no clients: `simulated_run.py` adds simulated ones, and the test kit's engine adds the user's own code.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from msgspec import Struct

from actors.records import Transaction
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import History
from simulation.disks.faulty_store import FaultyStore
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import LATE_S_MAX, Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.inspection import look_at
from simulation.world.simulated_network import SimulatedNetwork
from simulation.world.simulated_server import SimulatedServer
from supervisor.background.housekeeping import RETRY_S

EPOCH_MS = 1_767_225_600_000  # 2026-01-01
QUIET_S_MAX = 300.0
SETTLE_S = 5.0  # a slow read that began in chaos still takes its time
LATE_MS_MAX = LATE_S_MAX * 1_000


class WorldStatistics(Struct, frozen=True):
    """Counts since the world began.

    Args:
        servers: how many processes were started.
        violations: how many guarantees were seen broken, without the audit.
    """

    servers: int
    violations: int


class SimulatedWorld:
    """Everything that exists in a run but its clients.

    Args:
        seed: the number of the run, perhaps with a salt.
        options: what may happen.
        schedule: decides about steps.
        disk: what outlives the processes.
        store_kind: how they reach it.
    """

    def __init__(
        self,
        seed: str,
        options: Options,
        schedule: Schedule | LoopSchedule,
        disk: WatchedDisk,
        store_kind: type[FaultyStore] = FaultyStore,
    ) -> None:
        self.seed = seed
        self.options = options
        self.schedule = schedule
        self.violations: list[GuaranteeViolation] = []
        self.disk = disk
        self._store_kind = store_kind
        disk.old_ms = self._old_ms
        self.history = History(schedule.now_s, lambda: schedule.steps)
        self.server: SimulatedServer | None = None
        self.servers: list[SimulatedServer] = []
        self.is_calm = True
        self.quiet_since_ms = 0
        self._wall_offset_ms = 0
        self._ids = 0
        self._tasks: TaskGroup
        self.network: SimulatedNetwork
        self._crash = anyio.Event()

    def __repr__(self) -> str:
        state = "calm" if self.is_calm else "chaos"
        return (
            f"<{type(self).__name__} {self.seed} {state} servers={len(self.servers)} violations={len(self.violations)}>"
        )

    def statistics(self) -> WorldStatistics:
        return WorldStatistics(len(self.servers), len(self.violations))

    # ---- what the parts need ----------------------------------------------------------------------------------------

    def wall_ms(self) -> int:
        return EPOCH_MS + int(self.schedule.now_s() * 1_000) + self._wall_offset_ms

    def _old_ms(self) -> int:
        """Housekeeping may move out what was over before this service time."""
        owner = next(server for server in self.servers if server.store is self.disk.owner)
        return owner.time.now_ms() - self.options.keep_s * 1_000

    def fail(self, guarantee: str, sentence: str) -> None:
        """Note a broken guarantee that shows without the audit."""
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
        """The server that gets a call: a server that was driven out and has not noticed may still have callers."""
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
        """Start a process. It serves when this returns, unless it died on the way."""
        if any(server.is_dead and server.store is self.disk.owner for server in self.servers):
            self.disk.release()  # as the kernel does for a dead process, even for one that died as it started
        name = f"{self.seed}/server-{len(self.servers) + 1}"
        store = self._store_kind(
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
        """The owner of the database: perhaps a server that was driven out once and came back."""
        owners = [server for server in self.servers if server.store is self.disk.owner and not server.is_dead]
        return owners[0] if owners else None

    async def kill_server(self) -> None:
        """Kill the server, and clean up as the kernel does."""
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

    async def _sleep_until_ms(self, at_ms: int) -> None:
        if self.server is not None:
            await anyio.sleep(min(400.0, max(0.0, self.server.time.monotonic_s_at(at_ms) - anyio.current_time())))

    # ---- quiet ------------------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """End the chaos: every call must end, and everything overdue must go."""
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
        """Check that housekeeping moved out everything that was old enough when its step was due."""
        patience_s = max(self.options.heartbeat_s, RETRY_S) + SETTLE_S
        old_ms = self._old_ms()
        await anyio.sleep(patience_s)
        for at_ms, *what in (*self.disk.ended[:1], *self.disk.answered[:1]):
            if at_ms < old_ms:
                late_ms = self._old_ms() - at_ms
                self.fail("what is over goes", f"{what} should have been moved out {late_ms} ms ago and is still there")

    def look(self, when: str) -> None:
        """Check the memory while nothing is under way: it must have no holds and agree with the disk."""
        assert self.server is not None
        for guarantee, sentence in look_at(self.server.supervisor, self.disk):
            self.fail(guarantee, f"{when}, {sentence}")

    # ---- the whole --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self) -> AsyncIterator["SimulatedWorld"]:
        """Run the world, without clients, within this block."""
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

"""A cell: its disk, and the processes that own it one after another, as in a world with one database."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from actors.queries import JoinCell
from actors.records import Transaction
from actors.unavailable import Unavailable
from simulation.audit.books_of_cells import CHANGED_ELSEWHERE
from simulation.audit.history import History
from simulation.audit.joint_history import JointHistory
from simulation.disks.entry_owners import owners_of
from simulation.faults import Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.cell_disk import CellDisk
from simulation.world.map_news import MapNews
from simulation.world.simulated_network import SimulatedNetwork
from simulation.world.simulated_run import SimulatedRun
from simulation.world.simulated_server import SimulatedServer
from simulation.world.simulated_world import WorldStatistics

JOINS_EVERY_S = 0.3


class CellSurroundings(NamedTuple):
    """What a cell shares with the other one."""

    seed: str
    schedule: Schedule | LoopSchedule
    history: History
    joint: JointHistory
    network: SimulatedNetwork
    tasks: TaskGroup
    news: MapNews
    fail: Callable[[str, str], None]
    new_id: Callable[[], str]
    on_held: Callable[[], None]


class SimulatedCell(SimulatedRun):
    """A world of its own, but for its network, its callers and its tasks.

    Args:
        name: of the cell.
        around: what is outside of it.
        options: what may happen to it.
    """

    disk: CellDisk

    def __init__(self, name: str, around: CellSurroundings, options: Options) -> None:
        super().__init__(f"{around.seed}/{name}", options, around.schedule, CellDisk(name, around.on_held))
        self.name = name
        self._around = around
        self.history = around.history
        self.network = around.network
        self._tasks = around.tasks

    def __repr__(self) -> str:
        return f"<SimulatedCell {self.name} servers={len(self.servers)} {self.disk!r}>"

    def statistics(self) -> WorldStatistics:
        """What goes wrong here is told to the whole."""
        return WorldStatistics(len(self.servers), 0)

    def fail(self, guarantee: str, sentence: str) -> None:
        self._around.fail(guarantee, f"in {self.name}, {sentence}")

    def reached(self) -> SimulatedServer | None:
        """The process that gets a message: perhaps one that was driven out."""
        return self._reached()

    def _new_id(self) -> str:
        return self._around.new_id()

    def _on_landed(self, epoch: int, transactions: Sequence[Transaction]) -> None:
        super()._on_landed(epoch, transactions)
        for one in transactions:
            for organization_id in sorted(owners_of(one) - {""}):
                if not self.disk.serves(organization_id):
                    held = self.disk.held.get(organization_id)
                    self.fail(CHANGED_ELSEWHERE, f"LSN {one.lsn} ({one.kind}) changes {organization_id}: {held!r}")
        self._around.joint.land(transactions)

    async def follow_the_map(self) -> None:
        """Join each map that comes to the cell."""
        while True:
            server, there = self._serving(), self._around.news.seen_by(self.name)
            is_behind = self.disk.cell is None or self.disk.cell.version < there.version
            if server is not None and is_behind:
                try:
                    query = JoinCell("", self.name, there.version, there.digest)
                    await server.supervisor.answer(query).wait()
                except Unavailable:
                    pass
            await anyio.sleep(JOINS_EVERY_S)

    def begin_trouble(self, trouble: TaskGroup) -> None:
        """Let go wrong what the seed wants, until the group is cancelled."""
        self.is_calm = False
        for step in self.options.crash_steps:
            self.schedule.at_step(self.schedule.steps + step, self._on_crash_step)
        trouble.start_soon(self._restart_after_crashes)
        trouble.start_soon(self._jump_the_wall_clock)
        trouble.start_soon(self._take_over)

    async def revive(self) -> None:
        """End the chaos; a process serves when this returns, or will in a moment."""
        self.is_calm = True
        if self.server is None or self.server.is_dead:
            await self.restart()

    async def restart(self) -> None:
        """Kill the process, and start another one."""
        await self.kill_server()
        await self.start_server()


def options_of_cell(options: Options, number: int) -> Options:
    """The crashes are shared out."""
    return replace(options, crash_steps=options.crash_steps[number::2])

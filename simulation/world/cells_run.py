"""A world with two cells, routers, and programs that move organizations between them.

Each cell is the whole world of one database: its processes are killed, driven out by others and begin again, and its
disk fails. Routers have the map that has come to them, which may be an old one. The programs that move are killed
anywhere, and several run at a time. All of them are the real ones; simulated are the links between them.

In the end a last program moves each organization, which finishes or undoes what the others left. Then all that callers
were answered is audited, for each organization by itself, and what the cells have is compared with what happened.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast
from unittest import mock
from uuid import UUID

import anyio
from msgspec.structs import replace

import stockkeeper.organization_mover
import storage.memory_rows
from actors.changes import ChangesPage
from actors.commands import Import
from actors.queries import Query
from actors.row_changes import Levels
from simulation.audit.auditor import audit
from simulation.audit.books_of_cells import MOVES_END, ONE_CELL, WATCHED, audit_books, audit_watcher
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import Operation, Request
from simulation.audit.joint_history import JointHistory, organization_of
from simulation.disks.faulty_store import FaultyStore
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import Options
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Schedule
from simulation.world.cell_faults import STEPS_OF_A_MOVE, CellFaults, cell_faults
from simulation.world.cell_link import CellLink
from simulation.world.cell_watcher import CellWatcher
from simulation.world.map_news import NAMES, MapNews
from simulation.world.moving_program import MovingProgram
from simulation.world.routed_network import RoutedNetwork
from simulation.world.simulated_cell import CellSurroundings, SimulatedCell, options_of_cell
from simulation.world.simulated_router import SimulatedRouter
from simulation.world.simulated_run import SimulatedRun
from simulation.world.simulated_world import QUIET_S_MAX, WorldStatistics
from simulation.world.workload import Client

ROUTERS = 2
ROWS_A_PAGE = 4
LAST_PAUSE_S = 0.3
WATCH_PAUSE_S = 0.1


class CellsRun(SimulatedRun):
    """A world with cells.

    Args:
        seed, options, schedule, store_kind: as for every world.
        disk: its journal is that of all cells together.
    """

    steps_max = 1_000_000  # watchers, routers and cells ask all the time, while clients may wait for an expiry
    news: MapNews
    cells: dict[str, SimulatedCell]
    routers: list[SimulatedRouter]

    def __init__(
        self,
        seed: str,
        options: Options,
        schedule: Schedule | LoopSchedule,
        disk: WatchedDisk,
        store_kind: type[FaultyStore] = FaultyStore,
    ) -> None:
        super().__init__(seed, options, schedule, disk, store_kind)
        self.joint = JointHistory()
        disk.transactions = self.joint.all
        self.faults = cell_faults(seed)
        self.watchers: list[CellWatcher] = []
        self._programs = self._routers_begun = 0

    def __repr__(self) -> str:
        return f"<CellsRun {self.seed} programs={self._programs} {self.joint!r} violations={len(self.violations)}>"

    def statistics(self) -> WorldStatistics:
        return WorldStatistics(sum(len(cell.servers) for cell in self.cells.values()), len(self.violations))

    # ---- the whole ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self) -> AsyncIterator["CellsRun"]:
        """Run the world, without clients, within this block."""
        moves = mock.patch.object(stockkeeper.organization_mover, "uuid4", self._new_uuid)
        pages = mock.patch.object(storage.memory_rows, "ROWS_A_PAGE", ROWS_A_PAGE)
        with moves, pages:
            async with anyio.create_task_group() as self._tasks:
                await self._build()
                try:
                    yield self
                finally:
                    self.is_calm = True
                    self.schedule.resume()
                    for cell in self.cells.values():
                        for server in cell.servers:
                            server.kill()
                    self._tasks.cancel_scope.cancel()

    async def _build(self) -> None:
        self.news = MapNews(self.seed, self.schedule.now_s, self.faults.old_map_s, lambda: self.is_calm)
        shared = self.seed, self.options, lambda: self.is_calm, self.history, self._tasks, self.fail
        self.network = RoutedNetwork(*shared, lambda: self.routers, self.joint, self._service_ms)
        outside = self.seed, self.schedule, self.history, self.joint, self.network, self._tasks, self.news
        around = CellSurroundings(*outside, self.fail, self._new_id, self._see_one_cell)
        self.cells = {}
        for number, name in enumerate(NAMES):
            self.cells[name] = SimulatedCell(name, around, options_of_cell(self.options, number))
        self.routers = []
        for cell in self.cells.values():
            await cell.start_server()
            self._tasks.start_soon(cell.follow_the_map)
        self.routers = [self._new_router() for _ in range(ROUTERS)]

    async def phases(self) -> None:
        """What happens, one after the other."""
        await self._open_shops()
        await self.chaos()
        await self.heal()
        if not self.violations:
            for cell in self.cells.values():
                await cell.restart()
            await self.ask_again()
            await self._hear_all()
            for cell in self.cells.values():
                cell.look("after a restart")

    def audited(self) -> list[GuaranteeViolation]:
        """What is wrong with the answers, or else with the books."""
        found, levels = list[GuaranteeViolation](), Levels(*self.options.default_levels)
        by_organization: dict[str, list[Operation]] = {one: [] for one in self.joint.of}
        for operation in self.history.operations:
            by_organization.setdefault(organization_of(operation.request), []).append(operation)
        for organization_id, operations in sorted(by_organization.items()):
            found += audit(operations, self.joint.of.get(organization_id, []), 0, levels=levels)
        if found or self.violations:
            return found
        found += audit_books({name: cell.disk for name, cell in self.cells.items()}, self.joint.of, levels)
        for one in self.watchers:
            journal = self.joint.of[one.organization_id]
            found += [
                GuaranteeViolation(WATCHED, what) for what in audit_watcher(one.organization_id, one.heard, journal)
            ]
        return found

    async def _open_shops(self) -> None:
        lines = self.shop.opening_stock().lines
        for organization_id in self.shop.organizations:
            its = tuple([line for line in lines if line.organization_id == organization_id])
            its = its or (replace(lines[0], organization_id=organization_id),)  # no cell claims one of nothing
            watcher = CellWatcher(
                organization_id,
                self._ask_router,
                Random(f"{self.seed}/watcher/{organization_id}"),
                lambda sentence: self.fail(WATCHED, sentence),
            )
            await self._until_answered(Import(its, f"opening-{organization_id}"))
            await watcher.begin()
            self.watchers.append(watcher)

    async def _until_answered(self, request: Request) -> None:
        while (await self.network.call("importer", request)).answer is None:  # noqa: ASYNC110 - routers do not tell
            await anyio.sleep(LAST_PAUSE_S)

    async def chaos(self) -> None:
        """Let clients work, and organizations move, while everything goes wrong that the seed wants."""
        options, began, self.is_calm = self.options, self.schedule.steps, False
        async with anyio.create_task_group() as trouble:
            for cell in self.cells.values():
                cell.begin_trouble(trouble)
            for watcher in self.watchers:
                trouble.start_soon(self._watch, watcher)
            trouble.start_soon(self._change_the_map)
            trouble.start_soon(self._kill_routers)
            if options.stall:
                trouble.start_soon(self._stall)
            async with anyio.create_task_group() as clients:
                if options.moves_killed:
                    clients.start_soon(self._move_and_die)
                for number in range(0 if options.moves_killed else self.faults.movers):
                    clients.start_soon(self._move_about, number)
                for number in range(options.clients):
                    clients.start_soon(Client(number, self.shop, self._call, self._sleep_until_ms).run)
            trouble.cancel_scope.cancel()
        self.chaos_steps = self.schedule.steps - began

    async def heal(self) -> None:
        """End the chaos: every call must end, each move too, and everything overdue must go."""
        self.is_calm = True
        self.schedule.resume()
        for cell in self.cells.values():
            await cell.revive()
        with anyio.move_on_after(QUIET_S_MAX) as patience:
            while self.network.under_way or not self._is_served:  # noqa: ASYNC110 - as above
                await anyio.sleep(LAST_PAUSE_S)
        if patience.cancelled_caught:
            self.fail("G10", "calls never end, or a cell does not come back, although nothing goes wrong any more")
            return
        await self._move_at_last()
        for cell in self.cells.values():
            if not self.violations:
                await cell.heal()
        await self._hear_all()

    @property
    def _is_served(self) -> bool:
        return all(cell.reached() is not None for cell in self.cells.values())

    # ---- moves --------------------------------------------------------------------------------------------------

    async def _move_about(self, number: int) -> None:
        random = Random(f"{self.seed}/mover-{number}")
        for _ in range(self.faults.moves):
            await anyio.sleep(random.random() * self.faults.move_pause_s)
            dies_after = random.randrange(1, STEPS_OF_A_MOVE) if random.random() < self.faults.killed else 0
            organization_id = random.choice(self.shop.organizations)
            if random.random() < self.options.aims_at_expiry:
                await self._wait_for_expiry(organization_id, random)
            await self._move(organization_id, random.choice(NAMES), dies_after)

    async def _wait_for_expiry(self, organization_id: str, random: Random) -> None:
        """So that it is frozen while reservations run out, if some do."""
        times = [
            at_ms for cell in self.cells.values() for at_ms, owner, _ in cell.disk.active if owner == organization_id
        ]
        if times:
            await self._sleep_until_ms(min(times) - int(random.random() * 200))

    async def _move_and_die(self) -> None:
        """Move an organization to where it is not, killed as the options say; what fails otherwise is tried again."""
        organization_id = self.shop.organizations[0]
        for dies_after in self.options.moves_killed:
            became, cell = "is not tried", self._elsewhere(organization_id)
            while became and not became.startswith("is killed"):
                await anyio.sleep(LAST_PAUSE_S)
                became = await self._move(organization_id, cell, dies_after)

    def _elsewhere(self, organization_id: str) -> str:
        return next(name for name, cell in self.cells.items() if not cell.disk.has(organization_id))

    async def _move(self, organization_id: str, cell: str, dies_after: int = 0) -> str:
        self._programs += 1
        name = f"{self.seed}/program-{self._programs}"
        program = MovingProgram(name, self._links(name), dies_after)
        self.history.note(f"{name} moves {organization_id} to {cell}")
        became = await program.run(organization_id, cell)
        self.history.note(f"{name} {became or f'has moved it by {program.messages} messages'}")
        return became

    async def _move_at_last(self) -> None:
        """Each to a cell that the seed chooses: what is begun must be possible to end."""
        random = Random(f"{self.seed}/at last")
        for organization_id in sorted(self.joint.of):
            cell, became = random.choice(NAMES), "is not tried"
            with anyio.move_on_after(QUIET_S_MAX):
                while became := await self._move(organization_id, cell):  # noqa: ASYNC110 - as above
                    await anyio.sleep(LAST_PAUSE_S)
            if became:
                self.fail(MOVES_END, f"{organization_id} cannot be moved to {cell}: {became}")

    def _see_one_cell(self) -> None:
        for organization_id in self.shop.organizations:
            here = [name for name, cell in self.cells.items() if cell.disk.has(organization_id)]
            if len(here) > 1:
                self.fail(ONE_CELL, f"{organization_id} is held by {' and '.join(here)}")

    # ---- what is between ----------------------------------------------------------------------------------------

    def _links(self, name: str) -> dict[str, CellLink]:
        return {
            cell.name: CellLink(f"{name}/{cell.name}", cell.reached, self._tasks, self._faults)
            for cell in self.cells.values()
        }

    def _faults(self) -> CellFaults | None:
        return None if self.is_calm else self.faults

    def _new_router(self) -> SimulatedRouter:
        self._routers_begun += 1
        name = f"{self.seed}/router-{self._routers_begun}"
        return SimulatedRouter(name, self.news, self._links(name), self._tasks)

    def _new_uuid(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def _service_ms(self) -> tuple[int, int]:
        servers = [server for cell in self.cells.values() for server in cell.servers]
        times = [server.time.now_ms() for server in servers if not server.is_dead] or [self.wall_ms()]
        return min(times), max(times)

    async def _sleep_until_ms(self, at_ms: int) -> None:
        servers = [cell.server for cell in self.cells.values() if cell.server is not None]
        if servers:
            await anyio.sleep(min(400.0, max(0.0, servers[0].time.monotonic_s_at(at_ms) - anyio.current_time())))

    async def _call(self, client: str, request: Request) -> Operation:
        """An import of several organizations would be one of each cell: it is made one of the first."""
        if isinstance(request, Import):
            its = request.lines[0].organization_id
            request = replace(request, lines=tuple([one for one in request.lines if one.organization_id == its]))
        return await self.network.call(client, request)

    async def _ask_router(self, query: Query[Any]) -> ChangesPage:
        router = Random(f"{self.seed}/watched/{self.schedule.steps}").choice(self.routers)
        return cast(ChangesPage, await router.inventory.answer(query).wait())

    async def _watch(self, watcher: CellWatcher) -> None:
        random = Random(f"{self.seed}/pauses/{watcher.organization_id}")
        while True:
            await watcher.hear(is_calm=self.is_calm)
            await anyio.sleep(random.random() * (self.options.think_s or WATCH_PAUSE_S))

    async def _hear_all(self) -> None:
        for watcher in self.watchers:
            with anyio.move_on_after(QUIET_S_MAX) as patience:
                while await watcher.hear(is_calm=True):
                    pass
            if patience.cancelled_caught:
                self.fail(WATCHED, f"{watcher!r} does not come to an end")

    async def _change_the_map(self) -> None:
        random = Random(f"{self.seed}/maps")
        for _ in range(self.faults.maps):
            await anyio.sleep(random.random() * 3.0)
            self.news.publish({one: random.choice(NAMES) for one in self.shop.organizations if random.random() < 0.7})

    async def _kill_routers(self) -> None:
        random = Random(f"{self.seed}/routers")
        for _ in range(self.faults.routers):
            await anyio.sleep(random.random() * 3.0)
            place = random.randrange(ROUTERS)
            self.routers[place].is_dead = True
            self.routers[place] = self._new_router()

"""The link between a program and the owner of a cell, as a router and a program that moves an organization have it."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import cell_away, shutting_down
from simulation.world.cell_faults import CellFaults
from simulation.world.simulated_server import SimulatedServer
from supervisor.supervisor import Supervisor

V = TypeVar("V")


class CellLink:
    """`cells.owner_port.Owner`: what was sent goes on, whatever becomes of the program that sent it.

    Args:
        name: names its stream of decisions.
        reached: the process that gets a message; None: none is there.
        tasks: where messages are carried.
        faults: what goes wrong now; None: nothing.
    """

    def __init__(
        self,
        name: str,
        reached: Callable[[], SimulatedServer | None],
        tasks: TaskGroup,
        faults: Callable[[], CellFaults | None],
    ) -> None:
        self._name = name
        self._random = Random(f"{name}/link")
        self._reached = reached
        self._tasks = tasks
        self._faults = faults
        self._messages = 0

    def __repr__(self) -> str:
        return f"<CellLink {self._name} messages={self._messages}>"

    def statistics(self) -> int:
        """Messages that were sent."""
        return self._messages

    @property
    def serving(self) -> bool:
        return self._reached() is not None

    async def ask(self, command: Command) -> Fact:
        return await self._sent(lambda core: core.ask(command)).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        return self._sent(lambda core: core.submit(command).wait())

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._sent(lambda core: core.answer(query).wait())

    def _sent(self, do: Callable[[Supervisor], Awaitable[V]]) -> Reply[V]:
        reply: Reply[V] = Reply()
        self._messages += 1
        self._tasks.start_soon(self._carry, do, reply)
        return reply

    async def _carry(self, do: Callable[[Supervisor], Awaitable[Any]], reply: Reply[Any]) -> None:
        try:
            reply.set(await self._carried(do))
        except Exception as error:  # noqa: BLE001 - it is the program's
            reply.fail(error)

    async def _carried(self, do: Callable[[Supervisor], Awaitable[Any]]) -> Any:
        await self._take_time()
        server = self._reached()
        if server is None:
            raise cell_away()
        if self._breaks():
            raise shutting_down()
        try:
            value = await do(server.supervisor)
        except Exception:
            if server.is_dead:
                raise shutting_down() from None
            raise
        await self._take_time()
        if server.is_dead or self._breaks():
            raise shutting_down()
        return value

    def _breaks(self) -> bool:
        faults = self._faults()
        return faults is not None and self._random.random() < faults.lost

    async def _take_time(self) -> None:
        faults = self._faults()
        if faults is not None and self._random.random() < faults.slow:
            await anyio.sleep(self._random.random() * faults.slow_s)
        else:
            await anyio.lowlevel.checkpoint()

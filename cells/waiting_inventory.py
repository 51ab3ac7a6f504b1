"""The inventory of a cell as its own callers have it: what meets an organization that is frozen waits for a moment.

While an organization is copied to another cell for the last time, its changes are refused as `MOVING`. A router asks
again by itself (`cells.routed_inventory`). For callers of the cell's own server this does the same: for `WAIT_S` at
most, and never past the time at which the caller gives up; then the caller hears UNAVAILABLE with a RetryInfo. Once the
organization is elsewhere the cell says so (`WrongCell`), and once it is thawed the change is carried out. A refusal of
this kind comes before anything is begun, and at once: so a change that does not meet it pays one `try`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import anyio

from actors.actor import StartSoon
from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import MOVING, Unavailable, moving, shutting_down
from cells.asking_again import Pauses, TimeLeft
from cells.owner_port import Owner

V = TypeVar("V")

WAIT_S = 3.0


class WaitingInventoryStatistics(NamedTuple):
    """Changes that wait now, and how many had to since the start."""

    waiting: int
    waited: int


class WaitingInventory:
    """`rpc.inventory_port.Inventory`, before another one.

    Args:
        inventory: refuses what is frozen at once.
        start_soon: starts a task of the server.
        asking: tells of the caller that asks now in how many seconds it gives up.
    """

    def __init__(self, inventory: Owner, start_soon: StartSoon, asking: Callable[[], TimeLeft]) -> None:
        self._inventory = inventory
        self._start_soon = start_soon
        self._asking = asking
        self._waiting = self._waited = 0

    def __repr__(self) -> str:
        return f"<WaitingInventory {self.statistics()} of {self._inventory!r}>"

    def statistics(self) -> WaitingInventoryStatistics:
        return WaitingInventoryStatistics(self._waiting, self._waited)

    @property
    def serving(self) -> bool:
        return self._inventory.serving

    async def ask(self, command: Command) -> Fact:
        try:
            return await self._inventory.ask(command)
        except Unavailable as error:
            if error.reason != MOVING:
                raise
        return await self._begin(command).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        try:
            return self._inventory.submit(command)
        except Unavailable as error:
            if error.reason != MOVING:
                raise
        return self._begin(command)

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._inventory.answer(query)

    def _begin(self, command: Command) -> Reply[Fact]:
        reply: Reply[Fact] = Reply()
        self._waited += 1
        self._start_soon(partial(self._ask_again, command, reply, self._asking()()))
        return reply

    async def _ask_again(self, command: Command, reply: Reply[Fact], time_left_s: float) -> None:
        self._waiting += 1
        error: Exception = moving()
        pauses = Pauses(WAIT_S, time_left_s)
        try:
            while isinstance(error, Unavailable) and error.reason == MOVING and await pauses.after(error):
                try:
                    asked = self._inventory.submit(command)
                except Unavailable as again:
                    error = again
                    continue
                asked.when_done(partial(_pass_on, asked, reply))
                return
            reply.fail(error)
        except anyio.get_cancelled_exc_class():
            reply.fail(shutting_down())
            raise
        finally:
            self._waiting -= 1


def _pass_on(asked: Reply[Fact], reply: Reply[Fact]) -> None:
    try:
        reply.set(asked.result())
    except Exception as error:  # noqa: BLE001 - it is the caller's
        reply.fail(error)

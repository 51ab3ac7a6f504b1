"""The inventory as a router has it: each command and query goes to the owner of its organization's cell.

A router keeps nothing that was acknowledged and decides nothing. What it adds to a link is that it asks again: where
the owner is away, fails over or does not hold the organization, for `wait_s` at most, and never past the time at which
the caller gives up: shortly before that the caller hears UNAVAILABLE. To ask again is what a caller would do with that,
and as safe: an order finds its reservation, a key its answer (tests/cells/test_asking_again.py has every command). An
answer that is given is the owner's own, behind its lease.

It may ask for a caller that has given up meanwhile. So does any server: a call that is given up may still be carried
out.

An import of several cells is decided in each of them by itself: see `cells.routed_imports`.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple, TypeVar

import anyio

from actors.actor import StartSoon
from actors.cell_records import WrongCell
from actors.commands import Command, DropStaged, Import, ImportStaged, StageLines
from actors.named_organizations import named_organizations
from actors.outcomes import Fact, Refused
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import Unavailable, shutting_down, too_many
from cells.asking_again import Pauses, TimeLeft, final, kept, never, passes
from cells.owner_port import Owner
from cells.routed_imports import RoutedImports
from cells.whereabouts import Whereabouts

V = TypeVar("V")


class RoutedInventoryStatistics(NamedTuple):
    """Requests that are asked again now, times that one was, imports that are under way in parts, and answers of a cell
    that it does not hold the organization."""

    waiting: int
    asked_again: int
    uploads: int
    wrong_cell: int = 0


class RoutedInventory:
    """`rpc.inventory_port.Inventory`, over several owners.

    Args:
        whereabouts: finds the cell of an organization.
        owner_of: the owner of a cell. Raises `Unavailable`: there is none now.
        owners: all of them.
        start_soon: starts a task of the router.
        wait_s: how long a request is asked again, in seconds.
        waiting_max: how many may be, at once.
        asking: tells of the caller that asks now in how many seconds it gives up.
    """

    def __init__(
        self,
        whereabouts: Whereabouts,
        owner_of: Callable[[str], Owner],
        owners: Callable[[], Collection[Owner]],
        start_soon: StartSoon,
        wait_s: float,
        waiting_max: int,
        asking: Callable[[], TimeLeft] = lambda: never,
    ) -> None:
        self._whereabouts = whereabouts
        self._owner_of = owner_of
        self._owners = owners
        self._start_soon = start_soon
        self._wait_s = wait_s
        self._waiting_max = waiting_max
        self._asking = asking
        self._waiting = self._asked_again = self._wrong_cell = 0
        self._imports = RoutedImports(whereabouts, owner_of, wait_s, asking)

    def __repr__(self) -> str:
        return f"<RoutedInventory {self.statistics()} {self._whereabouts!r}>"

    def statistics(self) -> RoutedInventoryStatistics:
        return RoutedInventoryStatistics(
            self._waiting, self._asked_again, self._imports.statistics().uploads, self._wrong_cell
        )

    @property
    def serving(self) -> bool:
        """Whether some cell is served: callers of another one wait, and are not sent to another router."""
        return any(owner.serving for owner in self._owners())

    async def ask(self, command: Command) -> Fact:
        if isinstance(command, Import | ImportStaged):
            return await self._imports.ask(command)
        return await self.submit(command).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        if isinstance(command, StageLines | DropStaged):
            reply: Reply[Fact] = Reply()
            self._start_soon(partial(self._stage, command, reply))
            return reply
        [organization_id] = named_organizations(command)
        return self._begin(organization_id, lambda owner: owner.submit(command))

    def answer(self, query: Query[V]) -> Reply[V]:
        if query.organization_id:
            return self._begin(query.organization_id, lambda owner: owner.answer(query))
        owners = self._owners()
        if len(owners) == 1:
            return next(iter(owners)).answer(query)
        reply: Reply[V] = Reply()
        reply.fail(Refused(WrongCell("", "", 0)))
        return reply

    # ---- one organization -------------------------------------------------------------------------------------------

    def _begin(self, organization_id: str, send: Callable[[Owner], Reply[V]]) -> Reply[V]:
        asked = _Asked(organization_id, send, Reply(), self._asking())
        try:
            given = send(self._owner_of(self._whereabouts.likely(organization_id)))
        except Unavailable as error:
            self._wait(asked, error)
        else:
            given.when_done(partial(self._on_answer, asked, given))
        return asked.reply

    def _on_answer(self, asked: "_Asked", given: Reply[V]) -> None:
        """On the stack of the link that brought it."""
        try:
            value = given.result()
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self._wait(asked, error)
        else:
            asked.reply.set(value)

    def _wait(self, asked: "_Asked", error: Exception) -> None:
        """Ask again, if that can help."""
        self._wrong_cell += isinstance(error, Refused) and isinstance(error.refusal, WrongCell)
        if not passes(error):
            asked.reply.fail(error)
        elif self._waiting >= self._waiting_max:
            asked.reply.fail(too_many("calls"))
        else:
            self._waiting += 1
            self._start_soon(partial(self._ask_again, asked, error))

    async def _ask_again(self, asked: "_Asked", error: Exception) -> None:
        pauses, reply = Pauses(self._wait_s, asked.time_left_s()), asked.reply
        try:
            with anyio.move_on_at(pauses.gives_up_at_s):
                while passes(error) and await pauses.after(error):
                    try:
                        self._asked_again += 1
                        is_wrong = isinstance(error, Refused)
                        find = self._whereabouts.find if is_wrong else self._likely
                        reply.set(await asked.send(self._owner_of(await find(asked.organization_id))).wait())
                        return
                    except Exception as again:  # noqa: BLE001 - as above
                        error = kept(error, again)
            reply.fail(final(error))
        finally:
            self._waiting -= 1
            if not reply.is_done:
                reply.fail(shutting_down())

    async def _stage(self, command: StageLines | DropStaged, reply: Reply[Fact]) -> None:
        try:
            reply.set(await self._imports.stage(command))
        except Exception as error:  # noqa: BLE001 - as above
            reply.fail(error)
        finally:
            if not reply.is_done:
                reply.fail(shutting_down())

    async def _likely(self, organization_id: str) -> str:
        return self._whereabouts.likely(organization_id)


class _Asked(NamedTuple):
    """What was asked, and for whom."""

    organization_id: str
    send: Callable[[Owner], Reply[Any]]
    reply: Reply[Any]
    time_left_s: TimeLeft

"""The inventory as a router has it: each command and query goes to the owner of its organization's cell.

A router keeps nothing that was acknowledged and decides nothing. What it adds to a link is that it asks again: where
the owner is away, fails over or does not hold the organization, for `wait_s` at most, and never past the time at which
the caller gives up: shortly before that the caller hears UNAVAILABLE. To ask again is what a caller would do with that,
and as safe: an order finds its reservation, a key its answer (tests/cells/test_asking_again.py has every command). An
answer that is given is the owner's own, behind its lease.

It may ask for a caller that has given up meanwhile. So does any server: a call that is given up may still be carried
out.

An import is of one cell. One over several would be decided in each of them by itself, and no answer of the contract
says that a part of it was done.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from math import inf
from typing import Any, NamedTuple, TypeVar

import anyio

from actors.actor import StartSoon
from actors.cell_records import WrongCell
from actors.commands import AnyImport, Command, CountedLine, DropStaged, Import, ImportStaged, StageLines
from actors.named_organizations import named_organizations
from actors.outcomes import Fact, ImportRejected, Refused, RefusedLine
from actors.queries import Query
from actors.reply import Reply
from actors.staged_rows import StagedDropped
from actors.unavailable import (
    CELL_AWAY,
    CELLS_DISAGREE,
    MOVING,
    Unavailable,
    cell_away,
    moving,
    shutting_down,
    too_many,
)
from cells.owner_port import Owner
from cells.whereabouts import Whereabouts

V = TypeVar("V")
TimeLeft = Callable[[], float]

PASSING = {"SHUTTING_DOWN", "STORAGE_DOWN", "STANDING_BY", MOVING, CELL_AWAY, CELLS_DISAGREE}
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 0.5
MARGIN_MIN_S, MARGIN_MAX_S, MARGIN = 0.05, 1.0, 0.2  # of the time that a caller has left: for the answer to arrive
LINES_NAMED_MAX = 1_000


class RoutedInventoryStatistics(NamedTuple):
    """Requests that are asked again now, times that one was, and imports that are under way in parts."""

    waiting: int
    asked_again: int
    uploads: int


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
        asking: Callable[[], TimeLeft] = lambda: _never,
    ) -> None:
        self._whereabouts = whereabouts
        self._owner_of = owner_of
        self._owners = owners
        self._start_soon = start_soon
        self._wait_s = wait_s
        self._waiting_max = waiting_max
        self._asking = asking
        self._waiting = self._asked_again = 0
        self._uploads: dict[str, str] = {}  # the cell of each large import

    def __repr__(self) -> str:
        return f"<RoutedInventory {self.statistics()} {self._whereabouts!r}>"

    def statistics(self) -> RoutedInventoryStatistics:
        return RoutedInventoryStatistics(self._waiting, self._asked_again, len(self._uploads))

    @property
    def serving(self) -> bool:
        """Whether some cell is served: callers of another one wait, and are not sent to another router."""
        return any(owner.serving for owner in self._owners())

    async def ask(self, command: Command) -> Fact:
        if isinstance(command, Import | ImportStaged):
            return await self._import(command)
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
        if not _passes(error):
            asked.reply.fail(error)
        elif self._waiting >= self._waiting_max:
            asked.reply.fail(too_many("calls"))
        else:
            self._waiting += 1
            self._start_soon(partial(self._ask_again, asked, error))

    async def _ask_again(self, asked: "_Asked", error: Exception) -> None:
        pauses, reply = _Pauses(self._wait_s, asked.time_left_s()), asked.reply
        try:
            with anyio.move_on_at(pauses.gives_up_at_s):
                while _passes(error) and await pauses.after(error):
                    try:
                        self._asked_again += 1
                        is_wrong = isinstance(error, Refused)
                        find = self._whereabouts.find if is_wrong else self._likely
                        reply.set(await asked.send(self._owner_of(await find(asked.organization_id))).wait())
                        return
                    except Exception as again:  # noqa: BLE001 - as above
                        error = _kept(error, again)
            reply.fail(_final(error))
        finally:
            self._waiting -= 1
            if not reply.is_done:
                reply.fail(shutting_down())

    async def _likely(self, organization_id: str) -> str:
        return self._whereabouts.likely(organization_id)

    # ---- imports ----------------------------------------------------------------------------------------------------

    async def _import(self, command: AnyImport) -> Fact:
        if isinstance(command, ImportStaged):
            return await self._import_staged(command)
        pauses, error = _Pauses(self._wait_s, self._asking()()), Exception()
        with anyio.move_on_at(pauses.gives_up_at_s):
            while await pauses.after(error):
                try:
                    return await self._owner_of(await self._cell_of_lines(command.lines)).ask(command)
                except (Refused, Unavailable) as again:
                    if not _passes(again):
                        raise
                    error = again
        raise _final(error) if isinstance(error, Refused | Unavailable) else cell_away()

    async def _import_staged(self, command: ImportStaged) -> Fact:
        """Once: with an owner that is gone, what was staged is gone too."""
        try:
            return await self._owner_of(self._uploads[command.import_id]).ask(command)
        except Refused as refused:
            if isinstance(refused.refusal, WrongCell):
                raise moving() from None
            raise

    async def _stage(self, command: StageLines | DropStaged, reply: Reply[Fact]) -> None:
        try:
            if isinstance(command, StageLines):
                home = await self._cell_of_lines(command.lines, self._uploads.get(command.import_id, ""))
                self._uploads[command.import_id] = home
                reply.set(await self._owner_of(home).submit(command).wait())
            else:
                reply.set(await self._drop(command))
        except Exception as error:  # noqa: BLE001 - as above
            reply.fail(error)
        finally:
            if not reply.is_done:
                reply.fail(shutting_down())

    async def _drop(self, command: DropStaged) -> Fact:
        home = self._uploads.pop(command.import_id, "")
        return await self._owner_of(home).submit(command).wait() if home else StagedDropped()

    async def _cell_of_lines(self, lines: Collection[CountedLine], home: str = "") -> str:
        """The cell of them all. Raises `Refused` if there are several."""
        cells: dict[str, str] = {}
        for line in lines:
            if line.organization_id not in cells:
                cells[line.organization_id] = await self._whereabouts.sure(line.organization_id)
        home = home or next(iter(cells.values()))
        if set(cells.values()) != {home}:
            raise Refused(_of_several_cells(lines, cells, home))
        return home


class _Asked(NamedTuple):
    """What was asked, and for whom."""

    organization_id: str
    send: Callable[[Owner], Reply[Any]]
    reply: Reply[Any]
    time_left_s: TimeLeft


class _Pauses:
    """Those between two tries.

    Args:
        wait_s: for how long there are any.
        time_left_s: in which the caller gives up.
    """

    def __init__(self, wait_s: float, time_left_s: float) -> None:
        now_s = anyio.current_time()
        margin_s = min(max(MARGIN * time_left_s, MARGIN_MIN_S), MARGIN_MAX_S)
        self.gives_up_at_s = now_s + time_left_s - margin_s
        self._until_s = min(now_s + wait_s, self.gives_up_at_s)
        self._pause_s = 0.0

    def __repr__(self) -> str:
        return f"<_Pauses {self._pause_s:g} s>"

    def statistics(self) -> float:
        """The next one, in seconds."""
        return self._pause_s

    async def after(self, error: Exception) -> bool:
        """Wait for the next try, the first of which is at once; False: there is no time for another."""
        pause_s, self._pause_s = self._pause_s, min(max(2 * self._pause_s, PAUSE_MIN_S), PAUSE_MAX_S)
        if isinstance(error, Unavailable):
            pause_s = max(pause_s, PAUSE_MIN_S)
        if anyio.current_time() + pause_s > self._until_s:
            return False
        await anyio.sleep(pause_s)
        return True


def _never() -> float:
    return inf


def _passes(error: Exception) -> bool:
    """Whether asking again can help."""
    if isinstance(error, Refused):
        return isinstance(error.refusal, WrongCell)
    return isinstance(error, Unavailable) and error.reason in PASSING


def _kept(before: Exception, error: Exception) -> Exception:
    """A cell that did not hold the organization is looked for until it is found."""
    return before if isinstance(before, Refused) and isinstance(error, Unavailable) and _passes(error) else error


def _final(error: Exception) -> Exception:
    """What the caller is told in the end: that no cell is right is no answer, since one will be."""
    return moving() if isinstance(error, Refused) and isinstance(error.refusal, WrongCell) else error


def _of_several_cells(lines: Iterable[CountedLine], cells: dict[str, str], home: str) -> ImportRejected:
    bad = [line for line in lines if cells[line.organization_id] != home]
    named = tuple(
        RefusedLine(
            line.line_number,
            f"organization {line.organization_id} is in cell {cells[line.organization_id]}, and others are in {home}:"
            " import them one by one",
        )
        for line in bad[:LINES_NAMED_MAX]
    )
    return ImportRejected(named, len(bad))

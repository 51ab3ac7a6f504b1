"""Moves an organization from one cell to another, while both serve: see `supervisor/moving.py` for why that is safe."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import anyio
import anyio.lowlevel
from msgspec import Struct

from actors.cell_records import CellAnswer
from actors.organization_moves import (
    WHOLE,
    MoveAnswer,
    MoveStep,
    OrganizationRows,
    OrganizationTally,
    Place,
    Span,
    Value,
)
from actors.organization_stays import NO_SHIFT, Shift, Stay
from actors.queries import (
    AuditOrganization,
    FindOrganization,
    MoveOrganization,
    Query,
    ReadOrganization,
    TallyOrganization,
    WriteOrganization,
)
from actors.unavailable import Unavailable
from cells.owner_port import Owner
from storage.sql.organization_copy import NotTheSame, compare_tallies, copy_rows

V = TypeVar("V")

SERVES_WITHIN_S = 60.0
PAUSE_S = 0.05
RENEW_EVERY_S = 2.0
FEW_ROWS = 2_000  # that have changed meanwhile: they wait for no other round
ROUNDS_MAX = 5


class NotMoved(Exception):
    """Its text is a sentence for the operator, without its end."""


class MovedOrganization(Struct, frozen=True):
    """What was done.

    Args:
        source: the cell that it left; empty: it was there already.
        rows: that were copied.
        figures: that the audit counted.
        frozen_s: how long its changes waited, in seconds.
        is_dropped: whether the old cell has deleted its rows.
        seconds: in all.
    """

    source: str
    rows: int
    figures: Sequence[int]
    frozen_s: float
    is_dropped: bool
    seconds: float = 0.0


class _OwnerRows:
    """An organization's rows, at the other end of an owner's link."""

    def __init__(self, mover: "OrganizationMover", cell: str, move_id: str) -> None:
        self._mover = mover
        self._cell = cell
        self._move_id = move_id

    def __repr__(self) -> str:
        return f"<_OwnerRows in {self._cell}>"

    async def read(self, table: str, after: Place | None, span: Span, *, keys_only: bool = False) -> OrganizationRows:
        query = ReadOrganization(self._mover.organization_id, table, after, span, keys_only)
        return await self._mover.ask(self._cell, query)

    async def write(self, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()) -> None:
        query = WriteOrganization(self._mover.organization_id, self._move_id, table, rows, keys)
        if not (await self._mover.ask(self._cell, query)).is_done:
            raise NotMoved("another program moves it at the same time, or this one was silent for too long")

    async def tally(self, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        return await self._mover.ask(self._cell, TallyOrganization(self._mover.organization_id, table, shift))


class OrganizationMover:
    """One try.

    Args:
        owners: of all cells, by name.
        organization_id: what to move.
        cell: where to.
    """

    def __init__(self, owners: Mapping[str, Owner], organization_id: str, cell: str) -> None:
        self._owners = owners
        self.organization_id = organization_id
        self._cell = cell
        self._move_id = uuid4().hex
        self._frozen_at_s: float | None = None

    def __repr__(self) -> str:
        return f"<OrganizationMover of {self.organization_id} to {self._cell}>"

    def statistics(self) -> str:
        """The id of this try."""
        return self._move_id

    async def run(self) -> MovedOrganization:
        """Move it, or finish what an earlier try began.

        Raises:
            NotMoved: it cannot be, or not now.
            Unavailable: a cell is away. Run it again.
        """
        began_s = anyio.current_time()
        there = {name: await self.ask(name, FindOrganization(self.organization_id)) for name in self._owners}
        if _state(there[self._cell]) == "serving":
            return MovedOrganization("", 0, (), 0.0, await self._dropped())
        source = self._source(there)
        move, came = there[self._cell].move, there[source].move
        if _state(there[source]) == "gone" and came is not None and came.cell != self._cell:
            await OrganizationMover(self._owners, self.organization_id, came.cell).run()  # first what was begun
            return await self.run()
        if source == self._cell:
            await self._must(source, "thaw", came.move_id if came is not None else "")
            return MovedOrganization("", 0, (), 0.0, await self._dropped())
        rows, figures = 0, tuple[int, ...]()
        if _state(there[source]) == "gone" and move is not None and came is not None and move.move_id == came.move_id:
            await self._serve(move.move_id)  # an earlier try came as far as that
        else:
            async with beside(partial(self._renew, source)):
                rows, figures = await self._brought(source, there[source])
        frozen_s = anyio.current_time() - (self._frozen_at_s or began_s)
        is_dropped = await self._dropped()
        return MovedOrganization(source, rows, figures, frozen_s, is_dropped, anyio.current_time() - began_s)

    async def ask(self, cell: str, query: Query[V]) -> V:
        """What the owner of a cell answers. Raises `Unavailable`."""
        return await self._owners[cell].answer(query).wait()

    def _source(self, there: Mapping[str, CellAnswer]) -> str:
        for name, answer in there.items():
            if _state(answer) in ("serving", "frozen"):
                return name
        for name, answer in there.items():
            if _state(answer) == "gone" and answer.move is not None and answer.move.way == "leaving":
                return name
        raise NotMoved("no cell holds it")

    async def _renew(self, source: str) -> None:
        """Give signs of life. What comes of them, the next step says."""
        while True:
            await anyio.sleep(RENEW_EVERY_S)
            for name in (source, self._cell):
                with suppress(Unavailable):
                    await self.ask(name, MoveOrganization(self.organization_id, "renew", self._move_id))

    async def _brought(self, source: str, there: CellAnswer) -> tuple[int, tuple[int, ...]]:
        """Copy and prove it, and have the new cell serve it. What fails before leaves the organization where it was."""
        try:
            early = await self._copied_early(source) if _state(there) == "serving" else None
            if _state(there) == "gone":
                await self._must(self._cell, "receive", self._move_id)  # from here on no earlier try can end
            self._frozen_at_s = anyio.current_time()
            seen = there.move.move_id if there.move is not None else ""
            frozen = await self._must(source, "freeze", self._move_id, self._cell, seen)
            found = await self._copied(source, frozen.stays, early)
        except (NotMoved, NotTheSame, Unavailable) as error:
            thawed = await self.ask(source, MoveOrganization(self.organization_id, "thaw", self._move_id))
            if isinstance(error, Unavailable):
                raise
            raise NotMoved(f"{error}; it is served by {source} as before" if thawed.is_done else str(error)) from None
        await self._must(source, "leave", self._move_id)
        await self._serve(self._move_id)
        return found

    async def _copied_early(self, source: str) -> "_Early":
        """Copy while it is served; what has changed meanwhile is little in the end, unless very much does."""
        begun = await self._must(source, "begin", self._move_id)
        early = _Early(await self._received(source, begun.stays), _end_of(begun.stays), 0)
        await self._cleared()
        await copy_rows(*self._ends(source), early.shift, Span(None, early.upto_lsn))
        audited, _ = await self._audited(0, is_early=True)
        for _ in range(ROUNDS_MAX):
            marked = await self._must(source, "mark", self._move_id)
            span = Span(early.upto_lsn, _end_of(marked.stays))
            early = _Early(early.shift, _end_of(marked.stays), audited)
            if await copy_rows(*self._ends(source), early.shift, span) <= FEW_ROWS:
                break
        return early

    async def _copied(self, source: str, stays: Sequence[Stay], early: "_Early | None") -> tuple[int, tuple[int, ...]]:
        """Copy what is left of what is frozen: how many rows there are, and what the audit counted."""
        shift = await self._received(source, stays)
        if early is not None and shift != early.shift:
            early = None  # its history has outgrown its place, and has got another one
        if early is None:
            await self._cleared()
        span = WHOLE if early is None else Span(early.upto_lsn, _end_of(stays))
        await copy_rows(*self._ends(source), shift, span)
        rows = await compare_tallies(*self._ends(source), shift)
        _, figures = await self._audited(0 if early is None else early.audited)
        return rows, figures

    def _ends(self, source: str) -> tuple[_OwnerRows, _OwnerRows]:
        return _OwnerRows(self, source, self._move_id), _OwnerRows(self, self._cell, self._move_id)

    async def _received(self, source: str, stays: Sequence[Stay]) -> Shift:
        query = MoveOrganization(self.organization_id, "receive", self._move_id, source, "", stays)
        received = await self.ask(self._cell, query)
        if not received.is_done:
            raise NotMoved(f"{self._cell} does not take it")
        return received.shift

    async def _cleared(self) -> None:
        while (cleared := (await self._must(self._cell, "clear", self._move_id)).cleared) == "some":
            pass
        if cleared == "needed":
            raise NotMoved(f"a relay of {self._cell} has not passed on what happened there before")

    async def _audited(self, begin: int, *, is_early: bool = False) -> tuple[int, tuple[int, ...]]:
        """See that what has come agrees with itself: early, what only grows; later, the rest. Returns the part at which
        the rest begins, and what was counted.
        """
        part = begin
        while True:
            found = await self.ask(self._cell, AuditOrganization(self.organization_id, part))
            end = found.of_history if is_early else found.parts
            if part >= end:
                return part, ()
            if found.disagreement:
                raise NotMoved(f"in {self._cell} it does not agree with itself: {found.disagreement}")
            part += 1
            if part == end:
                return part, tuple(found.figures)

    async def _serve(self, move_id: str) -> None:
        """The cell reads its memory anew, and its answer may be lost with it."""
        query, until_s = FindOrganization(self.organization_id), anyio.current_time() + SERVES_WITHIN_S
        while anyio.current_time() < until_s:
            try:
                await self._must(self._cell, "serve", move_id)
                if _state(await self.ask(self._cell, query)) == "serving":
                    return
            except Unavailable:
                pass
            await anyio.sleep(PAUSE_S)
        raise NotMoved(f"{self._cell} has it, and does not answer: run this again")

    async def _dropped(self) -> bool:
        """Delete what other cells still have of it. Returns False where a relay needs that."""
        is_dropped = True
        for name in self._owners:
            there = await self.ask(name, FindOrganization(self.organization_id))
            if name == self._cell:
                continue  # any other cell may have rows of a try that was given up, and know nothing more of it
            seen = there.move.move_id if there.move is not None else ""
            while (cleared := (await self._must(name, "drop", "", "", seen)).cleared) == "some":
                await anyio.lowlevel.checkpoint()  # others' batches are next
            is_dropped &= cleared == "all"
        return is_dropped

    async def _must(self, cell: str, step: MoveStep, move_id: str, other: str = "", seen: str = "") -> MoveAnswer:
        answer = await self.ask(cell, MoveOrganization(self.organization_id, step, move_id, other, seen))
        if not answer.is_done:
            raise NotMoved(f"{cell} does not {step} it: another program moves it at the same time")
        return answer


class _Early(NamedTuple):
    """What was copied while it was served: by how much its LSNs are shifted, up to where it is whole, and how many
    parts of the audit have seen it.
    """

    shift: Shift
    upto_lsn: int
    audited: int


def _end_of(stays: Sequence[Stay]) -> int:
    """The newest LSN of the database where it is; that stay is the last."""
    return stays[-1].upto_lsn


@asynccontextmanager
async def beside(run: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Have something run for the length of a block, out of which what is raised comes as it is."""
    failed = list[BaseException]()

    async def run_on() -> None:
        try:
            await run()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - as below
            failed.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_on)
        try:
            yield
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again, in no group
            failed.append(error)
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]


def _state(answer: CellAnswer) -> str:
    return "" if answer.held is None else answer.held.state

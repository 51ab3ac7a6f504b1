"""Moves an organization from one cell to another, while both serve: see `supervisor/moving.py` for why that is safe."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import uuid4

import anyio
import anyio.lowlevel
from msgspec import Struct

from actors.cell_records import CellAnswer
from actors.organization_moves import MoveAnswer, MoveStep, OrganizationRows, Place, Value
from actors.organization_stays import Stay
from actors.queries import (
    AuditOrganization,
    FindOrganization,
    MoveOrganization,
    Query,
    ReadOrganization,
    WriteOrganization,
)
from actors.unavailable import Unavailable
from cells.owner_port import Owner
from storage.sql.organization_copy import NotTheSame, copy_rows

V = TypeVar("V")

SERVES_WITHIN_S = 60.0
PAUSE_S = 0.05


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
    """

    source: str
    rows: int
    figures: Sequence[int]
    frozen_s: float
    is_dropped: bool


class _OwnerRows:
    """An organization's rows, at the other end of an owner's link."""

    def __init__(self, mover: "OrganizationMover", cell: str, move_id: str) -> None:
        self._mover = mover
        self._cell = cell
        self._move_id = move_id

    def __repr__(self) -> str:
        return f"<_OwnerRows in {self._cell}>"

    async def read(self, table: str, after: Place | None) -> OrganizationRows:
        return await self._mover.ask(self._cell, ReadOrganization(self._mover.organization_id, table, after))

    async def write(self, table: str, rows: Sequence[Sequence[Value]]) -> None:
        query = WriteOrganization(self._mover.organization_id, self._move_id, table, rows)
        if not (await self._mover.ask(self._cell, query)).is_done:
            raise NotMoved("another program moves it at the same time")


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
        there = {name: await self.ask(name, FindOrganization(self.organization_id)) for name in self._owners}
        if _state(there[self._cell]) == "serving":
            return MovedOrganization("", 0, (), 0.0, await self._dropped())
        source = self._source(there)
        began_s, copied = anyio.current_time(), MovedOrganization(source, 0, (), 0.0, False)
        move = there[self._cell].move
        came = there[source].move
        if _state(there[source]) == "gone" and came is not None and came.cell != self._cell:
            await OrganizationMover(self._owners, self.organization_id, came.cell).run()  # first what was begun
            return await self.run()
        if source == self._cell:
            await self._must(source, "thaw", came.move_id if came is not None else "")
            return MovedOrganization("", 0, (), 0.0, await self._dropped())
        if _state(there[source]) == "gone" and move is not None and came is not None and move.move_id == came.move_id:
            await self._serve(move.move_id)  # an earlier try came as far as that
        else:
            if _state(there[source]) == "gone":
                await self._must(self._cell, "receive", self._move_id)  # from here on no earlier try can end
            copied = await self._copy(source, came.move_id if came is not None else "")
            await self._must(source, "leave", self._move_id)
            await self._serve(self._move_id)
        frozen_s = anyio.current_time() - began_s
        return MovedOrganization(source, copied.rows, copied.figures, frozen_s, await self._dropped())

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

    async def _copy(self, source: str, seen: str) -> MovedOrganization:
        """Copy and prove it. What fails leaves the organization where it was."""
        frozen = await self._must(source, "freeze", self._move_id, self._cell, seen)
        try:
            return await self._copied(source, frozen.stays)
        except (NotMoved, NotTheSame, Unavailable) as error:
            await self._must(source, "thaw", self._move_id)
            if isinstance(error, Unavailable):
                raise
            raise NotMoved(f"{error}; it is served by {source} as before") from None

    async def _copied(self, source: str, stays: Sequence[Stay]) -> MovedOrganization:
        query = MoveOrganization(self.organization_id, "receive", self._move_id, source, "", stays)
        received = await self.ask(self._cell, query)
        if not received.is_done:
            raise NotMoved(f"{self._cell} does not take it")
        while (cleared := (await self._must(self._cell, "clear", self._move_id)).cleared) == "some":
            pass
        if cleared == "needed":
            raise NotMoved(f"a relay of {self._cell} has not passed on what happened there before")
        ends = [_OwnerRows(self, name, self._move_id) for name in (source, self._cell)]
        digests = await copy_rows(ends[0], ends[1], received.shift)
        figures = await self._audited()
        return MovedOrganization(source, sum(digest.rows for digest in digests.values()), figures, 0.0, False)

    async def _audited(self) -> Sequence[int]:
        part, parts, figures = 0, 1, list[int]()
        while part < parts:
            found = await self.ask(self._cell, AuditOrganization(self.organization_id, part))
            if found.disagreement:
                raise NotMoved(f"in {self._cell} it does not agree with itself: {found.disagreement}")
            part, parts, figures = part + 1, found.parts, list(found.figures)
        return figures

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
            if name == self._cell or (there.held is None and there.move is None):
                continue
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


def _state(answer: CellAnswer) -> str:
    return "" if answer.held is None else answer.held.state

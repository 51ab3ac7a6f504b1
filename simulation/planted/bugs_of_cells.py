"""Planted bugs of cells: an organization is served twice or by none, or something of it stays behind when it moves."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

import storage.memory_rows
import storage.memory_store
import supervisor.watching
from actors.cell_records import CellAnswer, HeldOrganization, WrongCell
from actors.changes import Point
from actors.commands import Command
from actors.organization_moves import MoveAnswer
from actors.organization_stays import Shift
from actors.queries import AnyQuery, ClaimOrganization, MoveOrganization
from cells.cell_map import CellMap
from cells.whereabouts import Whereabouts
from simulation.audit.books_of_cells import BOOKS, CHANGED_ELSEWHERE, MOVES_END, ONE_CELL, WATCHED
from simulation.planted.planting import Patches, bug
from storage.memory_store import Disk
from supervisor.held_organizations import HeldOrganizations
from supervisor.incarnation import Incarnation
from supervisor.moving import MoveSteps

LOST = ("G3", "G6", "G8", BOOKS)


# ---- who serves -----------------------------------------------------------------------------------------------------


@bug(
    "a cell does not look whether it serves the organization, and a router with an old map writes",
    CHANGED_ELSEWHERE,
    cells=True,
)
def old_router_writes() -> Patches:
    def refusal_of(self: HeldOrganizations, command: Command) -> WrongCell | None:
        return None

    return [(HeldOrganizations, "refusal_of", refusal_of)]


@bug("a cell answers queries of an organization that has gone", "G3", "G4", WATCHED, cells=True)
def gone_is_still_shown() -> Patches:
    def refusal_of_query(self: HeldOrganizations, query: AnyQuery) -> WrongCell | None:
        return None

    return [(HeldOrganizations, "refusal_of_query", refusal_of_query)]


@bug(
    "an organization that is gone and has not arrived is claimed anew",
    ONE_CELL,
    CHANGED_ELSEWHERE,
    "G3",
    BOOKS,
    cells=True,
)
def claimed_while_it_moves() -> Patches:
    async def claim(self: HeldOrganizations, query: ClaimOrganization) -> CellAnswer:
        async with self.lock:
            held = HeldOrganization(query.organization_id, "serving", query.version)
            await self._store.hold_organization(held)
            self._held[query.organization_id] = held
            return CellAnswer(self._cell, held)

    async def find(self: Whereabouts, organization_id: str) -> str:
        self.take(self._look())
        there: CellMap = self._map
        answers = await self._ask_all(there, organization_id)
        holders = [name for name, one in answers.items() if one.held is not None and one.held.state != "gone"]
        return holders[0] if holders else await self._claim(there, organization_id)

    return [(HeldOrganizations, "claim", claim), (Whereabouts, "_find", find)]


@bug("a cell forgets at a restart that an organization has gone", ONE_CELL, CHANGED_ELSEWHERE, MOVES_END, cells=True)
def gone_is_not_written_down() -> Patches:
    async def leave(self: MoveSteps, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        if held is None or not self._is_of(query.organization_id, query.move_id, "leaving"):
            return MoveAnswer(False)
        self._held.put(replace(held, state="gone"))
        return MoveAnswer(True)

    return [(MoveSteps, "_leave", leave)]


@bug("a standby serves before the lease of the owner that it follows is over", "G4", cells=True)
def standby_serves_too_early() -> Patches:
    return [(storage.memory_store, "LEASE_S", 0.0)]


# ---- the freeze -----------------------------------------------------------------------------------------------------


@bug("changes go on while an organization is frozen", CHANGED_ELSEWHERE, *LOST, cells=True)
def frozen_changes() -> Patches:
    right = HeldOrganizations.refusal_of

    def refusal_of(self: HeldOrganizations, command: Command) -> WrongCell | None:
        held = self._held.get(getattr(command, "organization_id", ""))
        return None if held is not None and held.state == "frozen" else right(self, command)

    return [(HeldOrganizations, "refusal_of", refusal_of)]


@bug("a freeze does not wait for the calls that are under way", CHANGED_ELSEWHERE, *LOST, cells=True)
def calls_not_waited_for() -> Patches:
    async def calls_ended(self: HeldOrganizations) -> None:
        pass

    return [(HeldOrganizations, "calls_ended", calls_ended)]


@bug("a freeze does not wait for reservations that run out just then", CHANGED_ELSEWHERE, *LOST, cells=True)
def expiries_not_waited_for() -> Patches:
    def falling_due(self: Incarnation) -> Iterable[Any]:
        return ()

    return [(Incarnation, "_falling_due", falling_due)]


# ---- the move -------------------------------------------------------------------------------------------------------


@bug("the new cell serves an organization as soon as it begins to arrive", ONE_CELL, *LOST, cells=True)
def flip_before_the_copy() -> Patches:
    right = MoveSteps._receive

    async def receive(self: MoveSteps, query: MoveOrganization) -> MoveAnswer:
        answer = await right(self, query)
        if answer.is_done:
            serving = HeldOrganization(query.organization_id, "serving", self._held.version)
            await self._store.hold_organization(serving)
            self._held.put(serving)
        return answer

    return [(MoveSteps, "_receive", receive)]


@bug("a step is carried out for any try, whatever its id", ONE_CELL, CHANGED_ELSEWHERE, MOVES_END, *LOST, cells=True)
def any_try_goes_on() -> Patches:
    def is_of(self: MoveSteps, organization_id: str, move_id: str, way: str) -> bool:
        move = self._held.move_of(organization_id)
        return move is not None and move.way == way

    return [(MoveSteps, "_is_of", is_of)]


@bug("the new cell's memory is not read anew when an organization arrives", "G3", "G4", "G6", BOOKS, cells=True)
def memory_not_renewed() -> Patches:
    async def serve(self: MoveSteps, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        if held is not None and held.state == "serving":
            return MoveAnswer(True)
        if not self._is_of(query.organization_id, query.move_id, "arriving"):
            return MoveAnswer(False)
        serving = HeldOrganization(query.organization_id, "serving", self._held.version)
        await self._store.settle(serving)
        self._held.put(serving)
        self._held.note_move(query.organization_id, None)
        return MoveAnswer(True)

    return [(MoveSteps, "_serve", serve)]


# ---- what comes along -----------------------------------------------------------------------------------------------


@bug("request ids stay behind when an organization moves", "G6", "G3", BOOKS, cells=True)
def request_ids_left_behind() -> Patches:
    return [(storage.memory_rows, "_requests", lambda disk, organization_id: iter(()))]


@bug("watchers' places are taken for places of the cell that answers", WATCHED, cells=True)
def places_not_translated() -> Patches:
    def place_here(stays: Any, database_id: str, place: Point) -> Point | None:
        return place

    return [(supervisor.watching, "place_here", place_here)]


@bug("what a history came with is shifted by as much as what came after it", WATCHED, MOVES_END, BOOKS, cells=True)
def one_shift_for_all() -> Patches:
    return [(Shift, "of", lambda self, lsn: lsn + self.newer)]


@bug("service time goes back where an organization arrives from a cell whose clock is ahead", "G7", cells=True)
def time_goes_back() -> Patches:
    def last_at_ms(self: Disk) -> int:
        return self.transactions[-1].at_ms if self.transactions else 0

    return [(Disk, "last_at_ms", property(last_at_ms))]

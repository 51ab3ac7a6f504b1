"""Which organizations this server may serve, where the inventory is divided into cells.

A cell *holds* an organization if its own database says so. That is written behind the fence of the epoch, as every
batch is, and stands there before anything is done for the organization. The map says only where an organization is
looked for: a caller that asks by an old map is refused here, and has changed nothing.

Why no two cells hold one organization: a cell comes to hold one that was in its database when it became a cell, or by a
*claim*. A claim names a version of the map. It is refused unless the cell has joined that very version; and it is made
only where that map places the organization, after each other cell of the map has said that it has joined that version
too and does not hold the organization (`cells/`). Suppose that X has claimed under version v, and Y under w. If v = w,
one map places it in both, and it places it in one. If v < w, X was asked before Y claimed, and had joined w by then. So
X's claim under v was over before, or was refused; and had it been over, X would have said so. A version is joined and a
claim is made one after the other, under one lock, and what is said of both is durable. What is left to the operator: a
cell is taken out of the map only when it holds nothing, since it is not asked then.

A request is judged in the synchronous step that lets it in, so there is no moment between the look and the beginning of
its work. To freeze an organization is to close this door first, and then to wait for the calls that came through it.
What expires by itself asks at the same door.

The first time, the database becomes a cell with all organizations that have a warehouse or a policy; every row of stock
has a warehouse. A command that is under way may make one, so the door is closed until those have ended.

A server that was never told of cells holds no such list, and pays one look at `is_told`. Not told again, a cell goes on
to serve what it holds, and takes nothing new.

Turned down: an entry of the journal for a claim (it is no part of the inventory); a claim by the
cell alone, by its map (two cells may have two versions, and both would claim); a lease on each organization (no clock
is trusted across machines).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import anyio
from msgspec import Struct

from actors.cell_records import CellAnswer, CellRecord, HeldOrganization, WrongCell
from actors.commands import Command
from actors.named_organizations import named_organizations
from actors.organization_moves import MoveRecord
from actors.organization_stays import Stay
from actors.outcomes import Fact
from actors.queries import (
    AnyQuery,
    AuditOrganization,
    ClaimOrganization,
    FindOrganization,
    JoinCell,
    MoveOrganization,
    ReadOrganization,
    TallyOrganization,
    WriteOrganization,
)
from actors.reply import Reply
from actors.unavailable import moving, restarting
from storage.store import Store
from supervisor.move_leases import MoveLeases
from supervisor.open_call import OpenCalls

NOT_OF_THE_INVENTORY = (
    *(FindOrganization, ClaimOrganization),
    *(MoveOrganization, ReadOrganization, WriteOrganization, TallyOrganization, AuditOrganization),
)


class HeldOrganizationsStatistics(Struct, frozen=True):
    """Organizations that are held, were held, and requests that were refused for others."""

    serving: int
    frozen: int
    gone: int
    refused: int


class HeldOrganizations:
    """The door of one incarnation.

    Args:
        store: keeps what is held.
        cell: what the database is already.
        known: the organizations that there are in it.
        open_calls: commands under way.
        monotonic_s: a clock in seconds that goes on while the process is stopped.
        expiring: replies of what falls due, as far as that is under way: it has come through the door as well.
    """

    def __init__(
        self,
        store: Store,
        cell: CellRecord | None,
        known: Callable[[], Iterable[str]],
        open_calls: OpenCalls,
        monotonic_s: Callable[[], float],
        expiring: Callable[[], Iterable[Reply[Fact]]],
    ) -> None:
        self._store = store
        self._cell = cell
        self._known = known
        self._open_calls = open_calls
        self._expiring = expiring
        self._held: dict[str, HeldOrganization] = {}
        self._stays: Mapping[str, Sequence[Stay]] = {}
        self._moves: dict[str, MoveRecord] = {}
        self.leases = MoveLeases(monotonic_s)
        self.lock = anyio.Lock()
        self.tidying = anyio.Lock()  # while a step of housekeeping is under way
        self._is_joining = False
        self._refused = 0
        self.is_told = cell is not None

    def __repr__(self) -> str:
        return f"<HeldOrganizations {self._cell} {self.statistics()}>"

    def statistics(self) -> HeldOrganizationsStatistics:
        states = [one.state for one in self._held.values()]
        frozen, gone = states.count("frozen"), states.count("gone")
        return HeldOrganizationsStatistics(len(states) - frozen - gone, frozen, gone, self._refused)

    async def load(self) -> None:
        """Take over what the database has. Raises `StorageError`."""
        if self.is_told:
            self._held = {one.organization_id: one for one in await self._store.load_organizations()}
            self._stays = await self._store.load_stays()
            self._moves = dict(await self._store.load_moves())
            for organization_id, move in self._moves.items():
                held = self._held.get(organization_id)
                if move.way == "arriving" or (held is not None and held.state == "frozen"):
                    self.leases.begin(organization_id, move.move_id)

    def stays_of(self, organization_id: str) -> Sequence[Stay]:
        """Where the organization's history has been; empty: nowhere else."""
        return self._stays.get(organization_id, ())

    # ---- the door ---------------------------------------------------------------------------------------------------

    def refusal_of(self, command: Command) -> WrongCell | None:
        """Why a command may not be carried out here; None: it may.

        Raises:
            Unavailable: it may be in a moment.
        """
        if self._is_joining:
            raise restarting()
        for organization_id in named_organizations(command):
            held = self._held.get(organization_id)
            if held is None or held.state != "serving":
                return self._refusal(organization_id, held)
        return None

    def refusal_of_query(self, query: AnyQuery) -> WrongCell | None:
        """The same of a query. What is frozen may be looked at: it is true until it is gone."""
        if not query.organization_id or isinstance(query, NOT_OF_THE_INVENTORY):
            return None
        held = self._held.get(query.organization_id)
        if (held is None and not self._is_joining) or (held is not None and held.state == "gone"):
            return self._refusal(query.organization_id, held)
        return None

    def may_change(self, organization_id: str) -> bool:
        """Whether what falls due of an organization may be done here."""
        held = self._held.get(organization_id)
        return held is not None and held.state == "serving" and not self._is_joining

    def _refusal(self, organization_id: str, held: HeldOrganization | None) -> WrongCell:
        assert self._cell is not None
        if held is not None and held.state == "frozen":
            raise moving()
        self._refused += 1
        moved_to = held.moved_to if held is not None else ""
        return WrongCell(organization_id, self._cell.name, self._cell.version, moved_to)

    # ---- what moves -------------------------------------------------------------------------------------------------

    @property
    def is_moving(self) -> bool:
        """Whether rows are copied or compared now, which nothing but commands may change."""
        return len(self.leases) > 0

    async def tidied(self) -> None:
        """Return when no step of housekeeping is under way that began before something moved."""
        async with self.tidying:
            pass

    @property
    def version(self) -> int:
        """Of the map that the cell has joined; 0: it is none."""
        return 0 if self._cell is None else self._cell.version

    def of(self, organization_id: str) -> HeldOrganization | None:
        """How the organization is held; None: it is not."""
        return self._held.get(organization_id)

    def move_of(self, organization_id: str) -> MoveRecord | None:
        """How it moves now; None: it does not."""
        return self._moves.get(organization_id)

    def put(self, held: HeldOrganization) -> None:
        """The door is as this says from now on."""
        self._held[held.organization_id] = held

    def note_move(self, organization_id: str, move: MoveRecord | None) -> None:
        """It moves so; None: it does not."""
        if move is None:
            self._moves.pop(organization_id, None)
        else:
            self._moves[organization_id] = move

    async def calls_ended(self) -> None:
        """Return when the commands that are under way have ended, and what was falling due."""
        for reply in [*self._open_calls, *self._expiring()]:
            with suppress(Exception):  # it is its caller's
                await reply.wait()

    # ---- what is held -----------------------------------------------------------------------------------------------

    def find(self, query: FindOrganization) -> CellAnswer:
        """What is known of an organization."""
        organization_id = query.organization_id
        return CellAnswer(self._cell, self._held.get(organization_id), self._moves.get(organization_id))

    async def claim(self, query: ClaimOrganization) -> CellAnswer:
        """Hold an organization that no cell holds. Raises `StorageError`."""
        async with self.lock:
            cell, held = self._cell, self._held.get(query.organization_id)
            is_free = held is None and query.organization_id not in self._moves
            if is_free and cell is not None and (cell.version, cell.digest) == (query.version, query.digest):
                held = HeldOrganization(query.organization_id, "serving", cell.version)
                await self._store.hold_organization(held)
                self._held[query.organization_id] = held
            return CellAnswer(cell, held)

    async def join(self, query: JoinCell) -> CellAnswer:
        """Be this cell, under this map or a newer one; the answer says what it is. Raises `StorageError`."""
        joining = CellRecord(query.cell, query.version, query.digest)
        async with self.lock:
            if self._cell is None:
                await self._join_first(joining)
            elif _follows(self._cell, joining):
                await self._store.join_cell(joining, ())
                self._cell = joining
            return CellAnswer(self._cell)

    async def _join_first(self, joining: CellRecord) -> None:
        self.is_told = self._is_joining = True
        await self.calls_ended()
        adopted = [HeldOrganization(one, "serving", joining.version) for one in sorted(set(self._known()))]
        await self._store.join_cell(joining, adopted)
        self._held = {one.organization_id: one for one in adopted}
        self._cell, self._is_joining = joining, False


def _follows(known: CellRecord, joining: CellRecord) -> bool:
    """Whether it is the same cell under a newer map. The same map again changes nothing."""
    return joining.name == known.name and joining.version > known.version

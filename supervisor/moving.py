"""The steps by which an organization moves, in the cell that it leaves and in the one where it arrives.

A program that talks to both owners carries them out in this order (`stockkeeper/organization_mover.py`):

1. *freeze*, in the old cell: the door is closed for its changes, those under way end, and all is durable.
2. *receive*, *clear* and *write*, in the new one: the organization arrives. What an earlier try left of it is deleted,
   and its rows come, which the program then reads again and compares, and the audit looks at.
3. *leave*, in the old cell: the organization is gone to the new one.
4. *serve*, in the new one: it is here.
5. *drop*, in the old cell: its rows are deleted.

Why no two cells ever serve it: only the new cell serves what arrives, by step 4, which the program takes only after
step 3 was durable; and what is gone is frozen again only when no try can end with step 4, as below.

Why nothing that was acknowledged is lost: the old cell keeps its rows until the new one serves. *leave* and *serve*
name the try by its id, and each cell carries them out only for the try that froze it, or that it received, last. So of
two programs at once at most one gets through: what is served is what was copied, compared and left in one try. A
program that finds the organization gone, and the new cell in another try than the old one, first has the new cell
receive it in its own try, so that no earlier one can end with *serve* any more; then it freezes what was gone, which
the old cell does if its record is still the one that the program has seen. So is *drop* carried out: what has changed
since is let be.

Why a program can be killed at any step: what each cell is told is durable before it answers, and the next program reads
from both what to do: before *leave* it begins anew (or thaws), after it goes on with *serve*.

Memory knows nothing of what arrived: filters of known orders, warehouses, hints. So *serve* ends the incarnation, and
the next one begins with the organization in the database. It costs the cell's callers a fraction of a second, and
nothing has to be taught by hand. Housekeeping, which would change rows between their copying and comparing, rests while
anything moves.

Turned down: copying behind the owner's back (on SQLite a second writer, and no fence); teaching memory part by part
(each part that is forgotten is a bug that only a move shows).
"""

from actors.cell_records import HeldOrganization
from actors.organization_moves import MoveAnswer, MoveRecord
from actors.queries import AuditOrganization, MoveOrganization, MoveQuery, ReadOrganization, WriteOrganization
from actors.views import MoveView
from storage.store import StorageError, Store
from supervisor.held_organizations import HeldOrganizations
from supervisor.store_reader import StoreReader
from supervisor.transactions.folding import Folding
from supervisor.transactions.journal import Journal

NOT_DONE = MoveAnswer(False)


class MemoryRenewed(StorageError):
    """Not a failure: an organization has arrived in the database, and memory is read anew."""


class MoveSteps:
    """Carries the steps out.

    Args:
        store: has the rows.
        held: the door, and what is known of moves.
        journal: knows what is durable.
        folding: knows whether rows of a large import are still to come.
        reader: ends the incarnation.
    """

    def __init__(
        self, store: Store, held: HeldOrganizations, journal: Journal, folding: Folding, reader: StoreReader
    ) -> None:
        self._store = store
        self._held = held
        self._journal = journal
        self._folding = folding
        self._reader = reader
        self._steps = 0

    def __repr__(self) -> str:
        return f"<MoveSteps steps={self._steps} {self._held!r}>"

    def statistics(self) -> int:
        """Steps that were carried out."""
        return self._steps

    async def answer(self, query: MoveQuery) -> MoveView:
        """What is asked by a program that moves an organization. Raises `StorageError`."""
        match query:
            case MoveOrganization():
                return await self._carry_out(query)
            case ReadOrganization():
                return await self._store.read_rows(query.organization_id, query.table, query.after)
            case WriteOrganization():
                return await self._write(query)
            case AuditOrganization():
                return await self._store.audit_rows(query.organization_id, query.part)

    async def _carry_out(self, query: MoveOrganization) -> MoveAnswer:
        self._steps += 1
        async with self._held.lock:
            match query.step:
                case "freeze":
                    return await self._freeze(query)
                case "receive":
                    return await self._receive(query)
                case "clear":
                    return await self._clear(query)
                case "leave":
                    return await self._leave(query)
                case "serve":
                    return await self._serve(query)
                case "drop":
                    return await self._drop(query)
                case "thaw":
                    return await self._thaw(query)

    async def _write(self, query: WriteOrganization) -> MoveAnswer:
        async with self._held.lock:
            if not self._is_of(query.organization_id, query.move_id, "arriving"):
                return NOT_DONE
            await self._store.write_rows(query.table, query.rows)
            return MoveAnswer(True)

    async def _freeze(self, query: MoveOrganization) -> MoveAnswer:
        organization_id = query.organization_id
        held, move = self._held.of(organization_id), self._held.move_of(organization_id)
        if held is None or (held.state == "gone" and (move is None or move.move_id != query.seen)):
            return NOT_DONE
        frozen = HeldOrganization(organization_id, "frozen", held.version, query.cell)
        self._held.put(frozen)  # from here on nothing of it begins
        await self._held.calls_ended()
        for fold in self._folding.over(organization_id):
            await fold.wait()
        await self._journal.wait_durable()
        record = MoveRecord(query.move_id, "leaving", query.cell)
        stays = await self._store.freeze(frozen, record)
        self._held.note_move(organization_id, record)
        return MoveAnswer(True, stays)

    async def _receive(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        if held is not None and held.state != "gone":
            return NOT_DONE
        record = MoveRecord(query.move_id, "arriving", query.cell)
        shift = await self._store.receive(query.organization_id, record, query.stays)
        self._held.note_move(query.organization_id, record)
        return MoveAnswer(True, shift=shift)

    async def _clear(self, query: MoveOrganization) -> MoveAnswer:
        if not self._is_of(query.organization_id, query.move_id, "arriving"):
            return NOT_DONE
        return MoveAnswer(True, cleared=await self._store.clear_rows(query.organization_id, is_gone=False))

    async def _leave(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        if held is None or not self._is_of(query.organization_id, query.move_id, "leaving"):
            return NOT_DONE
        if held.state == "frozen":
            gone = HeldOrganization(query.organization_id, "gone", held.version, held.moved_to)
            await self._store.hold_organization(gone)
            self._held.put(gone)
        return MoveAnswer(True)

    async def _serve(self, query: MoveOrganization) -> MoveAnswer:
        held, version = self._held.of(query.organization_id), self._held.version
        if held is not None and held.state == "serving":
            return MoveAnswer(True)
        if not self._is_of(query.organization_id, query.move_id, "arriving"):
            return NOT_DONE
        await self._store.settle(HeldOrganization(query.organization_id, "serving", version))
        self._reader.end(MemoryRenewed(f"the organization {query.organization_id} has arrived, and memory begins anew"))
        return MoveAnswer(True)

    async def _drop(self, query: MoveOrganization) -> MoveAnswer:
        held, move = self._held.of(query.organization_id), self._held.move_of(query.organization_id)
        if (held is not None and held.state != "gone") or (move is not None and move.move_id != query.seen):
            return NOT_DONE
        cleared = await self._store.clear_rows(query.organization_id, is_gone=True)
        self._held.note_move(query.organization_id, None)
        return MoveAnswer(True, cleared=cleared)

    async def _thaw(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        is_ours = self._is_of(query.organization_id, query.move_id, "leaving")
        if held is None or held.state != "frozen" or not is_ours:
            return NOT_DONE
        serving = HeldOrganization(query.organization_id, "serving", held.version)
        await self._store.settle(serving)
        self._held.note_move(query.organization_id, None)
        self._held.put(serving)
        return MoveAnswer(True)

    def _is_of(self, organization_id: str, move_id: str, way: str) -> bool:
        move = self._held.move_of(organization_id)
        return move is not None and (move.move_id, move.way) == (move_id, way)

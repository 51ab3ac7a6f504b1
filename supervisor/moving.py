"""The steps by which an organization moves, in the cell that it leaves and in the one where it arrives.

A program that talks to both owners carries them out in this order (`stockkeeper/organization_mover.py`):

1. *begin*, in the old cell, which goes on to serve: housekeeping rests, and the history so far has an end, which is the
   last LSN of now.
2. *receive*, *clear* and *write*, in the new one: the organization arrives. What an earlier try left of it is deleted,
   and its rows come, which the program then reads again and compares. *mark* says how far the history has come
   meanwhile, and what has changed by then comes once more, until that is little.
3. *freeze*, in the old cell: the door is closed for its changes, those under way end, and all is durable. *receive* and
   *write* again: the rest comes. All tables are tallied on both sides, and the audit looks at what is there.
4. *leave*, in the old cell: the organization is gone to the new one.
5. *serve*, in the new one: it is here.
6. *drop*, in the old cell: its rows are deleted.

Why no two cells ever serve it: only the new cell serves what arrives, by step 5, which the program takes only after
step 4 was durable; and what is gone is frozen again only when no try can end with step 5, as below.

Why nothing that was acknowledged is lost: the old cell keeps its rows until the new one serves. *leave* and *serve*
name the try by its id, and each cell carries them out only for the try that froze it, or that it received, last. So of
two programs at once at most one gets through: what is served is what was copied, compared and left in one try. A
program that finds the organization gone, and the new cell in another try than the old one, first has the new cell
receive it in its own try, so that no earlier one can end with *serve* any more; then it freezes what was gone, which
the old cell does if its record is still the one that the program has seen. So is *drop* carried out: what has changed
since is let be.

Why what is copied early is what there is when it freezes: history only grows, in the order of its LSNs. Lines and
entries up to the end that *begin* or *mark* told are copied once, and what is later comes later. A row that was read
early may have been changed since, or while it was read. But each change of a row has an entry of the journal, with a
later LSN than that end, and the entry or its lines say which row: so it is among the rows that have changed since, and
these are deleted and written anew, in the state of then. The last time nothing changes any more. What changes rows
without an entry:

- *Housekeeping* moves what is old to the archive. It rests in both cells while a try goes on; *begin* and *receive*
  wait for a step that is under way.
- A *large import* that was decided is folded into the rows behind its decision, all lines under the decision's LSN.
  *begin*, *mark* and *freeze* look for the end first and then wait for the imports that were decided until then.
- *Expiry* is a change as any other: it has an entry, and the frozen door keeps it out. It is done when the door opens.

*freeze* is carried out only for the try that the same incarnation began, without a break in its lease: another
incarnation may have tidied, and after a failover that lost transactions their LSNs may mean others. That the parts fit
together is seen, too: each part is compared when it has come, and at the end each table's rows and the sums of its
columns are the same on both sides (`storage/sql/organization_tally.py`).

Why a program can be killed at any step: what each cell is told is durable before it answers, and the next program reads
from both what to do: before *leave* it begins anew (or thaws), after it goes on with *serve*.

Why a cell may thaw by itself: a program that gives no sign of life (*renew*) for some seconds is taken for dead. The
old cell thaws if it has not left. Thawing and leaving are carried out one after the other, both durably: if it has left
it does not thaw, and if it has thawed there is no try any more that could leave. So it does not matter whether the
program is dead or was only slow: all that it asks for afterwards is refused, and without *leave* it does not get to
*serve*. The new cell refuses what is written by a try that it gave up, and keeps what it has until the next one.

Memory knows nothing of what arrived: filters of known orders, warehouses, hints. So *serve* ends the incarnation, and
the next one begins with the organization in the database. It costs the cell's callers a fraction of a second, and
nothing has to be taught by hand.

Turned down: copying behind the owner's back (on SQLite a second writer, and no fence); teaching memory part by part
(each part that is forgotten is a bug that only a move shows); having the old cell send its changes on as they come (a
second path for all changes, where reading the journal once more is enough).
"""

import logging

from actors.cell_records import HeldOrganization
from actors.organization_moves import MoveAnswer, MoveRecord
from actors.queries import (
    AuditOrganization,
    MoveOrganization,
    MoveQuery,
    ReadOrganization,
    TallyOrganization,
    WriteOrganization,
)
from actors.views import MoveView
from storage.store import StorageError, Store
from supervisor.held_organizations import HeldOrganizations
from supervisor.store_reader import StoreReader
from supervisor.transactions.folding import Folding
from supervisor.transactions.journal import Journal

log = logging.getLogger(__name__)

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
            case ReadOrganization(keys_only=True):
                return await self._store.changed_keys(query.organization_id, query.table, query.after, query.span)
            case ReadOrganization():
                return await self._store.read_rows(query.organization_id, query.table, query.after, query.span)
            case WriteOrganization():
                return await self._write(query)
            case TallyOrganization():
                return await self._store.tally_rows(query.organization_id, query.table, query.shift)
            case AuditOrganization():
                return await self._store.audit_rows(query.organization_id, query.part)

    async def _carry_out(self, query: MoveOrganization) -> MoveAnswer:
        self._steps += 1
        async with self._held.lock:
            match query.step:
                case "begin":
                    return await self._begin(query)
                case "mark":
                    return await self._mark(query)
                case "renew":
                    return MoveAnswer(self._held.leases.renew(query.organization_id, query.move_id))
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

    async def watch(self) -> None:
        """Give up the tries that give no sign of life, until cancelled.

        Raises:
            StorageError: what was frozen could not be thawed.
        """
        while True:
            organization_id, move_id = await self._held.leases.next_over()
            async with self._held.lock:
                if self._held.leases.give_up(organization_id, move_id):
                    log.warning("move_given_up", extra={"organization_id": organization_id, "move_id": move_id})
                    await self._thaw(MoveOrganization(organization_id, "thaw", move_id))

    async def _write(self, query: WriteOrganization) -> MoveAnswer:
        async with self._held.lock:
            if not self._goes_on(query.organization_id, query.move_id):
                return NOT_DONE
            await self._store.write_rows(query.organization_id, query.table, query.rows, query.keys)
            return MoveAnswer(True)

    async def _begin(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        if held is None or held.state != "serving":
            return NOT_DONE
        self._held.leases.begin(query.organization_id, query.move_id)
        await self._held.tidied()
        return await self._marked(query)

    async def _mark(self, query: MoveOrganization) -> MoveAnswer:
        if not self._held.leases.renew(query.organization_id, query.move_id):
            return NOT_DONE
        return await self._marked(query)

    async def _marked(self, query: MoveOrganization) -> MoveAnswer:
        """Up to where all that has happened is in the tables."""
        stays = await self._store.stays_up_to_now(query.organization_id)
        for fold in self._folding.over(query.organization_id):
            await fold.wait()
        self._held.leases.begin(query.organization_id, query.move_id)  # however long that took
        return MoveAnswer(True, stays)

    async def _freeze(self, query: MoveOrganization) -> MoveAnswer:
        organization_id = query.organization_id
        held, move = self._held.of(organization_id), self._held.move_of(organization_id)
        if held is None or (held.state == "gone" and (move is None or move.move_id != query.seen)):
            return NOT_DONE
        if held.state == "serving" and not self._held.leases.renew(organization_id, query.move_id):
            return NOT_DONE
        self._held.leases.begin(organization_id, query.move_id)
        frozen = HeldOrganization(organization_id, "frozen", held.version, query.cell)
        self._held.put(frozen)  # from here on nothing of it begins
        await self._held.tidied()
        await self._held.calls_ended()
        for fold in self._folding.over(organization_id):
            await fold.wait()
        await self._journal.wait_durable()
        record = MoveRecord(query.move_id, "leaving", query.cell)
        stays = await self._store.freeze(frozen, record)
        self._held.note_move(organization_id, record)
        self._held.leases.begin(organization_id, query.move_id)  # however long that took
        return MoveAnswer(True, stays)

    async def _receive(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        record = MoveRecord(query.move_id, "arriving", query.cell)
        is_known = self._held.move_of(query.organization_id) == record
        if (held is not None and held.state != "gone") or (is_known and not self._goes_on(*_of(query))):
            return NOT_DONE
        self._held.leases.begin(*_of(query))
        await self._held.tidied()
        shift = await self._store.receive(query.organization_id, record, query.stays)
        self._held.note_move(query.organization_id, record)
        return MoveAnswer(True, shift=shift)

    async def _clear(self, query: MoveOrganization) -> MoveAnswer:
        if not self._goes_on(*_of(query)):
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
            self._held.leases.end(query.organization_id)
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
        self._held.leases.end(query.organization_id)
        return MoveAnswer(True, cleared=cleared)

    async def _thaw(self, query: MoveOrganization) -> MoveAnswer:
        held = self._held.of(query.organization_id)
        is_ours = self._is_of(query.organization_id, query.move_id, "leaving")
        if held is not None and held.state == "serving" and self._held.leases.renew(*_of(query)):
            self._held.leases.end(query.organization_id)  # it was begun, and no more
            return MoveAnswer(True)
        if held is None or held.state != "frozen" or not is_ours:
            return NOT_DONE
        serving = HeldOrganization(query.organization_id, "serving", held.version)
        await self._store.settle(serving)
        self._held.note_move(query.organization_id, None)
        self._held.put(serving)
        self._held.leases.end(query.organization_id)
        return MoveAnswer(True)

    def _goes_on(self, organization_id: str, move_id: str) -> bool:
        """Whether this try arrives here, and was not given up; it gives a sign of life."""
        leases = self._held.leases
        return self._is_of(organization_id, move_id, "arriving") and leases.renew(organization_id, move_id)

    def _is_of(self, organization_id: str, move_id: str, way: str) -> bool:
        move = self._held.move_of(organization_id)
        return move is not None and (move.move_id, move.way) == (move_id, way)


def _of(query: MoveOrganization) -> tuple[str, str]:
    return query.organization_id, query.move_id

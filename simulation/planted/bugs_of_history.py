"""Planted bugs of what is told of the past, and of those who follow it."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

import storage.past
import storage.sql.movement_reads
import storage.told
from actors.changes import Changes, ChangesPage, Point, StockAt
from actors.queries import ReadChanges
from actors.records import Transaction
from actors.turn import Turn
from simulation.planted.planting import Patches, bug
from storage.memory_store import MemoryStore
from storage.past import CHANGES_MAX
from supervisor.watching import Watching


@bug("a page that is full ends where the history ends, and what is between is left out", "G4")
def token_skips_the_end_of_a_page() -> Patches:
    right = Watching._page

    def page(self: Watching, found: Changes, durable_lsn: int, first_lsn: int) -> ChangesPage:
        return right(self, Changes(found.changes, None), durable_lsn, first_lsn)

    return [(Watching, "_page", page)]


@bug("a page begins with the transaction that the last one ended with", "G4")
def told_twice_after_a_page() -> Patches:
    right = MemoryStore.read_changes

    async def read_changes(self: MemoryStore, organization_id: str, after: Point, rows_max: int) -> Any:
        return await right(self, organization_id, Point(max(after.lsn - 1, 0)), rows_max)

    return [(MemoryStore, "read_changes", read_changes)]


@bug("what is decided is told before it is durable", "G3", "G4")
def told_before_it_is_durable() -> Patches:
    right = Watching.changes

    def changes(self: Watching, query: ReadChanges, reader: Any) -> Turn[ChangesPage]:
        page = yield from right(self, query, reader)
        journal = self._journal
        undurable = [one for one in journal._entries if query.after is not None and one.lsn > page.upto.lsn]
        told = [it for one in undurable if (it := storage.told.change_of(one, query.organization_id)) is not None]
        return replace(page, changes=(*page.changes, *told), upto=Point(journal.last_lsn)) if told else page

    return [(Watching, "changes", changes)]


def _without(kind: str) -> Patches:
    right = storage.told.change_of

    def change_of(one: Transaction, organization_id: str) -> Any:
        return None if one.kind == kind else right(one, organization_id)

    return [(storage.past, "change_of", change_of)]


@bug("a watcher does not hear of reservations that ran out", "G4")
def expiries_not_told() -> Patches:
    return _without("expire")


@bug("a watcher does not hear of imports", "G4")
def imports_not_told() -> Patches:
    return _without("import")


@bug("a watcher does not hear of confirmations, which move nothing", "G4")
def confirmations_not_told() -> Patches:
    return _without("confirm")


@bug("what comes behind a full page is dropped, as if its reader had fallen behind for good", "G4")
def fallen_behind_and_lost() -> Patches:
    right = storage.past.read_changes

    def read_changes(journal: Sequence[Transaction], organization_id: str, after: Point, rows_max: int) -> Changes:
        found = right(journal, organization_id, after, rows_max)
        if found.upto is None or rows_max > CHANGES_MAX:
            return found
        return Changes(found.changes, Point(len(journal)))

    return [(storage.past, "read_changes", read_changes)]


@bug("a row at a time is what it was before the last transaction of that time", "G4")
def stock_at_is_off_by_one() -> Patches:
    right = storage.past.stock_at

    def stock_at(journal: Sequence[Transaction], query: Any) -> StockAt:
        return right(journal, replace(query, at_ms=query.at_ms - 1))

    return [(storage.past, "stock_at", stock_at)]


@bug("the lines that housekeeping has moved are not looked for", "G4", disk="sqlite")
def archived_lines_not_found() -> Patches:
    reads = storage.sql.movement_reads
    return [(reads, "ALL_PLACES", reads.ALL_PLACES[2:])]


@bug("a page of the ledger ends one line early", "G4")
def line_lost_between_pages() -> Patches:
    right = storage.past.list_movements

    def list_movements(journal: Sequence[Transaction], query: Any) -> Any:
        page = right(journal, query)
        return replace(page, movements=page.movements[:-1]) if page.next is not None else page

    return [(storage.past, "list_movements", list_movements)]

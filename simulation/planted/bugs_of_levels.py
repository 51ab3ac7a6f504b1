"""Planted bugs of levels: how they are set, kept and searched by."""

from typing import Any

from msgspec.structs import replace

import actors.stock_state
import storage.memory_store
import supervisor.transactions.importing
import supervisor.transactions.levelling
from actors.row_changes import Figures, Levels, Removal
from simulation.planted.planting import Patches, bug
from storage.found_stock import FoundStock, cut_found


@bug("a row forgets its reorder point when goods move", "G8")
def reorder_point_forgotten() -> Patches:
    right = actors.stock_state._moved

    def moved(before: Any, delta: Any, *levels: int) -> Any:
        return replace(right(before, delta, *levels), reorder_point=0 if delta.total else levels[2])

    return [(actors.stock_state, "_moved", moved)]


@bug("an import forgets the reorder points of its lines", "G2", "G4")
def imported_reorder_point_forgotten() -> Patches:
    right = supervisor.transactions.importing._count_of
    return [(supervisor.transactions.importing, "_count_of", lambda line: replace(right(line), reorder_point=None))]


@bug("a row that is made again in the place of a deleted one has no levels", "G8")
def levels_not_given_again() -> Patches:
    right = actors.stock_state._removed

    def removed(before: Any, removal: Removal) -> Any:
        return right(before, Removal(removal.next_stock_id, Levels()))

    return [(actors.stock_state, "_removed", removed)]


@bug("levels that disagree with those that a row has are set all the same", "G4", "G5")
def levels_disagree_silently() -> Patches:
    return [
        (supervisor.transactions.levelling, "_see_that_they_agree", lambda lines, rows: None),
        (Figures, "levels_agree", True),
    ]


@bug("a search for rows by their figures ends where a page has looked at enough", "G4")
def search_ends_with_its_page() -> Patches:
    right = cut_found

    def cut(looked_at: Any, query: Any) -> FoundStock:
        page = right(looked_at, query)
        return page if len(page.records) == query.limit else FoundStock(page.records, None)

    return [(storage.memory_store, "cut_found", cut)]

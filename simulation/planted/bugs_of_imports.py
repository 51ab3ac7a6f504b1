"""Planted bugs of large imports, whose lines are staged, decided at once and folded afterwards."""

from collections.abc import Sequence
from typing import Any

from actors.turn import Turn
from simulation.planted.planting import Patches, bug
from storage.memory_staging import StagedDisk
from storage.staging import StagedLine
from supervisor.activations.stock_directory import StockDirectory
from supervisor.transactions import large_imports
from supervisor.transactions.folding import Folding
from supervisor.transactions.large_imports import LargeImports


@bug("rows are loaded before their lines of a decided import are folded", "G3", "G4", "G8", "no bug is met")
def loaded_before_folded() -> Patches:
    async def settle(self: Folding, keys: Sequence[Any]) -> None:
        return

    return [(Folding, "settle", settle)]


@bug("lists do not wait until the rows of an import are folded", "G4")
def lists_do_not_wait_for_folding() -> Patches:
    def over(self: Folding, organization_id: str | None) -> Turn[None]:
        yield from ()

    return [(Folding, "over", over)]


@bug("a row that is folded for a load stays staged, and is folded twice", "G3", "G4", "G8", "no bug is met")
def folded_twice() -> Patches:
    right = StagedDisk.fold_variants

    def fold_variants(self: StagedDisk, keys: Any, stock: Any) -> Any:
        kept = {import_id: dict(lines) for import_id, lines in self.lines.items()}
        yield from right(self, keys, stock)
        self.lines = kept

    return [(StagedDisk, "fold_variants", fold_variants)]


@bug("the rows of an import are loaded and changed while it is being decided", "G3", "G4", "G8", "no bug is met")
def loads_go_on_at_the_decision() -> Patches:
    return [(StockDirectory, "shut", StockDirectory.in_memory)]


@bug("a row that is in use when an import is decided is left to the database", "G3", "G4", "G8", "no bug is met")
def rows_in_use_left_to_the_database() -> Patches:
    def keep_in_use(self: LargeImports, variants: Any, look: Any) -> Any:
        for variant in variants:
            self._stock.drop(variant)
        yield from ()

    return [(LargeImports, "_keep_in_use", keep_in_use)]


@bug("a row that was sold from after it was judged is not looked at again", "G2", "G4", "G5", "G8", "no bug is met")
def touched_rows_not_judged_again() -> Patches:
    return [(large_imports._Look, "note", lambda self, transaction: None)]


@bug("an import counts rows as they are at its decision for rows as they were judged", "G4")
def tallied_as_it_is_now() -> Patches:
    return [(large_imports._Look, "judged", lambda self, record: record)]


@bug("what a crash left unfolded is forgotten at the start", "G3", "G4", "nothing is left over")
def unfolded_forgotten_at_a_start() -> Patches:
    async def resume(self: Folding) -> None:
        return

    return [(Folding, "resume", resume)]


@bug("the levels of new rows are forgotten by an import that is folded", "G3", "G4", "G8", "no bug is met")
def levels_of_staged_rows_forgotten() -> Patches:
    right = StagedDisk._fold

    def fold(self: StagedDisk, import_id: str, keys: list[Any], stock: Any) -> Any:
        lines: dict[Any, StagedLine] = self.lines.get(import_id, {})
        assert all(key in lines for key in keys)
        self.decided[import_id] = type(self.decided[import_id])()
        yield from right(self, import_id, keys, stock)

    return [(StagedDisk, "_fold", fold)]

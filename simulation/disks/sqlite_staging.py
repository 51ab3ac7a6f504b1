"""Staged lines in a real SQLite file, beside the model: what both say must be the same."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from actors.records import StockKey, StockRecord, VariantKey
from actors.row_changes import Levels
from actors.staged_rows import Repeat
from simulation.disks.database_file import Database
from storage.memory_staging import StagedDisk
from storage.sql import staged_lines
from storage.staging import Judged, StagedLine

T = TypeVar("T")


class StagedFile(StagedDisk):
    """The model, and the tables that must agree with it.

    Args:
        database: the file.
        epoch: the one in force.
        refused: told of what they do not agree about.
    """

    def __init__(self, database: Database, epoch: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__()
        self._database = database
        self._epoch = epoch
        self._refused = refused

    def stage(self, import_id: str, lines: Sequence[StagedLine]) -> list[Repeat]:
        found = self._change(partial(staged_lines.stage, import_id=import_id, lines=lines))
        return self._compared("stage", found, super().stage(import_id, lines))

    def judge(
        self,
        import_id: str,
        after: StockKey | None,
        lines_max: int,
        levels: Levels,
        lsn: int,
        stock: dict[StockKey, StockRecord],
    ) -> Judged:
        asked = partial(staged_lines.judge_staged, import_id=import_id, after=after, lines_max=lines_max, levels=levels)
        wanted = super().judge(import_id, after, lines_max, levels, lsn, stock)
        found = self._database.read(asked)
        return wanted if wanted.last is None is found.last else self._compared("judge", found, wanted)

    def withdraw(self, import_id: str, keys: Sequence[VariantKey]) -> None:
        self._change(partial(staged_lines.withdraw, import_id=import_id, keys=keys))
        super().withdraw(import_id, keys)

    def drop(self, import_id: str, lines_max: int) -> bool:
        self._change(partial(staged_lines.drop_staged, import_id=import_id, lines_max=lines_max))
        return super().drop(import_id, lines_max)

    def fold(self, import_id: str, lines_max: int, stock: dict[StockKey, StockRecord]) -> Iterator[StockRecord]:
        is_more = self._change(partial(staged_lines.fold, import_id=import_id, lines_max=lines_max))
        yield from super().fold(import_id, lines_max, stock)
        self._compared("fold", is_more, import_id in self.decided)

    def fold_variants(self, keys: Sequence[VariantKey], stock: dict[StockKey, StockRecord]) -> Iterator[StockRecord]:
        staged = self._database.read(partial(staged_lines.variants_to_fold, keys=keys))
        self._change(partial(staged_lines.fold_variants, staged=staged))
        return super().fold_variants(keys, stock)

    def _change(self, function: Callable[[Connection], T]) -> T:
        return self._database.change(self._epoch(), function)

    def _compared(self, operation: str, found: T, wanted: T) -> T:
        if found != wanted:
            self._refused(f"{operation}: SQLite says {found!r}, the model {wanted!r}")
        return found

"""The part of `SqlStore` that keeps the lines of large imports."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from actors.records import StockKey, VariantKey
from actors.row_changes import Levels
from actors.staged_rows import Repeat
from storage.sql import staged_lines
from storage.staging import Judged, StagedLine

T = TypeVar("T")


class StagedTables:
    """`storage.staging.StagingStore`, on what reads, and on what writes behind the fence."""

    async def _read(self, function: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    async def _change(self, function: Callable[[Connection], None]) -> None:
        raise NotImplementedError

    async def stage(self, import_id: str, lines: Sequence[StagedLine]) -> Sequence[Repeat]:
        repeats: Sequence[Repeat] = await self._changed(partial(staged_lines.stage, import_id=import_id, lines=lines))
        return repeats

    async def judge_staged(self, import_id: str, after: StockKey | None, lines_max: int, levels: Levels) -> Judged:
        judge = partial(staged_lines.judge_staged, import_id=import_id, after=after, lines_max=lines_max, levels=levels)
        return await self._read(judge)

    async def staged_lines(self, import_id: str, keys: Sequence[VariantKey]) -> Sequence[StagedLine]:
        return await self._read(partial(staged_lines.staged_lines, import_id=import_id, keys=keys))

    async def withdraw(self, import_id: str, keys: Sequence[VariantKey]) -> None:
        await self._change(partial(staged_lines.withdraw, import_id=import_id, keys=keys))

    async def drop_staged(self, import_id: str, lines_max: int) -> bool:
        left: bool = await self._changed(partial(staged_lines.drop_staged, import_id=import_id, lines_max=lines_max))
        return left

    async def fold(self, import_id: str, lines_max: int) -> bool:
        left: bool = await self._changed(partial(staged_lines.fold, import_id=import_id, lines_max=lines_max))
        return left

    async def fold_variants(self, keys: Sequence[VariantKey]) -> None:
        staged = await self._read(partial(staged_lines.variants_to_fold, keys=keys))
        if staged:
            await self._change(partial(staged_lines.fold_variants, staged=staged))

    async def decided_imports(self) -> Sequence[str]:
        return await self._read(staged_lines.decided_imports)

    async def staged_imports(self) -> Sequence[str]:
        return await self._read(staged_lines.staged_imports)

    async def _changed(self, function: Callable[[Connection], Any]) -> Any:
        """What a change says."""
        said: list[Any] = []
        await self._change(lambda connection: said.append(function(connection)))
        return said[-1]

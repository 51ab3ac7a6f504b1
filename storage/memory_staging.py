"""Staged lines on a simulated disk: see `storage/staging.py`."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.records import RowChange, StockKey, StockRecord, Transaction, VariantKey
from actors.row_changes import Levels
from actors.staged_rows import Repeat
from storage.staging import Judged, StagedLine, Tally, applied, is_bad, tally_of, unmade


class StagedDiskStatistics(Struct, frozen=True):
    """Lines that are staged, and imports that are decided and not over."""

    lines: int
    decided: int


class StagedDisk:
    """What a disk keeps of large imports."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[StockKey, StagedLine]] = {}  # by import
        self.decided: dict[str, Levels] = {}

    def __repr__(self) -> str:
        return f"<StagedDisk imports={len(self.lines)} decided={len(self.decided)}>"

    def statistics(self) -> StagedDiskStatistics:
        return StagedDiskStatistics(sum(map(len, self.lines.values())), len(self.decided))

    def stage(self, import_id: str, lines: Sequence[StagedLine]) -> list[Repeat]:
        kept, repeats = self.lines.setdefault(import_id, {}), []
        for staged in (replace(one, line=replace(one.line, warehouse_name="")) for one in lines):
            earlier = kept.setdefault(staged.key, staged)
            if earlier is not staged:
                repeats.append(Repeat(staged.line.line_number, earlier.line.line_number))
        return repeats

    def judge(
        self,
        import_id: str,
        after: StockKey | None,
        lines_max: int,
        levels: Levels,
        lsn: int,
        stock: dict[StockKey, StockRecord],
    ) -> Judged:
        lines = self.lines.get(import_id, {})
        keys = sorted(lines)
        keys = keys[0 if after is None else bisect_right(keys, after) :][:lines_max]
        tallies: dict[str, Tally] = {}
        bad = []
        for key in keys:
            staged, record = lines[key], stock.get(key)
            tally = tallies.get(key.organization_id, Tally())
            tallies[key.organization_id] = tally.plus(tally_of(staged.line, record))
            if is_bad(staged.line, record or unmade(staged, levels)):
                bad.append((staged, record))
        return Judged(keys[-1] if keys else None, lsn, tallies, bad)

    def of_variants(self, import_id: str, keys: Sequence[VariantKey]) -> list[StagedLine]:
        wanted = set(keys)
        return [line for key, line in sorted(self.lines.get(import_id, {}).items()) if key.variant in wanted]

    def forget(self, import_id: str, keys: Sequence[StockKey]) -> None:
        lines = self.lines.get(import_id, {})
        for key in keys:
            del lines[key]
        if not lines:
            self.lines.pop(import_id, None)

    def withdraw(self, import_id: str, keys: Sequence[VariantKey]) -> None:
        self.forget(import_id, [line.key for line in self.of_variants(import_id, keys)])

    def drop(self, import_id: str, lines_max: int) -> bool:
        if import_id in self.decided:
            return False
        self.forget(import_id, sorted(self.lines.get(import_id, ()))[:lines_max])
        return import_id in self.lines

    def decide(self, one: Transaction, stock: dict[StockKey, StockRecord]) -> Transaction:
        """The transaction with all that its staged lines change from now on."""
        assert one.staged is not None
        it = one.staged
        levels = self.decided[it.import_id] = Levels(it.min_stock, it.max_stock, it.reorder_point)
        changes = dict(one.placed())
        for staged in self.lines.get(it.import_id, {}).values():
            before = stock.get(staged.key) or unmade(staged, levels)
            if not tally_of(staged.line, before).unchanged:
                changes[staged.place] = RowChange(before, applied(staged, before))
        placed = sorted(changes.items())
        positions = tuple(place for place, _ in placed)
        return replace(one, changes=tuple(change for _, change in placed), positions=positions)

    def fold(self, import_id: str, lines_max: int, stock: dict[StockKey, StockRecord]) -> Iterator[StockRecord]:
        """The rows as the next lines leave them."""
        if import_id in self.decided:
            lines = self.lines.get(import_id, {})
            yield from self._fold(import_id, list(islice(sorted(lines), lines_max)), stock)
            if import_id not in self.lines:
                del self.decided[import_id]

    def fold_variants(self, keys: Sequence[VariantKey], stock: dict[StockKey, StockRecord]) -> Iterator[StockRecord]:
        for import_id in sorted(self.decided):
            yield from self._fold(import_id, [line.key for line in self.of_variants(import_id, keys)], stock)

    def _fold(self, import_id: str, keys: list[StockKey], stock: dict[StockKey, StockRecord]) -> Iterator[StockRecord]:
        for key in keys:
            staged = self.lines[import_id][key]
            before = stock.get(key) or unmade(staged, self.decided[import_id])
            if not tally_of(staged.line, before).unchanged:
                yield applied(staged, before)
        self.forget(import_id, keys)


class StagedStore:
    """The part of a store in memory that keeps the lines of large imports."""

    async def _read(self, operation: str) -> Any:
        """The disk, as every read finds it."""
        raise NotImplementedError

    async def _own(self, operation: str) -> Any:
        """The same, behind the fence."""
        raise NotImplementedError

    async def _after(self, operation: str) -> None:
        """Called after the effect of whatever changes the disk."""

    async def stage(self, import_id: str, lines: Sequence[StagedLine]) -> Sequence[Repeat]:
        disk = await self._own("stage")
        repeats: list[Repeat] = disk.staged.stage(import_id, lines)
        await self._after("stage")
        return repeats

    async def judge_staged(self, import_id: str, after: StockKey | None, lines_max: int, levels: Levels) -> Judged:
        disk = await self._read("judge_staged")
        judged: Judged = disk.staged.judge(import_id, after, lines_max, levels, disk.last_lsn, disk.stock)
        return judged

    async def staged_lines(self, import_id: str, keys: Sequence[VariantKey]) -> Sequence[StagedLine]:
        disk = await self._read("staged_lines")
        lines: list[StagedLine] = disk.staged.of_variants(import_id, keys)
        return lines

    async def withdraw(self, import_id: str, keys: Sequence[VariantKey]) -> None:
        disk = await self._own("withdraw")
        disk.staged.withdraw(import_id, keys)
        await self._after("withdraw")

    async def drop_staged(self, import_id: str, lines_max: int) -> bool:
        disk = await self._own("drop_staged")
        is_more: bool = disk.staged.drop(import_id, lines_max)
        await self._after("drop_staged")
        return is_more

    async def fold(self, import_id: str, lines_max: int) -> bool:
        disk = await self._own("fold")
        disk.keep_rows(disk.staged.fold(import_id, lines_max, disk.stock))
        await self._after("fold")
        return import_id in disk.staged.decided

    async def fold_variants(self, keys: Sequence[VariantKey]) -> None:
        disk = await self._own("fold_variants")
        disk.keep_rows(disk.staged.fold_variants(keys, disk.stock))
        await self._after("fold_variants")

    async def decided_imports(self) -> Sequence[str]:
        disk = await self._read("decided_imports")
        return sorted(disk.staged.decided)

    async def staged_imports(self) -> Sequence[str]:
        disk = await self._read("staged_imports")
        return sorted(set(disk.staged.lines) - set(disk.staged.decided))

"""The part of the Store port that keeps the lines of large imports: staged, then decided, then folded into the rows.

Staged lines are true of no row. A transaction that names their import makes them true, all at once (`StagedRows`); from
then on each of these rows is what its line makes of it, whatever the stock table says, until it is folded: its line is
carried out there, with its movement in the ledger, and is gone. Folding is no entry of the journal, and can be done in
any order and at any time: what a line makes of a row is settled by the row as it is and the line. The core sees to it
that no row is read before it is folded.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import UNSET, Struct

from actors.commands import CountedLine
from actors.plain_value import PlainValue
from actors.records import StockKey, StockRecord, VariantKey
from actors.row_changes import Levels, counted, figures_of
from actors.staged_rows import Repeat


class StagedLine(PlainValue, frozen=True):
    """A line in its place, which becomes its position in the ledger, and the id of the row if it has to be made."""

    place: int
    stock_id: str
    line: CountedLine

    @property
    def key(self) -> StockKey:
        return StockKey(self.line.organization_id, self.line.variant_id, self.line.warehouse_id)


class Tally(PlainValue, frozen=True):
    """How many lines make a row, change one and leave one as it is."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def lines(self) -> int:
        return self.created + self.changed + self.unchanged

    def plus(self, other: "Tally", sign: int = 1) -> "Tally":
        return Tally(
            self.created + sign * other.created,
            self.changed + sign * other.changed,
            self.unchanged + sign * other.unchanged,
        )


class Judged(Struct, frozen=True):
    """What some lines would do to the rows.

    Args:
        last: the row of the last of these lines; None: there was no line left.
        lsn: they were judged by the rows as this transaction left them.
        tallies: by organization.
        bad: lines that cannot be applied, each with its row as it is, or None if there is none.
    """

    last: StockKey | None
    lsn: int
    tallies: dict[str, Tally]
    bad: Sequence[tuple[StagedLine, StockRecord | None]] = ()


def tally_of(line: CountedLine, record: StockRecord | None) -> Tally:
    """What one line does to its row."""
    if record is None or not record.exists:
        return Tally(created=1)
    if counted(line, record) == figures_of(record):
        return Tally(unchanged=1)
    return Tally(changed=1)


def is_bad(line: CountedLine, record: StockRecord) -> bool:
    """Whether a line cannot be applied to its row, or to the one that is to be made."""
    figures = counted(line, record)
    return figures.total - figures.damaged - figures.in_transit < record.reserved or not figures.levels_agree


def unmade(staged: StagedLine, levels: Levels) -> StockRecord:
    """A row that does not exist yet, as its line finds it."""
    return StockRecord(
        *staged.key,
        staged.stock_id,
        min_stock=levels.min_stock,
        max_stock=levels.max_stock,
        reorder_point=levels.reorder_point,
    )


def applied(staged: StagedLine, record: StockRecord) -> StockRecord:
    """The row after its line."""
    figures = counted(staged.line, record)
    available = figures.total - record.reserved - figures.damaged - figures.in_transit
    after = StockRecord(
        *record.key,
        record.stock_id,
        available,
        record.reserved,
        figures.damaged,
        figures.in_transit,
        figures.min_stock,
        figures.max_stock,
        figures.reorder_point,
        record.version + 1,
    )
    after.check()
    return after


def line_of(key: StockKey, line_number: int, figures: Sequence[int | None]) -> CountedLine:
    """A line as it was staged; the names of warehouses are not."""
    total, damaged, in_transit, min_stock, max_stock, reorder_point = figures
    reorder = UNSET if reorder_point is None else reorder_point
    return CountedLine(*key, "", total, damaged, in_transit, min_stock, max_stock, line_number, reorder)


class StagingStore(Protocol):
    """Every method but the reads may raise `OwnershipLost`, and then has done nothing; all may raise `StorageError`."""

    async def stage(self, import_id: str, lines: Sequence[StagedLine]) -> Sequence[Repeat]:
        """Keep lines of an import that is not decided, all or nothing. Returns those that repeat a row, which are not
        kept.

        >>> line = CountedLine("shop", "cup", "madrid", "", 5, 0, 0, 0, 0, line_number=1)
        >>> await store.stage("import-1", [StagedLine(0, "new-0", line), StagedLine(1, "new-1", line)])
        [Repeat(line_number=1, earlier_line_number=1)]
        """
        ...

    async def judge_staged(self, import_id: str, after: StockKey | None, lines_max: int, levels: Levels) -> Judged:
        """What the next lines behind a row, in the order of rows, would do to the rows as they are.

        >>> line = CountedLine("shop", "cup", "madrid", "", 5, 0, 0, 0, 0, line_number=1)
        >>> repeats = await store.stage("import-1", [StagedLine(0, "new-0", line)])
        >>> (await store.judge_staged("import-1", None, 100, Levels())).tallies
        {'shop': Tally(created=1, changed=0, unchanged=0)}
        """
        ...

    async def staged_lines(self, import_id: str, keys: Sequence[VariantKey]) -> Sequence[StagedLine]:
        """The lines of these variants, at most 500 variants a call.

        >>> await store.staged_lines("import-1", [VariantKey("shop", "cup")])
        []
        """
        ...

    async def withdraw(self, import_id: str, keys: Sequence[VariantKey]) -> None:
        """Forget the lines of these variants.

        >>> await store.withdraw("import-1", [VariantKey("shop", "cup")])
        """
        ...

    async def drop_staged(self, import_id: str, lines_max: int) -> bool:
        """Forget lines of an import that is not decided. Returns whether some may be left.

        >>> await store.drop_staged("import-1", lines_max=100)
        False
        """
        ...

    async def fold(self, import_id: str, lines_max: int) -> bool:
        """Carry out the next lines of a decided import. Returns whether some are left; if none is, it is over.

        >>> await store.fold("import-1", lines_max=100)
        False
        """
        ...

    async def fold_variants(self, keys: Sequence[VariantKey]) -> None:
        """Carry out the lines of these variants, of whatever import that is decided.

        >>> await store.fold_variants([VariantKey("shop", "cup")])
        """
        ...

    async def decided_imports(self) -> Sequence[str]:
        """The imports that are decided and not over, in the order of their ids.

        >>> await store.decided_imports()
        []
        """
        ...

    async def staged_imports(self) -> Sequence[str]:
        """The imports of which there are lines that no decision mentions, in the order of their ids.

        >>> line = CountedLine("shop", "cup", "madrid", "", 5, 0, 0, 0, 0, line_number=1)
        >>> repeats = await store.stage("import-1", [StagedLine(0, "new-0", line)])
        >>> await store.staged_imports()
        ['import-1']
        """
        ...

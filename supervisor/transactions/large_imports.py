"""Imports whose lines are staged in the database, and never all in memory: a million rows, decided at once.

1. *Judge.* The database says, a thousand lines at a time, which rows the lines make, change or leave, and which lines
   are bad. Others go on meanwhile, so each part is true of a moment of its own, which its LSN names. From before the
   first part on, every change of a row of these organizations is noted, with the row before it: what was judged is
   still so unless the row was *touched* after its part was.
2. *Close in.* For some milliseconds nothing of these organizations is loaded, and what is quiet is dropped from
   memory. A row that is not in memory cannot change. What is left are the rows in use, the touched ones and those of
   bad lines: a few, whose lines are taken out of the staged ones and go the way of every import (`importing.py`): each
   row is held, so it cannot change either.
3. *Decide*, in one synchronous step. The transaction has the changes of the held rows and names the staged lines for
   the rest: all of them are true from here on, or none. Loads go on, and find the rows as the import leaves them
   (`supervisor/transactions/folding.py`), which is also what remains to be done before the import is answered.

So the work of a million rows is done before the decision and after it, in small transactions of the database between
which all others have their turn, and the decision costs as much as the rows that are in use just then.

One import at a time does this. Turned down: an actor for each row (3 KB each, and one commit of 20 s for a million);
locking the rows while the import is judged (what is sold would be refused or wait for a minute); judging the touched
rows again and again until none is touched (on hot rows that never ends, and holding them is what actors are for).
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import TypeAlias, TypeVar

from msgspec import Struct

from actors.bounds import LINE_ERRORS_MAX
from actors.commands import ImportStaged
from actors.idempotency import remember
from actors.outcomes import Fact, ImportRejected, Refusal, Refused, RefusedLine, StockImported
from actors.records import StockKey, StockRecord, Transaction, VariantKey
from actors.reply import Reply
from actors.staged_rows import StagedRows
from actors.stock_actor import StockActor, check_alive
from actors.turn import OTHERS_FIRST, Doing, Turn, awaited
from actors.two_phase import Prepared
from actors.unavailable import restarting
from actors.variant_stock import VariantStock
from storage.staging import Judged, StagedLine, StagingStore, Tally, tally_of, unmade
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.chunks import chunked
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.folding import Folding
from supervisor.transactions.importing import Importing, divided, why_not
from supervisor.transactions.journal import Journal
from supervisor.transactions.uploads import Read, Uploads

LINES_A_LOOK = 1_000
BAD_ROWS_HELD_MAX = 500  # more bad lines are refused as each was when it was looked at
T = TypeVar("T")

Touches = dict[StockKey, list[tuple[int, StockRecord]]]
Outcome: TypeAlias = tuple[Reply[Fact], Reply[None] | None]
"""The answer, and what comes when all rows are folded, if anything was decided."""


class LookStatistics(Struct, frozen=True):
    """Lines that were judged, rows that others changed meanwhile, and lines that cannot be applied."""

    lines: int
    touched: int
    bad: int


class _Look:
    """What is known of the rows of an import while it is judged, and until it is decided."""

    def __init__(self, organizations: frozenset[str]) -> None:
        self.organizations = organizations
        self.touched: Touches = {}  # by row: the LSN of each change, and the row before it
        self.touched_variants: set[VariantKey] = set()
        self.tallies: dict[str, Tally] = {}
        self.bad: dict[StockKey, tuple[StagedLine, StockRecord | None]] = {}
        self.bad_total = 0
        self._ends: list[StockKey] = []  # of the parts, in the order of rows …
        self._lsns: list[int] = []  # … and the moment of each

    def __repr__(self) -> str:
        return f"<_Look parts={len(self._ends)} touched={len(self.touched)} bad={self.bad_total}>"

    def statistics(self) -> LookStatistics:
        return LookStatistics(self.lines, len(self.touched), self.bad_total)

    @property
    def lines(self) -> int:
        return sum(tally.lines for tally in self.tallies.values())

    def note(self, transaction: Transaction) -> None:
        for change in transaction.changes:
            before = change.before
            if before.organization_id in self.organizations:
                self.touched.setdefault(before.key, []).append((transaction.lsn, before))
                self.touched_variants.add(before.key.variant)

    def add(self, last: StockKey, judged: Judged) -> None:
        self._ends.append(last)
        self._lsns.append(judged.lsn)
        for organization_id, tally in judged.tallies.items():
            self.tallies[organization_id] = self.tallies.get(organization_id, Tally()).plus(tally)
        self.bad_total += len(judged.bad)
        for staged, record in judged.bad[: LINE_ERRORS_MAX - len(self.bad)]:
            self.bad[staged.key] = staged, record

    def in_doubt(self) -> set[VariantKey]:
        """The variants of rows that are not certain to be as they were judged, and of bad lines."""
        touched = {key.variant for key in self.touched if self._before(key) is not None}
        return touched | {key.variant for key in self.bad}

    def judged(self, record: StockRecord) -> StockRecord:
        """The row as it was judged, where it is this one now."""
        return self._before(record.key) or record

    def _before(self, key: StockKey) -> StockRecord | None:
        """The row before the first change since it was judged; None: there was none."""
        place = bisect_left(self._ends, key)
        judged_lsn = self._lsns[place] if place < len(self._lsns) else -1
        return next((before for lsn, before in self.touched.get(key, ()) if lsn > judged_lsn), None)


class LargeImports:
    """Carries out imports of staged lines. Their turns end when the outcome is durable and all rows are folded.

    Args:
        importing: carries out the lines of rows in use.
        uploads: knows whether all lines came.
        folding: is told of a decision.
        store, read: what has the lines, and what sees to its failures.
    """

    def __init__(
        self,
        clock: ServiceClock,
        coordinator: Coordinator,
        journal: Journal,
        stock: StockDirectory,
        importing: Importing,
        uploads: Uploads,
        folding: Folding,
        store: StagingStore,
        read: Read,
    ) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock
        self._importing = importing
        self._uploads = uploads
        self._folding = folding
        self._store = store
        self._wait_for = read
        self._under_way: Reply[None] | None = None
        self.look: _Look | None = None  # while an import is judged, and until it is decided

    def __repr__(self) -> str:
        return f"<LargeImports {self.look!r} {self._folding!r}>"

    def statistics(self) -> LookStatistics:
        """Of the import that is being judged; nothing if none is."""
        return self.look.statistics() if self.look is not None else LookStatistics(0, 0, 0)

    def import_staged(self, command: ImportStaged) -> Turn[Fact]:
        """Set rows to their counted totals, all or none.

        Raises:
            Refused: lines that cannot be applied, each with its reason, or more warehouses than there may be.
            Unavailable: not all lines are there.
        """
        while self._under_way is not None:
            yield self._under_way
        self._under_way = over = Reply[None]()
        try:
            yield from self._folding.over(None)  # what an earlier incarnation left
            self._uploads.take(command.import_id, command.lines)
            fact = yield from self._carry_out(command)
        finally:
            self._under_way = None
            over.set(None)
        return fact

    def _carry_out(self, command: ImportStaged) -> Turn[Fact]:
        folded: Reply[None] | None = None
        try:
            answered, folded = yield from self._judge_and_decide(command)
            fact = yield from awaited(answered)
            if folded is not None:
                yield from awaited(folded)
        finally:
            # Not before: the database does not know of a decision that is on its way, and would drop the lines.
            self._uploads.let_go(command.import_id, is_decided=folded is not None)
        return fact

    def _judge_and_decide(self, command: ImportStaged) -> Turn[Outcome]:
        try:
            self.look = look = _Look(frozenset(command.organizations))
            self._stock.warehouses.new(command.warehouses)  # before the database looks at a million lines in vain
            refusal = yield from self._judge(command, look)
            if refusal is not None:
                return self._importing.refused(command, refusal), None
            return (yield from self._close_in(command, look))
        except Refused as refused:
            return self._importing.refused(command, refused.refusal), None
        finally:
            self.look = None

    def _judge(self, command: ImportStaged, look: _Look) -> Turn[Refusal | None]:
        """Have the database look at all lines."""
        yield Doing(self._journal.wait_durable)  # what was decided before is in the tables, what comes is noted
        after: StockKey | None = None
        while True:
            look_at = partial(self._store.judge_staged, command.import_id, after, LINES_A_LOOK, self._stock.levels)
            judged: Judged = yield Doing(partial(self._read, look_at))
            if judged.last is None:
                break
            look.add(judged.last, judged)
            after = judged.last
        if look.lines != command.lines:
            raise restarting()
        if look.bad_total <= BAD_ROWS_HELD_MAX:
            return None
        levels = self._stock.levels
        bad = [(one.line, record or unmade(one, levels)) for one, record in look.bad.values()]
        errors = [RefusedLine(line.line_number, why_not(line, record)) for line, record in bad]
        return ImportRejected(tuple(sorted(errors, key=lambda error: error.line_number)), look.bad_total)

    def _close_in(self, command: ImportStaged, look: _Look) -> Turn[Outcome]:
        """Bring about that no row of the import can change but the few that are held, and decide."""
        for part in chunked(self._stock.in_memory(look.organizations)):
            for variant in part:
                self._stock.drop(variant)  # so that little is left for the moment in which nothing is loaded
            yield OTHERS_FIRST
        pinned: list[VariantStock] = []
        try:
            for part in chunked(self._stock.shut(look.organizations)):
                pinned += self._keep_in_use(part, look)
                yield OTHERS_FIRST
            for variant in pinned:
                yield variant.loaded
            missing = sorted(look.in_doubt() - {variant.key for variant in pinned})
            pinned += yield from self._stock.load_though_shut(missing)
            return (yield from self._decide_beside(command, look, {variant.key: variant for variant in pinned}))
        finally:
            for variant in pinned:
                variant.unpin()
            self._stock.open_up()

    def _keep_in_use(self, variants: Sequence[VariantStock], look: _Look) -> Iterator[VariantStock]:
        """Drop those that are not in use nor touched, and pin the others."""
        for variant in variants:
            is_there = self._stock.has(variant)
            if is_there and (variant.key in look.touched_variants or not self._stock.drop(variant)):
                variant.pins += 1
                yield variant

    def _decide_beside(
        self, command: ImportStaged, look: _Look, variants: Mapping[VariantKey, VariantStock]
    ) -> Turn[Outcome]:
        """Hold the rows that are in memory, whose lines are not left to the database, and decide."""
        lines: list[StagedLine] = []
        for keys in chunked(sorted(variants)):
            read = partial(self._store.staged_lines, command.import_id, keys)
            lines += yield Doing(partial(self._read, read))
        lines.sort(key=lambda staged: staged.place)
        if not all(self._stock.has(variant) for variant in variants.values()):
            raise restarting()
        rows = [self._stock.row(variants[staged.key.variant], staged.line.warehouse_id) for staged in lines]
        prepared = yield from self._importing.prepare_counts([staged.line for staged in lines], rows)
        if not isinstance(prepared, Prepared):
            return self._importing.refused(command, prepared), None
        with prepared:
            for keys in chunked(sorted({staged.key.variant for staged in lines})):
                yield Doing(partial(self._read, partial(self._store.withdraw, command.import_id, keys)))
            changed, unchanged = yield from divided([staged.line for staged in lines], rows)
            check_alive(unchanged)
            folded = self._decide(command, look, lines, rows, _Parts(prepared.transaction_id, changed, unchanged))
        return folded

    def _decide(
        self,
        command: ImportStaged,
        look: _Look,
        lines: Sequence[StagedLine],
        rows: Sequence[StockActor],
        parts: "_Parts",
    ) -> Outcome:
        """One synchronous step."""
        here, staged = _tallies(look, lines, rows)
        total = reduce(Tally.plus, staged.values(), here)
        new = self._importing.new_organizations(command.organizations) if total.created else ()
        fact = StockImported(command.lines, total.created, total.changed, total.unchanged, new)
        written = self._stock.warehouses.new(command.warehouses)
        places = {staged_line.key: staged_line.place for staged_line in lines}
        levels = self._stock.levels
        changing = tuple(one for one in sorted(staged) if staged[one].created or staged[one].changed)
        Prepared(parts.transaction_id, parts.unchanged).abort()
        self._coordinator.decide(
            Prepared(parts.transaction_id, parts.changed),
            "import",
            self._clock.now_ms(),
            request=remember(command, fact),
            warehouses=written,
            warehouses_before=self._stock.warehouses.known(written),
            reference=command.request_id,
            origin=command.origin,
            staged=StagedRows(command.import_id, changing, levels.min_stock, levels.max_stock, levels.reorder_point),
            positions=tuple(places[row.key] for row in parts.changed),
        )
        folded = self._folding.begin(command.import_id, command.organizations)
        return self._journal.answered(fact), folded

    async def _read(self, begin: Callable[[], Awaitable[T]]) -> T:
        found: T = await self._wait_for(begin())
        return found


class _Parts(Struct, frozen=True):
    transaction_id: int
    changed: Sequence[StockActor]
    unchanged: Sequence[StockActor]


def _tallies(look: _Look, lines: Sequence[StagedLine], rows: Sequence[StockActor]) -> tuple[Tally, dict[str, Tally]]:
    """What the lines of held rows do, and what those that are left to the database do, by organization."""
    here, left = Tally(), dict(look.tallies)
    for staged, row in zip(lines, rows, strict=True):
        record = row.state.record
        organization_id = record.organization_id
        left[organization_id] = left[organization_id].plus(tally_of(staged.line, look.judged(record)), -1)
        here = here.plus(tally_of(staged.line, record))
    return here, left

"""Counted totals. No order is involved; the idempotency key alone serializes retries.

An import may have very many rows. It goes in chunks, so that others have their turn in between, and keeps every row
held up to its one synchronous decision: no other change counts a row, or sells from it by an old figure, before that.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from msgspec import UNSET

from actors.bounds import LINE_ERRORS_MAX, NEW_ORGANIZATIONS_MAX
from actors.commands import AnyImport, CountedLine, Import
from actors.idempotency import remember
from actors.outcomes import (
    Fact,
    ImportRejected,
    Refusal,
    Refused,
    RefusedLine,
    StockImported,
)
from actors.records import StockRecord
from actors.reply import Reply
from actors.row_changes import Change, Count, counted, figures_of
from actors.staged_upload import note_warehouses
from actors.stock_actor import StockActor, check_alive
from actors.turn import OTHERS_FIRST, Turn, awaited
from actors.two_phase import NOTHING_PREPARED, Prepared
from actors.variant_stock import Pinned
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.chunks import chunked
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal


class Importing:
    """Carries out imports. Their turns end when the outcome is durable."""

    def __init__(self, clock: ServiceClock, coordinator: Coordinator, journal: Journal, stock: StockDirectory) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock

    def __repr__(self) -> str:
        return f"<Importing {self._journal!r}>"

    def import_stock(self, command: Import) -> Turn[Fact]:
        """Set rows to their counted totals, all or none.

        Raises:
            Refused: lines that cannot be applied, each with its reason, or more warehouses than there may be.
        """
        pins: list[ExitStack] = []
        try:
            rows: list[StockActor] = []
            warehouses: dict[tuple[str, str], str] = {}
            for lines in chunked(command.lines):
                pins.append(ExitStack())
                rows += yield from self._pin(lines, pins[-1])
                note_warehouses(warehouses, lines)
                yield OTHERS_FIRST
            prepared = yield from self.prepare_counts(command.lines, rows)
            answered: Reply[Fact]
            if isinstance(prepared, Prepared):
                answered = yield from self._answer_counts(command, rows, prepared, warehouses)
            else:
                answered = self.refused(command, prepared)
            while pins:
                pins.pop().close()
                yield OTHERS_FIRST  # letting go of many rows takes its time too
        finally:
            for pin in pins:
                pin.close()
        return (yield from awaited(answered))

    def _answer_counts(
        self,
        command: Import,
        rows: Sequence[StockActor],
        prepared: Prepared,
        warehouses: dict[tuple[str, str], str],
    ) -> Turn[Reply[Fact]]:
        try:
            fact = yield from self._decide_counts(command, rows, prepared, warehouses)
        except Refused as refused:
            return self.refused(command, refused.refusal)
        return self._journal.answered(fact)

    def _decide_counts(
        self,
        command: Import,
        rows: Sequence[StockActor],
        prepared: Prepared,
        warehouses: dict[tuple[str, str], str],
    ) -> Turn[Fact]:
        with prepared:
            changed, unchanged = yield from divided(command.lines, rows)
            created = sum(not row.state.record.exists for row in changed)
            new = self.new_organizations({line.organization_id for line in command.lines}) if created else ()
            fact = StockImported(len(command.lines), created, len(changed) - created, len(unchanged), new)
            request = remember(command, fact)
            yield OTHERS_FIRST
            written = self._stock.warehouses.new([(*key, name) for key, name in warehouses.items()])
            # Up to here the unchanged rows are held too: no other count of them may be decided before this.
            check_alive(unchanged)
            Prepared(prepared.transaction_id, unchanged).abort()
            self._coordinator.decide(
                Prepared(prepared.transaction_id, changed),
                "import",
                self._clock.now_ms(),
                request=request,
                warehouses=written,
                warehouses_before=self._stock.warehouses.known(written),
                reference=command.request_id,
                origin=command.origin,
            )
        return fact

    def new_organizations(self, named: Collection[str]) -> tuple[str, ...]:
        """Those of these that have no row yet; not all if they are very many."""
        named = set(named)
        return tuple(sorted(named - self._stock.warehouses.have(named))[:NEW_ORGANIZATIONS_MAX])

    def _pin(self, lines: Sequence[CountedLine], pins: ExitStack) -> Turn[list[StockActor]]:
        """The rows of these lines, kept in memory as long as `pins` is open."""
        by_organization: dict[str, dict[str, None]] = {}
        for line in lines:
            by_organization.setdefault(line.organization_id, {})[line.variant_id] = None
        variants = {}
        for organization_id, variant_ids in by_organization.items():
            pinned = Pinned((yield from self._stock.load(organization_id, variant_ids)))
            variants[organization_id] = pins.enter_context(pinned)
        return [self._stock.row(variants[line.organization_id][line.variant_id], line.warehouse_id) for line in lines]

    def prepare_counts(
        self, lines: Sequence[CountedLine], rows: Sequence[StockActor]
    ) -> Turn[Prepared | ImportRejected]:
        """Hold every row; which are to change is known only once nothing else on them is undecided."""
        while True:
            reasons: dict[int, str] = {}
            seen: list[StockRecord] = []
            for part in chunked(enumerate(zip(lines, rows, strict=True))):
                seen += [row.state.record for _, (_, row) in part]
                reasons |= _reasons(part)
                yield OTHERS_FIRST
            if reasons:
                check_alive(rows)
                # Others had their turn between the chunks: what is refused is true of this one moment.
                moved = [
                    at
                    for at, (row, record) in enumerate(zip(rows, seen, strict=True))
                    if row.state.record is not record
                ]
                reasons = {at: why for at, why in reasons.items() if rows[at].state.record is seen[at]}
                reasons |= _reasons([(at, (lines[at], rows[at])) for at in moved])
            if reasons:
                errors = [RefusedLine(lines[at].line_number, reasons[at]) for at in sorted(reasons)]
                return ImportRejected(tuple(errors[:LINE_ERRORS_MAX]), len(errors))
            counts: list[tuple[StockActor, Change]] = []
            for lines_and_rows in chunked(zip(lines, rows, strict=True)):
                counts += [(row, _count_of(line)) for line, row in lines_and_rows]
                yield OTHERS_FIRST
            prepared = yield from self._coordinator.prepare(counts)
            if isinstance(prepared, Prepared):
                return prepared
            # Reserved goods or undecided ones moved meanwhile: look again.

    def refused(self, command: AnyImport, refusal: Refusal) -> Reply[Fact]:
        """Remember the refusal. The reply raises it once it is durable."""
        request = remember(command, refusal)
        self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
        return self._journal.answered(error=Refused(refusal))


def divided(
    lines: Sequence[CountedLine], rows: Sequence[StockActor]
) -> Turn[tuple[list[StockActor], list[StockActor]]]:
    """The rows that a count changes, and those that it does not."""
    changed: list[StockActor] = []
    unchanged: list[StockActor] = []
    for part in chunked(zip(lines, rows, strict=True)):
        for line, row in part:
            (unchanged if _is_counted(row, line) else changed).append(row)
        yield OTHERS_FIRST
    return changed, unchanged


def _count_of(line: CountedLine) -> Count:
    reorder_point = None if line.reorder_point is UNSET else line.reorder_point
    return Count(line.total, line.damaged, line.in_transit, line.min_stock, line.max_stock, reorder_point)


def _is_counted(row: StockActor, line: CountedLine) -> bool:
    record = row.state.record
    return record.exists and counted(line, record) == figures_of(record)


def _reasons(judged: Sequence[tuple[int, tuple[CountedLine, StockActor]]]) -> dict[int, str]:
    """Why lines cannot be applied, by their place."""
    return {at: reason for at, (line, row) in judged if (reason := why_not(line, row.state.record))}


def why_not(line: CountedLine, record: StockRecord) -> str:
    """Why the line cannot be applied to this row; empty: it can."""
    reserved = record.reserved
    total, damaged, in_transit, min_stock, max_stock, _ = figures = counted(line, record)
    if total - damaged - in_transit < reserved:
        return (
            f"total_quantity {total} less {damaged} damaged and {in_transit} in transit "
            f"does not cover the {reserved} that are reserved"
        )
    return "" if figures.levels_agree else f"min_stock {min_stock} must not exceed max_stock {max_stock}"

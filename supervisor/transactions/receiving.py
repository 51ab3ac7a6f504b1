"""Goods that come in: deliveries and counted totals. No order is involved; the idempotency key alone serializes
retries.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from anyio.lowlevel import checkpoint

from actors.actor import restarting
from actors.bounds import INT32_MAX
from actors.commands import Count, CountedLine, Import, Receive, counted, figures_of
from actors.idempotency import remember
from actors.outcomes import Fact, ImportRejected, LineError, QuantityTooLarge, Refused, StockImported, StockReceived
from actors.records import Delta
from actors.reply import Reply
from actors.stock_actor import StockActor
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.chunks import steps
from supervisor.transactions.coordinator import NOTHING_PREPARED, Coordinator, Prepared, TurnedDown
from supervisor.transactions.journal import Journal

ERRORS_NAMED_MAX = 1_000


class Goods:
    """Carries out `Receive` and `Import`. Both may suspend; the caller's task must outlive them."""

    def __init__(self, clock: ServiceClock, coordinator: Coordinator, journal: Journal, stock: StockDirectory) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock

    async def receive(self, command: Receive, reply: Reply[Fact]) -> None:
        """Add a delivery to its row; the answer comes when it is durable.

        Raises:
            Refused: the row's total would exceed 2^31-1.
        """
        with await self._stock.pinned(command.organization_id, (command.variant_id,)) as variants:
            row = self._stock.row(variants[command.variant_id], command.warehouse_id)
            while True:
                prepared = await self._coordinator.prepare([(row, Delta(available=command.quantity))])
                total = row.state.record.total + command.quantity
                if isinstance(prepared, Prepared) or total > INT32_MAX:
                    break
                # The row has moved since it turned this down, and what is said must be true of one moment.
            if isinstance(prepared, TurnedDown):
                refused = Refused(QuantityTooLarge(command.variant_id, command.warehouse_id, total))
                self._remember(command, refused)
                self._journal.answer(reply, error=refused)
                return
            with self._coordinator.holding(prepared):
                record = row.state.record
                fact = StockReceived(
                    record.stock_id,
                    record.total + command.quantity,
                    record.available + command.quantity,
                    record.available,
                )
                self._coordinator.decide(
                    prepared,
                    "receive",
                    self._clock.now_ms(),
                    request=remember(command, fact),
                    warehouses=self._stock.new_warehouses([(command.organization_id, command.warehouse_id, "")]),
                    reference=command.reference,
                    reason=command.reason,
                )
            self._journal.answer(reply, fact)

    async def import_stock(self, command: Import, reply: Reply[Fact]) -> None:
        """Set rows to their counted totals, all or none; the answer comes when it is durable.

        Raises:
            Refused: lines that cannot be applied, each with its reason.
        """
        async with AsyncExitStack() as pins:
            rows: list[StockActor] = []
            warehouses: dict[tuple[str, str], str] = {}
            for lines in steps(command.lines):
                pins.push_async_callback(checkpoint)  # letting go of many rows takes its time too
                rows += await self._pin(lines, pins)
                for line in lines:
                    if line.warehouse_name or (line.organization_id, line.warehouse_id) not in warehouses:
                        warehouses[line.organization_id, line.warehouse_id] = line.warehouse_name
                await checkpoint()
            prepared = await self._prepare_counts(command.lines, rows)
            if not isinstance(prepared, Prepared):
                refused = Refused(prepared)
                self._remember(command, refused)
                self._journal.answer(reply, error=refused)
                return
            with self._coordinator.holding(prepared):
                changed, unchanged = await _divided(command.lines, rows)
                created = sum(not row.state.record.exists for row in changed)
                fact = StockImported(len(command.lines), created, len(changed) - created, len(unchanged))
                request = remember(command, fact)
                await checkpoint()
                # Up to here the unchanged rows were held too: nobody may count them anew and be decided before this.
                _check_alive(unchanged)
                self._coordinator.abort(Prepared(prepared.transaction_id, unchanged))
                self._coordinator.decide(
                    Prepared(prepared.transaction_id, changed),
                    "import",
                    self._clock.now_ms(),
                    request=request,
                    warehouses=self._stock.new_warehouses([(*key, name) for key, name in warehouses.items()]),
                    reference=command.request_id,
                )
            self._journal.answer(reply, fact)

    async def _pin(self, lines: Sequence[CountedLine], pins: AsyncExitStack) -> list[StockActor]:
        """The rows of these lines, kept in memory as long as `pins` is open."""
        by_organization: dict[str, dict[str, None]] = {}
        for line in lines:
            by_organization.setdefault(line.organization_id, {})[line.variant_id] = None
        variants = {
            organization_id: pins.enter_context(await self._stock.pinned(organization_id, variant_ids))
            for organization_id, variant_ids in by_organization.items()
        }
        return [self._stock.row(variants[line.organization_id][line.variant_id], line.warehouse_id) for line in lines]

    async def _prepare_counts(
        self, lines: Sequence[CountedLine], rows: Sequence[StockActor]
    ) -> Prepared | ImportRejected:
        """Hold every row; which are to change is known only once nothing else on them is undecided."""
        while True:
            errors: list[LineError] = []
            for part in steps(zip(lines, rows, strict=True)):
                errors += [LineError(line.line_number, reason) for line, row in part if (reason := _why_not(line, row))]
                await checkpoint()
            if errors:
                _check_alive(rows)
                return ImportRejected(tuple(errors[:ERRORS_NAMED_MAX]), len(errors))
            counts = [(row, _count_of(line)) for line, row in zip(lines, rows, strict=True)]
            prepared = await self._coordinator.prepare_in_steps(counts)
            if isinstance(prepared, Prepared):
                return prepared
            # Reserved goods or undecided ones moved meanwhile: look again.

    def _remember(self, command: Receive | Import, refused: Refused) -> None:
        self._coordinator.decide(
            NOTHING_PREPARED, "remember", self._clock.now_ms(), request=remember(command, refused.refusal)
        )


def _check_alive(rows: Sequence[StockActor]) -> None:
    """What a crash took away meanwhile is not to be judged by.

    Raises:
        Unavailable: one of the rows is gone.
    """
    if any(row.is_retired for row in rows):
        raise restarting()


async def _divided(
    lines: Sequence[CountedLine], rows: Sequence[StockActor]
) -> tuple[list[StockActor], list[StockActor]]:
    """The rows that a count changes, and those that it does not."""
    changed: list[StockActor] = []
    unchanged: list[StockActor] = []
    for part in steps(zip(lines, rows, strict=True)):
        for line, row in part:
            (unchanged if _is_counted(row, line) else changed).append(row)
        await checkpoint()
    return changed, unchanged


def _count_of(line: CountedLine) -> Count:
    return Count(line.total, line.damaged, line.in_transit, line.min_stock, line.max_stock)


def _is_counted(row: StockActor, line: CountedLine) -> bool:
    record = row.state.record
    return record.exists and counted(line, record) == figures_of(record)


def _why_not(line: CountedLine, row: StockActor) -> str:
    reserved = row.state.record.reserved
    total, damaged, in_transit, min_stock, max_stock = figures = counted(line, row.state.record)
    if total - damaged - in_transit < reserved:
        return (
            f"total_quantity {total} less {damaged} damaged and {in_transit} in transit "
            f"does not cover the {reserved} that are reserved"
        )
    return "" if figures.levels_agree else f"min_stock {min_stock} must not exceed max_stock {max_stock}"

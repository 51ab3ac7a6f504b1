"""Goods that come in, are on their way or leave without a reservation: one turn for all of them.

Such a command belongs to no order; its idempotency key alone serializes retries. It chooses its rows, asks
`actors/goods_changes.py` for what changes in each, prepares that, and decides if the rows still say the same. Where a
row has moved in between, it lets everything go and looks again: what is decided or refused is true of one moment.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from actors.basket import existing_rows, plan, with_hint
from actors.commands import Adjust, Announce, Deduct, GoodsCommand, Line, Receive
from actors.goods_changes import changes_of
from actors.idempotency import remember
from actors.order_services import Hints, may_refuse
from actors.outcomes import (
    AdjustmentsRefused,
    Fact,
    InsufficientStock,
    Refusal,
    Refused,
    StockAdjusted,
    StockAnnounced,
    StockDeducted,
    StockReceived,
)
from actors.records import TransactionKind
from actors.reply import Reply
from actors.row_changes import Change
from actors.sourcing import Sourcing
from actors.stock_actor import StockActor
from actors.turn import Turn, awaited
from actors.two_phase import NOTHING_PREPARED, Prepared
from actors.unavailable import loss_outrun
from actors.variant_stock import Pinned, VariantStock
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal
from supervisor.transactions.losses import LOOKING_MS_MAX, LOOKS_MIN, Losses, ReadReservations
from supervisor.transactions.moved_rows import moved_rows
from supervisor.transactions.standing_orders import AskOrder

KIND_OF: dict[type[GoodsCommand], TransactionKind] = {
    Receive: "receive",
    Announce: "announce",
    Deduct: "deduct",
    Adjust: "adjust",
}


class Goods:
    """Carries out changes of goods. Their turns end when the outcome is durable.

    Args:
        clock, coordinator, journal, stock: where all transactions are made.
        hints: say when goods that are short may come back.
        read_reservations, ask_order: find and ask those that lose their goods.
    """

    def __init__(
        self,
        clock: ServiceClock,
        coordinator: Coordinator,
        journal: Journal,
        stock: StockDirectory,
        hints: Hints,
        read_reservations: ReadReservations,
        ask_order: AskOrder,
    ) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock
        self._hints = hints
        self._losses = Losses(clock, coordinator, journal, stock, hints, read_reservations, ask_order)

    def __repr__(self) -> str:
        return f"<Goods {self._journal!r}>"

    def move(self, command: GoodsCommand) -> Turn[Fact]:
        """Change all rows of the command, or none.

        Raises:
            Refused: a total would exceed 2^31-1, what leaves is not there, or a row is not as an adjustment has it; all
                rows that are wrong are named.
            Unavailable: the rows of a loss have moved for `LOOKING_MS_MAX` whenever it was known who holds them.
        """
        variant_ids = dict.fromkeys(line.variant_id for line in command.lines)
        answered: Reply[Fact]
        with Pinned((yield from self._stock.load(command.organization_id, variant_ids))) as variants:
            try:
                fact = yield from self._moved(command, variants)
            except Refused as refused:
                answered = self._refused(command, refused.refusal)
            else:
                answered = self._journal.answered(fact)
            return (yield from awaited(answered))

    def _moved(self, command: GoodsCommand, variants: Mapping[str, VariantStock]) -> Turn[Fact]:
        began_ms, outrun = self._clock.now_ms(), 0
        while True:
            sourcing = self._stock.sourcing(command.organization_id)
            try:
                rows = yield from self._rows(command, variants, sourcing)
            except Refused:
                if may_refuse(self._stock, command.organization_id, sourcing, variants):
                    raise
                continue
            try:
                changes = changes_of(command, rows)
            except Refused as refused:
                fact = yield from self._lost(command, rows, refused)
                if fact is not None:
                    return fact
                outrun += 1
                if outrun >= LOOKS_MIN and self._clock.now_ms() - began_ms > LOOKING_MS_MAX:
                    raise loss_outrun() from None
                continue
            prepared = yield from self._coordinator.prepare(changes)
            if not isinstance(prepared, Prepared):
                continue
            with prepared:
                is_open = self._stock.sourcing(command.organization_id) is sourcing
                if is_open and _says_the_same(command, rows, changes):
                    return self._decided(command, prepared, rows)
            prepared.abort()

    def _lost(self, command: GoodsCommand, rows: Sequence[StockActor], refused: Refused) -> Turn[Fact | None]:
        """The answer where adjustments are not of the rows as they stand. None: look at them again.

        Raises:
            Refused: it is refused.
        """
        if not isinstance(command, Adjust) or not isinstance(refused.refusal, AdjustmentsRefused):
            raise refused
        return (yield from self._losses.book(command, rows, refused.refusal))

    def _rows(
        self, command: GoodsCommand, variants: Mapping[str, VariantStock], sourcing: Sourcing
    ) -> Turn[list[StockActor]]:
        """The row of each line.

        Raises:
            Refused: the planner has no row for a line.
        """
        if isinstance(command, Deduct):
            return (yield from self._planned(command, variants, sourcing))
        if isinstance(command, Adjust):
            return (yield from existing_rows(command.lines, variants))
        return [self._stock.row(variants[line.variant_id], line.warehouse_id) for line in command.lines]

    def _planned(
        self, command: Deduct, variants: Mapping[str, VariantStock], sourcing: Sourcing
    ) -> Turn[list[StockActor]]:
        try:
            return (yield from plan(command.lines, variants, sourcing))
        except Refused as refused:
            if not isinstance(refused.refusal, InsufficientStock):
                raise
            now_ms, freed_at_ms = self._clock.now_ms(), self._hints.freed_at_ms
            raise Refused(with_hint(refused.refusal, command.organization_id, now_ms, freed_at_ms)) from None

    def _decided(self, command: GoodsCommand, prepared: Prepared, rows: Sequence[StockActor]) -> Fact:
        """Decide, in one synchronous step. The rows have granted it."""
        fact = self._fact(command, prepared, rows)
        named = [(command.organization_id, row.key.warehouse_id, "") for row in rows]
        self._coordinator.decide(
            prepared,
            KIND_OF[type(command)],
            self._clock.now_ms(),
            request=remember(command, fact),
            warehouses=self._stock.warehouses.new(named),
            reference=command.reference,
            reason=command.reason,
            origin=command.origin,
        )
        return fact

    def _fact(self, command: GoodsCommand, prepared: Prepared, rows: Sequence[StockActor]) -> Fact:
        moved = moved_rows(rows, prepared.transaction_id, self._stock.warehouses)
        begins = any(row.is_new for row in moved) and not self._stock.warehouses.have([command.organization_id])
        match command:
            case Receive():
                return StockReceived(moved, begins)
            case Announce():
                return StockAnnounced(moved, begins)
            case Adjust():
                return StockAdjusted(moved)
            case Deduct(lines=lines):
                taken = [
                    Line(line.variant_id, row.key.warehouse_id, line.quantity)
                    for line, row in zip(lines, rows, strict=True)
                ]
                return StockDeducted(moved, tuple(taken))
            case _ as never:
                assert_never(never)

    def _refused(self, command: GoodsCommand, refusal: Refusal) -> Reply[Fact]:
        """Remember the refusal. The reply raises it once it is durable."""
        request = remember(command, refusal)
        self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
        return self._journal.answered(error=Refused(refusal))


def _says_the_same(command: GoodsCommand, rows: Sequence[StockActor], changes: list[tuple[StockActor, Change]]) -> bool:
    """Whether the rows, as they stand now, change as it was planned. What they refuse now is looked at anew."""
    try:
        return changes_of(command, rows) == changes
    except Refused:
        return False

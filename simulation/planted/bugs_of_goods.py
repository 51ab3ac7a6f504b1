"""Planted bugs of goods that come in, are on their way or leave without a reservation."""

from typing import Any

from msgspec.structs import replace

import actors.goods_changes
import actors.stock_state
import supervisor.transactions.deleting
import supervisor.transactions.goods
from actors.commands import Adjust, Receive
from actors.goods_changes import changes_of, received
from actors.idempotency import remember
from actors.outcomes import Refused
from actors.records import Delta, RowChange, StockRecord
from actors.row_changes import Removal
from actors.stock_state import Hold, StockState, Verdict
from actors.turn import awaited
from actors.two_phase import NOTHING_PREPARED
from actors.variant_stock import Pinned, VariantStock
from simulation.planted.planting import Patches, bug
from storage.sql import rows
from supervisor.transactions.deleting import Deleting


@bug("goods that were announced are counted once more when they come in", "G4")
def announced_goods_counted_twice() -> Patches:
    def twice(lines: Any, record: Any) -> Delta:
        delta = received(lines, record)
        return Delta(delta.available, 0, delta.damaged)

    return [(actors.goods_changes, "received", twice)]


@bug("goods that came in damaged are put on sale", "G4")
def damaged_goods_on_sale() -> Patches:
    def on_sale(lines: Any, record: Any) -> Delta:
        delta = received(lines, record)
        return Delta(delta.available + delta.damaged, 0, 0, delta.in_transit)

    return [(actors.goods_changes, "received", on_sale)]


@bug("what a delivery draws down is not looked at again before the decision", "G4")
def drawn_down_as_it_was_planned() -> Patches:
    return _not_looked_at_again(Receive)


def _not_looked_at_again(kind: type) -> Patches:
    class Planned(list[Any]):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    def planned(command: Any, rows: Any) -> Any:
        changes = changes_of(command, rows)
        return Planned(changes) if isinstance(command, kind) else changes

    return [(supervisor.transactions.goods, "changes_of", planned)]


@bug("of several lines on one row only the first is moved", "G4")
def lines_of_a_sale_not_summed() -> Patches:
    return [(actors.goods_changes, "_pieces", lambda lines: lines[0].quantity)]


@bug("a count ignores the total that it expects", "G4", "G5")
def count_ignores_its_expectation() -> Patches:
    right = actors.goods_changes.why_not_adjusted
    return [
        (
            actors.goods_changes,
            "why_not_adjusted",
            lambda line, record: right(replace(line, expected_total=None), record),
        )
    ]


@bug("a count that was planned before a sale is decided after it", "G4", "G5")
def count_as_it_was_planned() -> Patches:
    return _not_looked_at_again(Adjust)


@bug("pieces that are marked as damaged stay on sale", "G4", "G8")
def damaged_stay_on_sale() -> Patches:
    def adjusted(line: Any, record: Any) -> Delta:
        delta = right(line, record)
        return Delta(0, 0, delta.damaged) if line.kind == "mark_damaged" else delta

    right = actors.goods_changes.adjusted
    return [(actors.goods_changes, "adjusted", adjusted)]


# ---- deletions ------------------------------------------------------------------------------------------------------


@bug("a row is deleted while others hold goods in it or are about to bring some", "G2", "G8", "no bug is met")
def deleted_beside_holds() -> Patches:
    right = StockState._prepare_alone

    def prepare_alone(self: StockState, transaction_id: int, change: Any) -> Verdict:
        if not isinstance(change, Removal) or not self.holds:
            return right(self, transaction_id, change)
        after = actors.stock_state._removed(self.record, change)
        self._hold(transaction_id, Hold(Delta(), RowChange(self.record, after)))
        return Verdict.GRANTED

    return [(StockState, "_prepare_alone", prepare_alone)]


@bug("a row that still has damaged or announced goods is deleted", "G8", "no bug is met")
def deleted_with_goods() -> Patches:
    right = actors.stock_state._removed

    def removed(before: StockRecord, removal: Removal) -> StockRecord:
        return right(replace(before, damaged=0, in_transit=0), removal)

    def empty_row(command: Any, variants: Any) -> Any:
        row = variants[command.variant_id].rows.get(command.warehouse_id)
        if row is not None and row.state.record.exists and not row.state.record.available + row.state.record.reserved:
            return row
        return right_row(command, variants)

    def prepare_alone(self: StockState, transaction_id: int, change: Any) -> Verdict:
        record = self.record
        if not isinstance(change, Removal) or self.holds or not record.exists or record.available + record.reserved:
            return right_alone(self, transaction_id, change)
        self._hold(transaction_id, Hold(Delta(), RowChange(record, removed(record, change))))
        return Verdict.GRANTED

    right_row, right_alone = supervisor.transactions.deleting._empty_row, StockState._prepare_alone
    return [
        (supervisor.transactions.deleting, "_empty_row", empty_row),
        (StockState, "_prepare_alone", prepare_alone),
    ]


@bug("memory forgets a deleted row before the database does", "G3", "G4", "G8", "no bug is met")
def deleted_row_forgotten_early() -> Patches:
    def drop(self: VariantStock) -> None:
        self.rows = {key: row for key, row in self.rows.items() if row.state.record.exists}
        self.has_unmade_rows = False

    def delete(self: Deleting, command: Any) -> Any:
        with Pinned((yield from self._stock.load(command.organization_id, (command.variant_id,)))) as variants:
            try:
                fact = yield from self._deleted(command, variants)
            except Refused as refused:
                request = remember(command, refused.refusal)
                self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
                answered: Any = self._journal.answered(error=refused)
            else:
                answered = self._journal.answered(fact)
        return (yield from awaited(answered))

    return [(VariantStock, "drop_unmade_rows", drop), (Deleting, "delete", delete)]


@bug("a row stays in the table though it was deleted", "G3", "G8", disk="sqlite")
def deleted_row_stays_in_the_table() -> Patches:
    right = rows.stock
    return [(rows, "stock", lambda batch: right(batch)._replace(deleted=[]))]


@bug("readers still see a row after its deletion", "G4")
def deleted_row_is_shown() -> Patches:
    return [(StockState, "publish", _publish_all_but_deletions)]


def _publish_all_but_deletions(self: StockState, record: StockRecord) -> None:
    if record.version > self.durable.version and not record.is_deleted:
        self.durable = self.record if record.version == self.record.version else record

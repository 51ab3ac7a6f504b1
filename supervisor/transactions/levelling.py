"""Levels of rows: from where on goods are few, are to be ordered again, or are too many.

They change no piece, but stand in the same records. So they are set as a count sets figures, alone: nothing else on the
row is undecided then, and a row that has its levels already is left as it is.
"""

from collections.abc import Mapping, Sequence

from actors.basket import existing_rows
from actors.idempotency import remember
from actors.outcomes import Fact, Refused
from actors.row_changes import Count, counted, figures_of
from actors.stock_actor import StockActor
from actors.turn import Turn
from actors.two_phase import Prepared
from actors.variant_stock import Pinned, VariantStock
from actors.views import StockView
from actors.warehouse_commands import LevelsLine, SetLevels
from actors.warehouse_outcomes import DisagreeingLevels, LevelsDisagree, LevelsSet
from supervisor.activations.stock_directory import StockDirectory
from supervisor.transactions.answering import Answering


class Levelling:
    """Sets levels. Its turns end when the outcome is durable."""

    def __init__(self, answering: Answering, stock: StockDirectory) -> None:
        self._answering = answering
        self._stock = stock

    def __repr__(self) -> str:
        return f"<Levelling {self._stock!r}>"

    def set_levels(self, command: SetLevels) -> Turn[Fact]:
        """Set the levels of all rows, or of none.

        Raises:
            Refused: there is no such row, or its levels would not agree; all such rows are named.
        """
        variant_ids = dict.fromkeys(line.variant_id for line in command.lines)
        with Pinned((yield from self._stock.load(command.organization_id, variant_ids))) as variants:
            return (yield from self._answering.answered(command, self._set(command, variants)))

    def _set(self, command: SetLevels, variants: Mapping[str, VariantStock]) -> Turn[Fact]:
        coordinator = self._answering.coordinator
        while True:
            rows = yield from existing_rows(command.lines, variants)
            _see_that_they_agree(command.lines, rows)
            changes = [(row, _count_of(line)) for line, row in zip(command.lines, rows, strict=True)]
            prepared = yield from coordinator.prepare(changes)
            if not isinstance(prepared, Prepared):
                continue  # another has set levels meanwhile
            with prepared:
                if all(row.state.record.exists for row in rows):
                    return self._decided(command, prepared, rows)
            prepared.abort()

    def _decided(self, command: SetLevels, prepared: Prepared, rows: Sequence[StockActor]) -> Fact:
        answering, coordinator = self._answering, self._answering.coordinator
        fact = LevelsSet(tuple([self._show(row, prepared) for row in rows]))
        kept = {row: None for line, row in zip(command.lines, rows, strict=True) if _has_levels(row, line)}
        Prepared(prepared.transaction_id, list(kept)).abort()
        changed = [row for row in prepared.rows if row not in kept]
        if not changed:
            answering.remember(command, fact)
            return fact
        coordinator.decide(
            Prepared(prepared.transaction_id, changed),
            "levels",
            answering.clock.now_ms(),
            request=remember(command, fact),
            reference=command.reference,
            reason=command.reason,
            origin=command.origin,
        )
        return fact

    def _show(self, row: StockActor, prepared: Prepared) -> StockView:
        change = row.state.foreseen(prepared.transaction_id)
        is_same = figures_of(change.before) == figures_of(change.after)
        record = change.before if is_same else change.after
        return StockView(record, self._stock.warehouses.decided_name_of(row.key))


def _count_of(line: LevelsLine) -> Count:
    return Count(None, None, None, line.min_stock, line.max_stock, line.reorder_point)


def _has_levels(row: StockActor, line: LevelsLine) -> bool:
    return counted(_count_of(line), row.state.record) == figures_of(row.state.record)


def _see_that_they_agree(lines: Sequence[LevelsLine], rows: Sequence[StockActor]) -> None:
    """Raises `Refused` where a minimum would exceed a maximum."""
    after = [(line, counted(_count_of(line), row.state.record)) for line, row in zip(lines, rows, strict=True)]
    wrong = [
        DisagreeingLevels(line.variant_id, line.warehouse_id, figures.min_stock, figures.max_stock)
        for line, figures in after
        if not figures.levels_agree
    ]
    if wrong:
        raise Refused(LevelsDisagree(tuple(wrong)))

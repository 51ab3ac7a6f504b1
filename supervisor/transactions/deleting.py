"""Stock rows that are taken away again: made by a typing error, or of goods that are no longer kept.

A deletion is a transaction like any other. It has its place in the journal, its line in the ledger, and its answer
under its idempotency key. What has to be true of it:

*Nothing is lost.* The row must have no piece of any kind, and no transaction may hold any part of it: the row grants a
removal alone, as it does a count, and others wait. So no reservation that holds stock can name a row that is gone, and
what is granted later is judged by a row that does not exist.

*The ledger adds up (G8).* The deletion's line begins and ends with 0 of everything. The lines before it add up to 0,
and a row that is made in the same place begins with 0. So the chain of a place goes on through all rows that stood
there, and the audit asks of a place without a row that its last line is a deletion.

*Versions.* In memory a deleted row has the next version of its own (`StockRecord.is_deleted`), so that what is durable
follows what is decided by versions, as always. The database deletes its row where the version is the one that the
service knows. A row that is made while the deletion is still on its way to the disk goes on counting; one that is made
later begins with version 1. Either has a new stock id, which the deletion chose, or which is made with the row.

*Readers* see the row until its deletion is durable: a crash could still take the deletion back. Only then does memory
forget the row.

Turned down: a mark in the table in place of a DELETE (every read and every update of every row would pay for it, and
a person who reads the tables would stumble over it).
"""

from collections.abc import Mapping

from actors.basket import missing_row
from actors.commands import Delete
from actors.idempotency import remember
from actors.outcomes import Fact, Refused, StockDeleted, StockNotEmpty
from actors.reply import Reply
from actors.row_changes import Removal
from actors.stock_actor import StockActor
from actors.turn import Turn, awaited
from actors.two_phase import NOTHING_PREPARED, Prepared
from actors.variant_stock import Pinned, VariantStock
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal


class Deleting:
    """Carries out deletions of rows. Their turns end when the outcome is durable."""

    def __init__(self, clock: ServiceClock, coordinator: Coordinator, journal: Journal, stock: StockDirectory) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock

    def __repr__(self) -> str:
        return f"<Deleting {self._journal!r}>"

    def delete(self, command: Delete) -> Turn[Fact]:
        """Take the row away.

        Raises:
            Refused: there is no such row, or it is not empty.
        """
        answered: Reply[Fact]
        with Pinned((yield from self._stock.load(command.organization_id, (command.variant_id,)))) as variants:
            try:
                fact = yield from self._deleted(command, variants)
            except Refused as refused:
                request = remember(command, refused.refusal)
                self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
                answered = self._journal.answered(error=refused)
            else:
                answered = self._journal.answered(fact)
            return (yield from awaited(answered))

    def _deleted(self, command: Delete, variants: Mapping[str, VariantStock]) -> Turn[Fact]:
        while True:
            row = _empty_row(command, variants)
            prepared = yield from self._coordinator.prepare(
                [(row, Removal(self._stock.new_stock_id(), self._stock.levels))]
            )
            if isinstance(prepared, Prepared):
                with prepared:
                    fact = StockDeleted(row.state.record.stock_id)
                    variants[command.variant_id].has_unmade_rows = True
                    self._coordinator.decide(
                        prepared,
                        "delete",
                        self._clock.now_ms(),
                        request=remember(command, fact),
                        reference=command.reference,
                        reason=command.reason,
                        origin=command.origin,
                    )
                return fact
            # The row has moved while it was held by others: what is said must be true of one moment.


def _empty_row(command: Delete, variants: Mapping[str, VariantStock]) -> StockActor:
    row = variants[command.variant_id].rows.get(command.warehouse_id)
    if row is None or not row.state.record.exists:
        raise Refused(missing_row(variants, command.variant_id, command.warehouse_id))
    record = row.state.record
    if record.total:
        quantities = (record.available, record.reserved, record.damaged, record.in_transit)
        raise Refused(StockNotEmpty(command.variant_id, command.warehouse_id, *quantities))
    return row

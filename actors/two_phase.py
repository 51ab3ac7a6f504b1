"""What a transaction is between its two phases, and the port by which actors prepare and decide."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import UNSET, Struct

from actors.records import From, RequestRecord, ReservationRecord, Transaction, TransactionKind, WarehouseRecord
from actors.row_changes import Change
from actors.sourcing import SourcingRecord
from actors.stock_actor import StockActor
from actors.stock_state import Verdict
from actors.transfer_records import TransferRecord
from actors.turn import Turn


class Prepared(Struct, frozen=True):
    """A transaction that its rows have granted, or are asked to.

    In a `with` block, whatever goes wrong lets all holds go. After the decision none is left to let go.
    """

    transaction_id: int
    rows: Sequence[StockActor]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()

    def abort(self) -> None:
        """Let every hold of the transaction go."""
        for row in self.rows:
            if not row.is_retired:
                row.abort(self.transaction_id)


class TurnedDown(Struct, frozen=True):
    """A transaction that a row refused; all its holds are gone."""

    verdict: Verdict
    row: StockActor


NOTHING_PREPARED = Prepared(0, ())
"""For transactions that change no row: a confirmation, a remembered answer."""


class TwoPhase(Protocol):
    """`supervisor.transactions.coordinator.Coordinator`, as actors see it."""

    def prepare(self, changes: Sequence[tuple[StockActor, Change]]) -> Turn[Prepared | TurnedDown]:
        """Take a hold on every row. Raises `Unavailable`."""
        ...

    def decide(
        self,
        prepared: Prepared,
        kind: TransactionKind,
        at_ms: int,
        *,
        reservation: ReservationRecord | None = None,
        request: RequestRecord | None = None,
        warehouses: tuple[WarehouseRecord, ...] = (),
        transfer: TransferRecord | None = None,
        sourcing: SourcingRecord | None = None,
        reference: str = "",
        reason: str = "",
        origin: From = UNSET,
    ) -> Transaction:
        """Commit, in one synchronous step. Raises `Unavailable`: nothing was decided."""
        ...

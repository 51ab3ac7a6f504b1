"""What a transaction is between its two phases, and the port by which actors prepare and decide."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from actors.records import RequestRecord, ReservationRecord, Transaction, TransactionKind, WarehouseRecord
from actors.row_changes import Change
from actors.stock_actor import StockActor
from actors.stock_state import Verdict
from actors.transfer_records import TransferRecord
from actors.turn import Turn


class Prepared(Struct, frozen=True):
    """A transaction that every row has granted."""

    transaction_id: int
    rows: Sequence[StockActor]


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

    def abort(self, prepared: Prepared) -> None:
        """Let every hold of the transaction go."""
        ...

    def holding(self, prepared: Prepared) -> AbstractContextManager[None]:
        """Whatever goes wrong inside lets the holds go."""
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
        reference: str = "",
        reason: str = "",
    ) -> Transaction:
        """Commit, in one synchronous step. Raises `Unavailable`: nothing was decided."""
        ...

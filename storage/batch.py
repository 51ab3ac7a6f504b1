"""A batch of the journal, folded into what a database has to write: each row once, in its last state.

A hundred orders for one variant change the same row a hundred times. The ledger needs all hundred lines; the
row itself needs only the last. Every adapter writes a `Batch`, so that all of them refuse the same bugs: a gap
in the LSNs, a change that does not start where the one before it ended, a row that breaks its invariants.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.records import ReservationRecord, RowChange, Transaction, WarehouseRecord
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferKey, TransferRecord


class Batch(Struct, frozen=True):
    """What a sequence of transactions leaves behind. Dictionaries keep the order of first appearance."""

    transactions: Sequence[Transaction]
    stock: dict[tuple[str, str, str], RowChange]  # from what the database has to what it shall have
    reserved: dict[tuple[str, str], ReservationRecord]  # made in this batch, in their last state
    moved: dict[tuple[str, str], ReservationRecord]  # made earlier, in their last state
    shipped: dict[tuple[str, str], None]  # of those moved, whose goods were shipped
    amended: dict[tuple[str, str], None]  # of those moved, whose items are others now
    again: dict[tuple[str, str], None]  # of those made, which the database has already, ended
    reserved_lsn: dict[tuple[str, str], int]
    warehouses: dict[tuple[str, str], WarehouseRecord]
    transfers: dict[TransferKey, tuple[TransferRecord, int]]  # in their last state, and its LSN
    sourcing: dict[str, SourcingRecord]  # by organization

    @property
    def first_lsn(self) -> int:
        return self.transactions[0].lsn

    @property
    def last_lsn(self) -> int:
        return self.transactions[-1].lsn

    @property
    def last_at_ms(self) -> int:
        return self.transactions[-1].at_ms


def fold(transactions: Sequence[Transaction]) -> Batch:
    """Fold a non-empty batch. Asserts that it is a piece of one journal; looks at nothing but the batch."""
    assert transactions
    batch = Batch(transactions, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    lsn = transactions[0].lsn
    for transaction in transactions:
        assert transaction.lsn == lsn, f"LSN {transaction.lsn} where {lsn} should be"
        lsn += 1
        _fold_changes(batch.stock, transaction)
        if transaction.reservation is not None:
            _fold_reservation(batch, transaction, transaction.reservation)
        if transaction.transfer is not None:
            batch.transfers[transaction.transfer.key] = transaction.transfer, transaction.lsn
        if transaction.sourcing is not None:
            batch.sourcing[transaction.sourcing.organization_id] = transaction.sourcing
        for warehouse in transaction.warehouses:
            batch.warehouses[warehouse.organization_id, warehouse.warehouse_id] = warehouse
    for change in batch.stock.values():
        change.after.check()
    return batch


def _fold_changes(stock: dict[tuple[str, str, str], RowChange], transaction: Transaction) -> None:
    for change in transaction.changes:
        before, after = change.before, change.after
        assert after.version == before.version + 1, change
        key = (after.organization_id, after.variant_id, after.warehouse_id)
        earlier = stock.get(key)
        if earlier is None:
            stock[key] = change
        else:
            assert earlier.after == before, f"{change} does not follow {earlier}"
            stock[key] = RowChange(earlier.before, after)


def _fold_reservation(batch: Batch, transaction: Transaction, reservation: ReservationRecord) -> None:
    key = (reservation.organization_id, reservation.reservation_id)
    if transaction.kind == "reserve":
        assert key not in batch.reserved, reservation
        assert key not in batch.moved, reservation
        batch.reserved[key] = reservation
        batch.reserved_lsn[key] = transaction.lsn
    elif transaction.kind == "reacquire":
        if key not in batch.reserved:
            batch.again[key] = None
        # It is made once more: the last of its order, with nothing left of what became of it earlier in the batch.
        for of_key in (batch.reserved, batch.moved, batch.shipped, batch.amended):
            of_key.pop(key, None)
        batch.reserved[key] = reservation
        batch.reserved_lsn[key] = transaction.lsn
    elif key in batch.reserved:
        batch.reserved[key] = reservation
    else:
        _fold_moved(batch, transaction, key, reservation)


def _fold_moved(batch: Batch, transaction: Transaction, key: tuple[str, str], reservation: ReservationRecord) -> None:
    batch.moved[key] = reservation
    if transaction.kind == "amend":
        batch.amended[key] = None
        batch.shipped.pop(key, None)
    elif transaction.kind == "fulfill" and key not in batch.amended:
        batch.shipped[key] = None

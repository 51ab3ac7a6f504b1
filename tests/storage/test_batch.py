"""Folding a batch: each row and reservation once, in its last state, and no bug passes."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors.records import RowChange, StockRecord, Transaction
from storage.batch import fold
from tests.storage.scribe import ORGANIZATION, Scribe


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


def test_a_hot_row_is_written_once_from_its_first_state_to_its_last(scribe: Scribe) -> None:
    scribe.receive(quantity=100)
    batch = fold([scribe.reserve(f"order{n}") for n in range(50)])
    (change,) = batch.stock.values()
    assert (change.before.available, change.before.version) == (100, 1)
    assert (change.after.available, change.after.version) == (50, 51)
    assert (batch.first_lsn, batch.last_lsn, batch.last_at_ms) == (2, 51, scribe.at_ms)


def test_a_row_made_and_changed_in_one_batch_is_made(scribe: Scribe) -> None:
    batch = fold([scribe.receive(), scribe.reserve()])
    (change,) = batch.stock.values()
    assert not change.before.exists
    assert change.after.version == 2


def test_a_reservation_made_and_moved_in_one_batch_is_made_in_its_last_state(scribe: Scribe) -> None:
    history = [scribe.receive(), scribe.reserve()]
    history.append(scribe.confirm(scribe.only_reservation()))
    batch = fold(history)
    assert list(batch.reserved.values()) == [scribe.only_reservation()]
    assert list(batch.reserved_lsn.values()) == [2]
    assert batch.moved == {}


def test_a_reservation_moved_twice_is_moved_once(scribe: Scribe) -> None:
    scribe.reserve_after_receiving()
    batch = fold([scribe.confirm(scribe.only_reservation()), scribe.fulfill(scribe.only_reservation())])
    assert batch.reserved == {}
    assert list(batch.moved.values()) == [scribe.only_reservation()]


def forked(transaction: Transaction) -> Transaction:
    (change,) = transaction.changes
    return replace(transaction, changes=(replace(change, before=replace(change.before, available=99)),))


def skipping(transaction: Transaction) -> Transaction:
    (change,) = transaction.changes
    return replace(transaction, changes=(replace(change, after=replace(change.after, version=9)),))


def broken(transaction: Transaction) -> Transaction:
    before = StockRecord(ORGANIZATION, "x", "w", "stock")
    change = RowChange(before, replace(before, available=2**31 - 1, reserved=1, version=1))
    return replace(transaction, changes=(change,))


@pytest.mark.parametrize("spoil", [forked, skipping, broken, lambda t: replace(t, lsn=9)])
def test_a_bug_in_the_batch_is_caught(scribe: Scribe, spoil: Callable[[Transaction], Transaction]) -> None:
    history = [scribe.receive(), scribe.reserve()]
    fold(history)
    with pytest.raises(AssertionError):
        fold([history[0], spoil(history[1])])


def test_a_reservation_is_made_once(scribe: Scribe) -> None:
    history = [scribe.receive(), scribe.reserve(reservation_id="r"), scribe.reserve(reservation_id="r")]
    with pytest.raises(AssertionError):
        fold(history)


def test_there_is_no_empty_batch() -> None:
    with pytest.raises(AssertionError):
        fold([])

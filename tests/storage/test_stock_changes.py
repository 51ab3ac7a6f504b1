"""Which of a batch's rows are written whole, and which by what a sale changes of them."""

from typing import get_args

import pytest

from actors.records import RowChange, StockRecord, Transaction, TransactionKind
from storage.batch import fold
from storage.sql import rows

# What these change beside the available and the reserved pieces, or they make rows, or delete them.
WHOLE = {
    *("receive", "announce", "deduct", "adjust", "delete", "levels", "import"),
    *("ship_transfer", "receive_transfer", "cancel_transfer"),
}
NO_ROWS = {"warehouse", "sourcing"}
BEFORE = StockRecord("o", "v", "w", "s", 5, 1, 1, 2, 3, 9, 4, 7)


def transaction(kind: TransactionKind, lsn: int, before: StockRecord, after: StockRecord) -> Transaction:
    return Transaction(lsn, 1_000, kind, (RowChange(before, after),))


def test_each_kind_is_a_sale_or_none() -> None:
    assert set(get_args(TransactionKind)) == rows.SALES | WHOLE | NO_ROWS
    assert not rows.SALES & (WHOLE | NO_ROWS)


@pytest.mark.parametrize("kind", sorted(rows.SALES - {"reserve", "reacquire"}))
def test_a_sale_writes_the_two_figures_that_it_changes(kind: TransactionKind) -> None:
    after = StockRecord("o", "v", "w", "s", 4, 2, 1, 2, 3, 9, 4, 8)
    changes = rows.stock(fold([transaction(kind, 1, BEFORE, after)]))
    assert [len(row) for row in changes.sold] == [len(rows.STOCK_SOLD.split())]
    assert changes == ([], [("o", "v", "w", "s", 4, 2, 8, 7)], [], [])


def test_beside_another_change_a_sale_is_written_whole() -> None:
    sold = StockRecord("o", "v", "w", "s", 4, 2, 1, 2, 3, 9, 4, 8)
    adjusted = StockRecord("o", "v", "w", "s", 3, 2, 2, 2, 3, 9, 4, 9)
    changes = rows.stock(fold([transaction("expire", 1, BEFORE, sold), transaction("adjust", 2, sold, adjusted)]))
    assert changes == ([], [], [("o", "v", "w", "s", 3, 2, 2, 2, 3, 9, 4, 9, 7)], [])

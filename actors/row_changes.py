"""What a transaction asks of one stock row."""

from typing import NamedTuple

from msgspec import Struct

from actors.commands import CountedLine
from actors.plain_value import PlainValue
from actors.records import Delta, StockRecord


class Levels(PlainValue, frozen=True):
    """The levels of a row that is made without a word about them. A maximum of 0 is none."""

    min_stock: int = 0
    max_stock: int = 0
    reorder_point: int = 0


class Count(PlainValue, frozen=True):
    """A row's change that sets absolute figures: its delta is known only when nothing else on the row is undecided.

    A figure that is None stays as it is; on a new row it is 0, and a level is the one that new rows have.
    """

    total: int | None
    damaged: int | None
    in_transit: int | None
    min_stock: int | None
    max_stock: int | None
    reorder_point: int | None = None


class Figures(NamedTuple):
    """What a count says about a row, after the row has said what the count leaves open."""

    total: int
    damaged: int
    in_transit: int
    min_stock: int
    max_stock: int
    reorder_point: int

    @property
    def levels_agree(self) -> bool:
        """Whether the minimum is at most the maximum; a maximum of 0 is none."""
        return self.max_stock == 0 or self.min_stock <= self.max_stock


def figures_of(record: StockRecord) -> Figures:
    """The figures that a count can set."""
    levels = record.min_stock, record.max_stock, record.reorder_point
    return Figures(record.total, record.damaged, record.in_transit, *levels)


def counted(count: Count | CountedLine, record: StockRecord) -> Figures:
    """The figures that the row has after the count."""
    reorder_point = count.reorder_point
    return Figures(
        record.total if count.total is None else count.total,
        record.damaged if count.damaged is None else count.damaged,
        record.in_transit if count.in_transit is None else count.in_transit,
        record.min_stock if count.min_stock is None else count.min_stock,
        record.max_stock if count.max_stock is None else count.max_stock,
        reorder_point if isinstance(reorder_point, int) else record.reorder_point,
    )


class Removal(PlainValue, frozen=True):
    """A row's change that ends it. Only an empty row can be removed, and only while nothing on it is undecided.

    Of the row that may be made in its place, `next_stock_id` is the id and `next_levels` are the levels.
    """

    next_stock_id: str
    next_levels: Levels = Levels()


Change = Delta | Count | Removal


class Prepare(Struct, frozen=True):
    """First phase: hold what the change would take from this row, for this transaction, or say why not."""

    transaction_id: int
    change: Change

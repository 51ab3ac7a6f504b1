"""Commands: what callers ask of the service. Imperative, immutable, and already validated at the door
(`rpc/messages/validation.py`).
"""

from typing import NamedTuple

from msgspec import Struct

from actors.records import Delta, StockRecord


class Line(Struct, frozen=True, gc=False):
    """A wish for `quantity` pieces. An empty warehouse lets the planner choose one."""

    variant_id: str
    warehouse_id: str
    quantity: int


class Reserve(Struct, frozen=True):
    """Hold these lines for an order, all or none, for `ttl_minutes`."""

    organization_id: str
    order_id: str
    lines: tuple[Line, ...]
    ttl_minutes: int
    request_id: str = ""  # the idempotency key, if the caller gave one


class Confirm(Struct, frozen=True):
    """The payment succeeded: the time limit goes, the goods stay reserved until they are shipped."""

    organization_id: str
    reservation_id: str
    order_id: str


class Release(Struct, frozen=True):
    """The payment failed or the order was cancelled: the goods go back."""

    organization_id: str
    reservation_id: str
    reason: str


class Fulfill(Struct, frozen=True):
    """The goods of a confirmed reservation were shipped: they leave `reserved` and the total."""

    organization_id: str
    reservation_id: str
    request_id: str
    reference: str = ""


class Expire(Struct, frozen=True):
    """The time limit of the order's reservation may have passed: look, and give the goods back if so."""

    organization_id: str
    order_id: str


class Receive(Struct, frozen=True):
    """Goods arrived: add them to a row, which is made if it does not exist."""

    organization_id: str
    variant_id: str
    warehouse_id: str
    quantity: int
    request_id: str
    reason: str = ""
    reference: str = ""


class CountedLine(Struct, frozen=True, gc=False):
    """A row as it was counted. A figure that is None stays as it is. `line_number` names the line if it is bad."""

    organization_id: str
    variant_id: str
    warehouse_id: str
    warehouse_name: str
    total: int | None
    damaged: int | None
    in_transit: int | None
    min_stock: int | None
    max_stock: int | None
    line_number: int


class Import(Struct, frozen=True):
    """Set rows to counted totals, all or none."""

    lines: tuple[CountedLine, ...]
    request_id: str


OrderCommand = Reserve | Confirm | Release | Fulfill | Expire
Command = OrderCommand | Receive | Import


class Count(Struct, frozen=True, gc=False):
    """A row's change that sets absolute figures: its delta is known only when nothing else on the row is undecided.

    A figure that is None stays as it is, and is 0 on a new row.
    """

    total: int | None
    damaged: int | None
    in_transit: int | None
    min_stock: int | None
    max_stock: int | None


class Figures(NamedTuple):
    """What a count says about a row, after the row has said what the count leaves open."""

    total: int
    damaged: int
    in_transit: int
    min_stock: int
    max_stock: int

    @property
    def levels_agree(self) -> bool:
        """Whether the minimum is at most the maximum; a maximum of 0 is none."""
        return self.max_stock == 0 or self.min_stock <= self.max_stock


def figures_of(record: StockRecord) -> Figures:
    """The figures that a count can set."""
    return Figures(record.total, record.damaged, record.in_transit, record.min_stock, record.max_stock)


def counted(count: Count | CountedLine, record: StockRecord) -> Figures:
    """The figures that the row has after the count."""
    return Figures(
        record.total if count.total is None else count.total,
        record.damaged if count.damaged is None else count.damaged,
        record.in_transit if count.in_transit is None else count.in_transit,
        record.min_stock if count.min_stock is None else count.min_stock,
        record.max_stock if count.max_stock is None else count.max_stock,
    )


Change = Delta | Count


class Prepare(Struct, frozen=True):
    """First phase: hold what the change would take from this row, for this transaction, or say why not."""

    transaction_id: int
    change: Change

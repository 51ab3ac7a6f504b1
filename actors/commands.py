"""Commands: what callers ask of the service. Imperative, immutable, and already validated at the door
(`rpc/messages/validation.py`).
"""

from msgspec import Struct

from actors.records import Delta


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
    """A row as it was counted. `line_number` names it to the caller if it is bad."""

    organization_id: str
    variant_id: str
    warehouse_id: str
    warehouse_name: str
    total: int
    damaged: int
    in_transit: int
    min_stock: int
    max_stock: int
    line_number: int


class Import(Struct, frozen=True):
    """Set rows to counted totals, all or none."""

    lines: tuple[CountedLine, ...]
    request_id: str


OrderCommand = Reserve | Confirm | Release | Fulfill | Expire
Command = OrderCommand | Receive | Import


class Count(Struct, frozen=True, gc=False):
    """A row's change that sets absolute figures: its delta is known only when nothing else on the row is undecided."""

    total: int
    damaged: int
    in_transit: int
    min_stock: int
    max_stock: int


Change = Delta | Count


class Prepare(Struct, frozen=True):
    """First phase: hold what the change would take from this row, for this transaction, or say why not."""

    transaction_id: int
    change: Change

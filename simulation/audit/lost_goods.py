"""Losses of goods that reservations held, written a second time for the auditor."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from actors.commands import Adjust, Adjustment
from actors.idempotency import recall
from actors.outcomes import StockAdjusted
from actors.records import ReservationRecord, StockRecord, Transaction
from actors.shortfall import Uncovered

Row = tuple[str, str]  # variant and warehouse
Holders = Callable[[Row], Sequence[ReservationRecord]]
"""Those that hold pieces of the row in some state."""


class Shortfall(NamedTuple):
    """What a loss leaves without its goods, and the reservations that it does so to."""

    told: tuple[Uncovered, ...] = ()
    reservations: tuple[ReservationRecord, ...] = ()

    @property
    def may_be_released(self) -> bool:
        return bool(self.told) and all(one.state == "active" for one in self.reservations)


def gone(line: Adjustment, record: StockRecord) -> int:
    """How many reserved pieces are gone by this line; 0 if the row has enough without them, or has fewer."""
    if line.expected_total is not None and line.expected_total != record.total:
        return 0
    lost = {
        "delta": -line.pieces,
        "mark_damaged": line.pieces,
        "repair": 0,
        "write_off_damaged": 0,
        "count": record.total - line.pieces,
    }[line.kind]
    return lost - record.available if record.available < lost <= record.available + record.reserved else 0


def shortfall_of(request: Adjust, at: Callable[[Row], StockRecord | None], holders: Holders) -> Shortfall:
    """The newest that are active first, then the newest that are confirmed; one that is named gives all it has."""
    named: list[ReservationRecord] = []
    told: list[Uncovered] = []
    for line in request.lines:
        row, record = (line.variant_id, line.warehouse_id), at((line.variant_id, line.warehouse_id))
        left = gone(line, record) if record is not None and record.exists else 0
        newest = sorted(holders(row), key=lambda one: one.reservation_id, reverse=True)
        newest.sort(key=lambda one: one.state == "confirmed")
        for one in [*named, *[one for one in newest if one not in named]]:
            items = [item for item in one.items if (item.variant_id, item.warehouse_id) == row]
            lost = min(left, sum(item.quantity - item.fulfilled for item in items))
            if lost > 0:
                told.append(Uncovered(one.reservation_id, one.order_id, *row, lost, one.state == "confirmed"))
                left -= lost
                if one not in named:
                    named.append(one)
    return Shortfall(tuple(told), tuple(named))


def why_no_loss(request: Adjust, fact: StockAdjusted, expected: Shortfall) -> str:
    """What is wrong with what an adjustment says that it released; empty if nothing is."""
    if expected.told and not request.release_uncovered:
        return "reservations were not to be released"
    if expected.told and not expected.may_be_released:
        return f"confirmed ones are not covered: {expected.told!r}"
    released = tuple([one.reservation_id for one in expected.reservations])
    if (fact.released, fact.shortfall) != (released, expected.told):
        return f"{expected.told!r} is what is not covered"
    return ""


def releases_of_losses(transactions: Sequence[Transaction]) -> dict[int, Transaction]:
    """The adjustment by the LSN of each release that comes with it: right before it, in the order of its answer."""
    found = {}
    for transaction in transactions:
        fact = recall(transaction.request) if transaction.kind == "adjust" and transaction.request else None
        if not isinstance(fact, StockAdjusted):
            continue
        for lsn, reservation_id in enumerate(fact.released, transaction.lsn - len(fact.released)):
            release = transactions[lsn - 1] if lsn > 0 else transaction
            if release.reservation is not None and release.reservation.reservation_id == reservation_id:
                found[lsn] = transaction
    return found


def why_no_release(release: Transaction, adjustment: Transaction) -> str:
    """What is wrong with a release that comes with a loss; empty if nothing is."""
    said = release.kind, release.reason, release.reference, release.origin, release.at_ms
    wanted = "release", "stock_lost", adjustment.reference, adjustment.origin, adjustment.at_ms
    return "" if said == wanted else f"it is {said!r}, and the loss says {wanted!r}"

"""What a shipment takes from a reservation's items.

Lines name rows, and a reservation may have several items on one row: they are shipped in the reservation's order. A
line without a warehouse takes what the lines with one leave, again in that order.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.commands import Line
from actors.outcomes import MoreThanReserved, Refused, RefusedShipment, ReservationFulfilled
from actors.records import ReservationItem, ReservationRecord


def items_after(reservation: ReservationRecord, lines: Sequence[Line]) -> tuple[ReservationItem, ...]:
    """The items after these lines were shipped or, if there are none, all that is left.

    Raises:
        Refused: of some rows more is to be shipped than there is; all of those are named.
    """
    if not lines:
        return tuple([replace(item, fulfilled=item.quantity) for item in reservation.items])
    wanted: dict[tuple[str, str], int] = {}
    for line in sorted(lines, key=lambda line: not line.warehouse_id):
        row = (line.variant_id, line.warehouse_id)
        wanted[row] = wanted.get(row, 0) + line.quantity
    left = [item.unshipped for item in reservation.items]
    wrong = []
    for row, quantity in wanted.items():
        places = [place for place, item in enumerate(reservation.items) if _is_there(item, row)]
        there = sum(left[place] for place in places)
        if quantity > there:
            wrong.append(RefusedShipment(*row, quantity, there))
        for place in places:
            taken = min(quantity, left[place])
            left[place] -= taken
            quantity -= taken
    if wrong:
        raise Refused(MoreThanReserved(reservation.reservation_id, tuple(wrong)))
    return tuple(
        [replace(item, fulfilled=item.quantity - rest) for item, rest in zip(reservation.items, left, strict=True)]
    )


def shipped(before: ReservationRecord, after: ReservationRecord, at_ms: int) -> ReservationFulfilled:
    """What is said of a shipment. One that was made already, all of it, is told as it was."""
    if after is before:
        pieces = [item.fulfilled for item in after.items]
        return ReservationFulfilled(after, sum(map(bool, pieces)), sum(pieces), after.ended_at_ms)
    pieces = [now.fulfilled - was.fulfilled for was, now in zip(before.items, after.items, strict=True)]
    return ReservationFulfilled(after, sum(map(bool, pieces)), sum(pieces), at_ms)


def _is_there(item: ReservationItem, row: tuple[str, str]) -> bool:
    return item.variant_id == row[0] and row[1] in ("", item.warehouse_id)

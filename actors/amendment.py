"""What a new basket makes of a reservation.

A line goes on where it was: the lines of the new basket continue the items of the old one, those that ask for the same
first, in order; then lines without a warehouse continue what is left of their variant. If the goods are there the line
stays in its warehouse; if not, lines that name no warehouse are planned anew, as if the reservation's own pieces were
free. Only an item of which something was shipped cannot move.

Nothing is given back before all is granted: one transaction holds what each row gains and what it gives, and moves
them together. So pieces that are kept never leave the reservation, and a refusal leaves it as it was.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence

from msgspec.structs import replace

from actors.commands import Line
from actors.outcomes import Refused, ShippedAlready, UnaskedShipment
from actors.records import ReservationItem, ReservationRecord
from actors.stock_actor import StockActor

Row = tuple[str, str]  # variant and warehouse


def wishes_of(reservation: ReservationRecord, lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The new basket twice: every line where it was, and only those lines that cannot move.

    Raises:
        Refused: more was shipped from some rows than the basket has there.
    """
    items = reservation.items
    continued = _continued(lines, items)
    staying = [_there(line, items[place]) if place >= 0 else line for line, place in zip(lines, continued, strict=True)]
    bound = [
        stays if place >= 0 and items[place].fulfilled else line
        for line, stays, place in zip(lines, staying, continued, strict=True)
    ]
    _check_shipped(reservation, bound)
    return staying, bound


def _continued(lines: Sequence[Line], items: Sequence[ReservationItem]) -> list[int]:
    """For each line the place of the item that it continues; -1 for none."""
    continued = [-1] * len(lines)
    places: dict[Hashable, deque[int]] = {}
    for place, item in enumerate(items):
        places.setdefault((item.variant_id, item.requested_warehouse_id), deque()).append(place)
    for number, line in enumerate(lines):
        if left := places.get((line.variant_id, line.warehouse_id)):
            continued[number] = left.popleft()
    taken = set(continued)
    of_variant: dict[str, deque[int]] = {}
    for place, item in enumerate(items):
        if place not in taken:
            of_variant.setdefault(item.variant_id, deque()).append(place)
    for number, line in enumerate(lines):
        if continued[number] < 0 and not line.warehouse_id and (left := of_variant.get(line.variant_id)):
            continued[number] = left.popleft()
    return continued


def _there(line: Line, item: ReservationItem) -> Line:
    return Line(line.variant_id, item.warehouse_id, line.quantity)


def _check_shipped(reservation: ReservationRecord, bound: Sequence[Line]) -> None:
    asked = _sums([((line.variant_id, line.warehouse_id), line.quantity) for line in bound])
    shipped = pieces_of(reservation, lambda item: item.fulfilled)
    wrong = [
        UnaskedShipment(*row, pieces, asked.get(row, 0))
        for row, pieces in shipped.items()
        if pieces > asked.get(row, 0)
    ]
    if wrong:
        raise Refused(ShippedAlready(reservation.reservation_id, tuple(wrong)))


def pieces_of(reservation: ReservationRecord, count: Callable[[ReservationItem], int]) -> dict[Row, int]:
    """A count of the reservation's items, by row."""
    return _sums([((item.variant_id, item.warehouse_id), count(item)) for item in reservation.items])


def _sums(pieces: Sequence[tuple[Row, int]]) -> dict[Row, int]:
    sums: dict[Row, int] = {}
    for row, quantity in pieces:
        sums[row] = sums.get(row, 0) + quantity
    return sums


def amended(
    reservation: ReservationRecord, lines: Sequence[Line], rows: Sequence[StockActor], now_ms: int
) -> ReservationRecord:
    """The reservation with its new basket, judged by the rows as they stand just before the commit. If all of the
    basket was shipped already it is fulfilled.
    """
    shipped = pieces_of(reservation, lambda item: item.fulfilled)
    left = pieces_of(reservation, lambda item: item.unshipped)  # and what the rows have beside it
    seen: set[Row] = set()
    items = []
    for line, actor in zip(lines, rows, strict=True):
        record = actor.state.record
        row = (line.variant_id, record.warehouse_id)
        if row not in seen:
            seen.add(row)
            left[row] = left.get(row, 0) + record.available
        gone = min(shipped.get(row, 0), line.quantity)
        shipped[row] = shipped.get(row, 0) - gone
        before = left[row]
        left[row] = after = before - line.quantity + gone
        where = line.variant_id, record.warehouse_id, line.warehouse_id, record.stock_id
        items.append(ReservationItem(*where, line.quantity, before, after, gone))
    changed = replace(reservation, items=tuple(items), asked="")
    return changed.moved("fulfilled", now_ms) if changed.fulfilled == changed.quantity else changed


def same_rows(reservation: ReservationRecord) -> tuple[list[Line], list[Line]]:
    """What a reservation is taken again as: first from the rows that it had, or else as it was asked for."""
    items = reservation.items
    return (
        [Line(item.variant_id, item.warehouse_id, item.quantity) for item in items],
        [Line(item.variant_id, item.requested_warehouse_id, item.quantity) for item in items],
    )


def taken_again(
    reservation: ReservationRecord, items: tuple[ReservationItem, ...], expires_at_ms: int
) -> ReservationRecord:
    """The reservation after its goods were taken again."""
    return replace(reservation, state="active", items=items, expires_at_ms=expires_at_ms, ended_at_ms=0, reason="")

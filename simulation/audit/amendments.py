"""What another basket makes of a reservation, and how it is taken again, written a second time for the auditor."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from actors.commands import Amend, Line, Reacquire
from actors.outcomes import UnaskedShipment
from actors.records import Delta, ReservationItem, ReservationRecord, StockKey, StockRecord, Transaction
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from simulation.audit.choice import choose
from simulation.audit.legal_moves import Deltas
from simulation.audit.refused_baskets import refusal_by
from simulation.audit.sites import Sites

Free = dict[str, dict[str, int]]
Stood = Callable[[StockKey], StockRecord | None]
"""A row before the entry."""

Row = tuple[str, str]


def why_no_rebooking(
    transaction: Transaction, before: ReservationRecord, after: ReservationRecord, deltas: Deltas, stood: Stood
) -> Iterator[tuple[str, str]]:
    """Why the entry does not follow: the guarantee that it breaks and a sentence, for each thing that is wrong."""
    kind, name, at_ms = transaction.kind, after.reservation_id, transaction.at_ms
    if kind == "amend":
        is_over = all(item.fulfilled == item.quantity for item in after.items)
        wanted = replace(before, items=after.items, asked="")
        if is_over:
            wanted = replace(wanted, state="fulfilled", ended_at_ms=at_ms)
        if before.state not in ("active", "confirmed"):
            yield "G8", f"{name} is amended though it is {before.state}"
    else:
        again = {"state": "active", "expires_at_ms": after.expires_at_ms, "ended_at_ms": 0, "reason": ""}
        wanted = replace(before, items=after.items, **again)
        if before.state != "expired" or after.expires_at_ms <= at_ms:
            yield "G8", f"{name} is taken again though it is {before.state}, until {after.expires_at_ms}"
        if [_asked(item) for item in before.items] != [_asked(item) for item in after.items]:
            yield "G2", f"{name} is taken again as {after.items}, and was {before.items}"
    if after != wanted:
        yield "G8", f"{kind} makes {after}, not {wanted}"
    if _by_row(before, "fulfilled") != _by_row(after, "fulfilled"):
        yield "G8", f"{kind} of {name} changes what was shipped"
    moved = _moved(before if kind == "amend" else replace(before, items=()), after)
    if deltas != moved:
        yield "G2", f"{kind} of {name} moves {deltas}, not {moved}"
    yield from _why_wrong_figures(before if kind == "amend" else replace(before, items=()), after, stood)


def _asked(item: ReservationItem) -> tuple[str, str, int]:
    return item.variant_id, item.requested_warehouse_id, item.quantity


def _by_row(reservation: ReservationRecord, what: str) -> dict[Row, int]:
    pieces: dict[Row, int] = {}
    for item in reservation.items:
        number = item.quantity - item.fulfilled if what == "held" else getattr(item, what)
        if number:
            row = (item.variant_id, item.warehouse_id)
            pieces[row] = pieces.get(row, 0) + number
    return pieces


def _moved(before: ReservationRecord, after: ReservationRecord) -> Deltas:
    had, has = _by_row(before, "held"), _by_row(after, "held")
    more = {row: has.get(row, 0) - had.get(row, 0) for row in {**had, **has}}
    return {StockKey(after.organization_id, *row): Delta(-pieces, pieces) for row, pieces in more.items() if pieces}


def _why_wrong_figures(before: ReservationRecord, after: ReservationRecord, stood: Stood) -> Iterator[tuple[str, str]]:
    """Each item says what its row had for it, its own pieces included, and what is left."""
    left = _by_row(before, "held")
    seen: dict[Row, None] = {}
    for item in after.items:
        row = (item.variant_id, item.warehouse_id)
        record = stood(StockKey(after.organization_id, *row))
        if row not in seen:
            seen[row] = None
            left[row] = left.get(row, 0) + (record.available if record is not None else 0)
        if record is None or item.stock_id != record.stock_id:
            yield "G8", f"an item of {after.reservation_id} names the row {item.stock_id}"
        rest = left[row] - item.quantity + item.fulfilled
        if (item.stock_before, item.stock_after) != (left[row], rest) or not 0 <= item.fulfilled <= item.quantity:
            yield "G4", f"{item} says something else than {left[row]} → {rest}"
        left[row] = rest


def why_not_amended(command: Amend, transaction: Transaction) -> str:
    """Why the entry makes another basket than the command asks for; empty if it does not."""
    items = transaction.reservation.items if transaction.reservation is not None else ()
    if [_asked(item) for item in items] != [
        (line.variant_id, line.warehouse_id, line.quantity) for line in command.lines
    ]:
        return f"makes {items}"
    if any(item.requested_warehouse_id not in ("", item.warehouse_id) for item in items):
        return f"takes from elsewhere: {items}"
    return ""


# ---- where it is taken from, and when it is refused -----------------------------------------------------------------


def wishes(request: Amend | Reacquire, record: ReservationRecord) -> tuple[list[Line], list[Line]]:
    """The basket with every line where it was, and with those alone bound that cannot move."""
    if isinstance(request, Reacquire):
        items = record.items
        stay = [Line(item.variant_id, item.warehouse_id, item.quantity) for item in items]
        return stay, [Line(item.variant_id, item.requested_warehouse_id, item.quantity) for item in items]
    stay, bound = list(request.lines), list(request.lines)
    open_items = list(record.items)
    open_lines = list(range(len(stay)))
    for must_agree in (True, False):
        for number in list(open_lines):
            line = request.lines[number]
            for item in open_items:
                agrees = line.warehouse_id == item.requested_warehouse_id if must_agree else line.warehouse_id == ""
                if item.variant_id == line.variant_id and agrees:
                    stay[number] = Line(line.variant_id, item.warehouse_id, line.quantity)
                    if item.fulfilled:
                        bound[number] = stay[number]
                    open_items.remove(item)
                    open_lines.remove(number)
                    break
    return stay, bound


def own_of(request: Amend | Reacquire, record: ReservationRecord) -> dict[Row, int]:
    """The reservation's own pieces, shipped ones included, which count as free for its new basket."""
    return _by_row(record, "quantity") if isinstance(request, Amend) else {}


def beside(free: Free, own: Mapping[Row, int], sites: Sites) -> Free:
    """What is free for the basket: where goods may not be taken, its own alone."""
    return {
        variant: {
            place: (0 if place in sites.shut else pieces) + own.get((variant, place), 0)
            for place, pieces in rows.items()
            if place not in sites.shut or (variant, place) in own
        }
        for variant, rows in free.items()
    }


def chosen_again(request: Amend | Reacquire, record: ReservationRecord, free: Free, sites: Sites) -> list[str] | None:
    """The warehouse of each line, in a state in which nothing else is under way; None if the basket does not fit."""
    for lines in wishes(request, record):
        choices = choose(lines, beside(free, own_of(request, record), sites), sites)
        if all(choice.fits for choice in choices):
            return [choice.warehouse_id for choice in choices]
    return None


def refusal_again(request: Amend | Reacquire, record: ReservationRecord, free: Free, sites: Sites) -> object:
    """The refusal of the basket in this state; None if it fits."""
    _, lines = wishes(request, record)
    own = own_of(request, record)
    asked = _sum(lines)
    more = [
        ClosedRow(line.variant_id, line.warehouse_id)
        for line in lines
        if line.warehouse_id in sites.shut
        and asked[line.variant_id, line.warehouse_id] > own.get((line.variant_id, line.warehouse_id), 0)
    ]
    if more:
        return WarehouseInactive(tuple(dict.fromkeys(more)))
    there = beside(free, own, sites)
    choices = [
        choice._replace(found=True) if not line.warehouse_id and free.get(line.variant_id) else choice
        for line, choice in zip(lines, choose(lines, there, sites), strict=True)
    ]
    return refusal_by(lines, there, choices)


def unasked(request: Amend, record: ReservationRecord | None) -> tuple[UnaskedShipment, ...]:
    """The rows from which more was shipped than the new basket has there."""
    if record is None:
        return ()
    _, bound = wishes(request, record)
    asked: Mapping[Row, int] = _sum(bound)
    shipped = _by_row(record, "fulfilled")
    return tuple(
        UnaskedShipment(*row, pieces, asked.get(row, 0))
        for row, pieces in shipped.items()
        if pieces > asked.get(row, 0)
    )


def _sum(lines: Sequence[Line]) -> dict[Row, int]:
    sums: dict[Row, int] = {}
    for line in lines:
        sums[line.variant_id, line.warehouse_id] = sums.get((line.variant_id, line.warehouse_id), 0) + line.quantity
    return sums

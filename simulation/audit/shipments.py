"""What a shipment in part must take, and when it asks for too much, written a second time for the auditor."""

from actors.commands import Extend, Fulfill, OfReservation
from actors.outcomes import RefusedShipment, ReservationExtended, ReservationFulfilled
from actors.records import ReservationRecord, Transaction

MINUTE_MS = 60_000

Row = tuple[str, str]  # variant and warehouse


def too_much(request: Fulfill, record: ReservationRecord | None) -> tuple[RefusedShipment, ...]:
    """The rows of which the request wants more than the reservation, as it stands, has left: those that it names first,
    then those that it leaves open.
    """
    left: dict[Row, int] = {}
    for item in record.items if record is not None else ():
        row = (item.variant_id, item.warehouse_id)
        left[row] = left.get(row, 0) + item.quantity - item.fulfilled
    wrong = []
    for is_open in (False, True):
        for row, pieces in _asked(request, is_open=is_open).items():
            rows = [one for one in left if one == row or (is_open and one[0] == row[0])]
            there = sum(left[one] for one in rows)
            if pieces > there:
                wrong.append(RefusedShipment(*row, pieces, there))
            for one in rows:
                taken = min(pieces, left[one])
                left[one] -= taken
                pieces -= taken
    return tuple(wrong)


def _asked(request: Fulfill, *, is_open: bool) -> dict[Row, int]:
    asked: dict[Row, int] = {}
    for line in request.lines:
        if is_open is (not line.warehouse_id):
            row = (line.variant_id, line.warehouse_id)
            asked[row] = asked.get(row, 0) + line.quantity
    return asked


def why_not_shipped(command: Fulfill, transaction: Transaction) -> str:
    """Why the entry ships something else than the command asks for; empty if it does not."""
    gone: dict[Row, int] = {}
    back = 0
    for change in transaction.changes:
        delta = change.delta
        gone[change.after.variant_id, change.after.warehouse_id] = -delta.available - delta.reserved
        back += delta.available
    state = transaction.reservation.state if transaction.reservation is not None else "none"
    if back and not (command.close and command.lines):
        return f"gives {back} pieces back"
    if state != "fulfilled" and (command.close or not command.lines):
        return f"leaves the reservation {state}"
    if not command.lines:
        return ""
    for variant in {variant for variant, _ in gone} | {line.variant_id for line in command.lines}:
        of_it = [line for line in command.lines if line.variant_id == variant]
        shipped = {row: pieces for row, pieces in gone.items() if row[0] == variant}
        named = {row: sum(line.quantity for line in of_it if line.warehouse_id == row[1]) for row in shipped}
        if sum(shipped.values()) != sum(line.quantity for line in of_it) or any(shipped[r] < named[r] for r in shipped):
            return f"ships {shipped}"
    return ""


def why_unlike_its_entry(
    request: OfReservation, answer: object, transaction: Transaction, before: ReservationRecord | None
) -> str:
    """Why the answer says something else of a shipment or an extension than the entry that it was kept with.

    Args:
        before: the reservation before the entry.
    """
    at_ms = transaction.at_ms
    match answer:
        case ReservationExtended(record) if isinstance(request, Extend):
            ends_ms = at_ms + request.ttl_minutes * MINUTE_MS
            return f"{ends_ms} is later" if record.expires_at_ms < ends_ms else ""
        case ReservationFulfilled(record, items, pieces, shipped_ms):
            earlier = {place: item.fulfilled for place, item in enumerate(before.items)} if before is not None else {}
            if transaction.kind != "fulfill":  # it was shipped already
                earlier, at_ms = {}, record.ended_at_ms
            gone = [item.fulfilled - earlier.get(place, 0) for place, item in enumerate(record.items)]
            wanted = (sum(1 for one in gone if one), sum(gone), at_ms)
            return "" if (items, pieces, shipped_ms) == wanted else f"the journal has {wanted}"
    return ""

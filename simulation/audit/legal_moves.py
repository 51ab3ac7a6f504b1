"""What may become of a reservation, and what that moves, written a second time for the auditor."""

from collections.abc import Callable, Iterator
from operator import attrgetter

from msgspec.structs import replace

from actors.records import Delta, ReservationItem, ReservationRecord, StockKey, Transaction

Deltas = dict[StockKey, Delta]
Pieces = Callable[[ReservationItem], int]

# What a reservation may be before each kind of entry, and what it is afterwards.
LEGAL = {
    "confirm": (("active",), ("confirmed",)),
    "release": (("active", "confirmed"), ("released",)),
    "expire": (("active",), ("expired",)),
    "extend": (("active",), ("active",)),
    "fulfill": (("confirmed",), ("confirmed", "fulfilled")),
}


def why_no_move(
    transaction: Transaction, before: ReservationRecord, after: ReservationRecord, deltas: Deltas
) -> Iterator[str]:
    """Why the entry does not follow: a sentence for each thing that is wrong."""
    kind, name = transaction.kind, after.reservation_id
    begins, becomes = LEGAL[kind]
    if after.state not in becomes or before.state not in begins:
        yield f"{kind} moves {name} from {before.state} to {after.state}"
    wanted = _wanted(transaction, before, after)
    if after != wanted:
        yield f"{kind} makes {after}, not {wanted}"
    if kind == "extend" and after.expires_at_ms <= before.expires_at_ms:
        yield f"{name} is extended from {before.expires_at_ms} to {after.expires_at_ms}"
    if kind == "fulfill":
        yield from _why_no_shipment(before, after)
    if deltas != (moved := _moved(kind, before, after)):
        yield f"{kind} of {name} moves {deltas}, not {moved}"


def _wanted(transaction: Transaction, before: ReservationRecord, after: ReservationRecord) -> ReservationRecord:
    """What is made of it, where the entry leaves no choice."""
    at_ms = transaction.at_ms
    match transaction.kind:
        case "confirm":
            return replace(before, state="confirmed", confirmed_at_ms=at_ms)
        case "release":
            return replace(before, state="released", ended_at_ms=at_ms, reason=transaction.reason)
        case "expire":
            return replace(before, state="expired", ended_at_ms=at_ms)
        case "extend":
            return replace(before, expires_at_ms=after.expires_at_ms)
        case _:
            pieces = {place: item.fulfilled for place, item in enumerate(after.items)}
            items = tuple(replace(item, fulfilled=pieces.get(n, -1)) for n, item in enumerate(before.items))
            ended_ms = at_ms if after.state == "fulfilled" else 0
            return replace(before, state=after.state, items=items, ended_at_ms=ended_ms)


def _why_no_shipment(before: ReservationRecord, after: ReservationRecord) -> Iterator[str]:
    shipped = [now.fulfilled - was.fulfilled for was, now in zip(before.items, after.items, strict=False)]
    if min(shipped, default=0) < 0 or not any(shipped):
        yield f"{after.reservation_id} ships {shipped}"
    if any(item.fulfilled > item.quantity for item in after.items):
        yield f"{after.reservation_id} ships more than it has: {after.items}"
    if after.state == "confirmed" and all(item.fulfilled == item.quantity for item in after.items):
        yield f"{after.reservation_id} is shipped to the last piece, and is still confirmed"


def _left(item: ReservationItem) -> int:
    return item.quantity - item.fulfilled


def _moved(kind: str, before: ReservationRecord, after: ReservationRecord) -> Deltas:
    shipped = attrgetter("fulfilled")
    if kind in ("confirm", "extend"):
        return {}
    if kind != "fulfill":
        return deltas_of(before, 1, -1, _left)
    gone = _sum(deltas_of(after, 0, -1, shipped), deltas_of(before, 0, 1, shipped))
    rest = deltas_of(after, 1, -1, _left) if after.state == "fulfilled" else {}
    return {key: delta for key, delta in _sum(gone, rest).items() if delta != Delta()}


def _sum(one: Deltas, other: Deltas) -> Deltas:
    both = {}
    for key in {**one, **other}:
        first, second = one.get(key, Delta()), other.get(key, Delta())
        both[key] = Delta(first.available + second.available, first.reserved + second.reserved)
    return both


def deltas_of(
    reservation: ReservationRecord, available: int, reserved: int, pieces: Pieces = attrgetter("quantity")
) -> Deltas:
    """What a reservation's pieces do to its rows, each piece adding these figures to what is available and reserved."""
    of_row: dict[StockKey, int] = {}
    for item in reservation.items:
        key = StockKey(reservation.organization_id, item.variant_id, item.warehouse_id)
        of_row[key] = of_row.get(key, 0) + pieces(item)
    return {key: Delta(available * n, reserved * n) for key, n in of_row.items() if n}

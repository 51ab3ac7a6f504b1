"""What an organization is told of a transaction. A database tells the same from its tables: a test compares them."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from actors.change_rows import lines_of
from actors.changes import (
    Change,
    ChangedReservation,
    ChangedRow,
    Changes,
    Movement,
    Pieces,
    Point,
)
from actors.records import RowChange, StockRecord, Transaction, TransactionKind

# The lines of a reservation that one of these leaves are those that it had before, or follow from its stock rows.
KEEPS_LINES: frozenset[TransactionKind] = frozenset(("reserve", "confirm", "extend"))


def low_lines(change: RowChange) -> tuple[int, int] | None:
    """The row's minimum and its reorder point, if the change makes it fall to one of them or below; else None."""
    before, after = change.before.available, change.after.available
    least, reorder = change.after.min_stock, change.after.reorder_point
    if (after <= least < before and least) or (after <= reorder < before and reorder):
        return least, reorder
    return None


def has_lines(one: Transaction) -> bool:
    """Whether the lines of its reservation are to be kept with it."""
    it = one.reservation
    if it is None or one.kind in KEEPS_LINES:
        return False
    # An end leaves the lines as they were, unless it is a smaller basket, or gives back what a shipment left.
    return it.holds_stock or one.kind == "amend" or (one.kind == "fulfill" and it.fulfilled < it.quantity)


def change_of(one: Transaction, organization_id: str) -> Change | None:
    """The whole transaction as this organization is told of it; None if it is not."""
    if one.kind == "remember":
        return None
    rows = tuple(
        ChangedRow(
            position,
            change.after.variant_id,
            change.after.warehouse_id,
            pieces_of(change.before),
            pieces_of(change.after),
            low_lines(change),
        )
        for position, change in one.placed()
        if change.after.organization_id == organization_id
    )
    it = one.reservation if one.reservation and one.reservation.organization_id == organization_id else None
    warehouses = tuple(named for named in one.warehouses if named.organization_id == organization_id)
    transfer = one.transfer if one.transfer and one.transfer.organization_id == organization_id else None
    sourcing = one.sourcing.policy if one.sourcing and one.sourcing.organization_id == organization_id else None
    if not (rows or it or warehouses or transfer or sourcing):
        return None
    reservation = None
    if it is not None:
        items = it.items if has_lines(one) else ()
        lines = lines_of(one.kind, rows, items)
        reservation = ChangedReservation(it.reservation_id, it.order_id, it.state, it.expires_at_ms, lines)
    origin = ("", "") if one.origin is None else (one.origin.actor, one.origin.correlation_id)
    request_id = "" if one.request is None else one.request.request_id
    return Change(
        one.lsn,
        one.at_ms,
        one.kind,
        rows,
        reservation,
        warehouses,
        one.reference,
        one.reason,
        request_id,
        *origin,
        transfer=transfer,
        sourcing=sourcing,
    )


def movements_of(one: Transaction, organization_id: str) -> Iterator[Movement]:
    """Its lines in the organization's ledger."""
    it = one.reservation
    belongs_to = ("", "") if it is None else (it.reservation_id, it.order_id)
    actor, correlation_id = ("", "") if one.origin is None else (one.origin.actor, one.origin.correlation_id)
    request_id = "" if one.request is None else one.request.request_id
    for position, change in one.placed():
        after = change.after
        if after.organization_id == organization_id:
            yield Movement(
                one.lsn,
                position,
                one.at_ms,
                one.kind,
                after.variant_id,
                after.warehouse_id,
                pieces_of(change.before),
                pieces_of(after),
                one.reason,
                one.reference,
                *belongs_to,
                actor,
                correlation_id or request_id,
            )


def pieces_of(record: StockRecord) -> Pieces:
    return Pieces(record.available, record.reserved, record.damaged, record.in_transit)


def cut(changes: Iterable[Change], after: Point, rows_max: int, *, is_end: bool) -> Changes:
    """As many of these as have `rows_max` rows together, from behind `after` on.

    The first one that has more alone is cut; every other one is told as a whole or not yet.
    """
    told: list[Change] = []
    rows = 0
    for change in changes:
        left = tuple([row for row in change.rows if change.lsn > after.lsn or row.position > after.position])
        rows += len(left)
        if rows > rows_max and told:
            return Changes(tuple(told), Point(told[-1].lsn))
        if rows > rows_max:
            part = left[:rows_max]
            return Changes((replace(change, rows=part, is_whole=False),), Point(change.lsn, part[-1].position))
        told.append(change if len(left) == len(change.rows) else replace(change, rows=left))
    return Changes(tuple(told), None if is_end or not told else Point(told[-1].lsn))

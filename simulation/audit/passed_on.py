"""Was everything passed on, once by its id, in order, by one relay at a time, and nothing that never happened?

What each entry of the journal has to be told as is written here a second time, as figures: it shares no
line of code with what reads the ledger and writes events.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from actors.records import ReservationRecord, RowChange, StockRecord, Transaction, WarehouseRecord
from actors.transfer_records import TransferRecord
from simulation.audit.guarantee_violation import GuaranteeViolation

MISSING, INVENTED = "no change without its events", "no event that never happened"
ORDER, SAME_ID, ALONE = "events are in order", "an event keeps its id", "one relay at a time"

Figures = tuple[Any, ...]


class Fact(NamedTuple):
    """What has to be heard."""

    lsn: int
    organization_id: str
    name: str
    subject: str
    figures: Figures


class Arrived(NamedTuple):
    """A message as the broker has it, in CloudEvents' form."""

    body: bytes
    process: str
    fence: int


def audit_events(
    journal: Sequence[Transaction], arrived: Sequence[Arrived], cursor_lsn: int
) -> Iterator[GuaranteeViolation]:
    """What is wrong with what the broker has, where the cursor stands there."""
    expected = [fact for one in facts_of(journal) for fact in one]
    heard = [json.loads(one.body) for one in arrived]
    facts = [told_fact(one) for one in heard]
    yield from _unequal(expected, facts, cursor_lsn)
    yield from _ids(heard, facts)
    yield from _order(facts)
    yield from _alone(arrived)


def _unequal(expected: Sequence[Fact], facts: Sequence[Fact], cursor_lsn: int) -> Iterator[GuaranteeViolation]:
    happened, heard = set(expected), set(facts)
    for fact in [fact for fact in expected if fact not in heard and fact.lsn <= cursor_lsn][:1]:
        yield GuaranteeViolation(MISSING, f"{fact} was not heard", fact.lsn)
    for fact in [fact for fact in facts if fact not in happened][:1]:
        yield GuaranteeViolation(INVENTED, f"{fact} was heard", fact.lsn)


def _ids(heard: Sequence[dict[str, Any]], facts: Sequence[Fact]) -> Iterator[GuaranteeViolation]:
    by_id: dict[str, Fact] = {}
    by_fact: dict[Fact, str] = {}
    for message, fact in zip(heard, facts, strict=True):
        if by_id.setdefault(message["id"], fact) != fact or by_fact.setdefault(fact, message["id"]) != message["id"]:
            yield GuaranteeViolation(
                SAME_ID, f"{fact} was heard as {message['id']}, and as {by_fact.get(fact)}", fact.lsn
            )
            return


def _order(facts: Sequence[Fact]) -> Iterator[GuaranteeViolation]:
    """By what is heard for the first time."""
    last: dict[tuple[str, str], int] = {}
    for fact in dict.fromkeys(facts):
        subject = fact.organization_id, fact.subject
        if last.get(subject, 0) > fact.lsn:
            yield GuaranteeViolation(ORDER, f"{fact} was first heard behind LSN {last[subject]}", fact.lsn)
            return
        last[subject] = fact.lsn


def _alone(arrived: Sequence[Arrived]) -> Iterator[GuaranteeViolation]:
    highest = 0
    for one in arrived:
        if one.fence < highest:
            yield GuaranteeViolation(ALONE, f"{one.process} publishes after the cursor was given to another relay")
            return
        highest = one.fence


# ---- what the journal says --------------------------------------------------------------------------------------


def facts_of(journal: Sequence[Transaction]) -> Iterator[list[Fact]]:
    """What has to be heard of each entry."""
    warehouses: dict[tuple[str, str], WarehouseRecord] = {}
    for one in journal:
        told = [*_of_rows(one), *_of_reservation(one), *_of_transfer(one), *_of_warehouses(one, warehouses)]
        yield [Fact(one.lsn, *fact) for fact in told]


Told = Iterator[tuple[str, str, str, Figures]]


def _of_rows(one: Transaction) -> Told:
    for change in one.changes:
        before, after = change.before, change.after
        who, row = after.organization_id, f"{after.variant_id}/{after.warehouse_id}"
        yield who, "inventory.stock.updated", row, _four(after)
        moved = after.total - before.total
        if moved:
            yield who, "inventory.movement.created", row, (moved,)
            yield who, "inventory.movement.in" if moved > 0 else "inventory.movement.out", row, (moved,)
        if one.kind == "adjust":
            yield who, "inventory.adjustment.applied", row, (before.total, after.total)
        for name, figures in _crossed(change):
            yield who, name, row, figures


def _four(row: StockRecord) -> Figures:
    return row.available, row.reserved, row.damaged, row.in_transit


def _crossed(change: RowChange) -> Iterator[tuple[str, Figures]]:
    was, now = change.before.available, change.after.available
    if any(line > 0 and now <= line < was for line in (change.after.min_stock, change.after.reorder_point)):
        yield "inventory.stock.low_level", (now,)
    if now == 0 and was:
        yield "inventory.stock.depleted", ()
    if now and was == 0:
        yield "inventory.stock.replenished", (now,)


def _of_reservation(one: Transaction) -> Told:
    it = one.reservation
    left = sum(change.before.total - change.after.total for change in one.changes)
    if it is None:
        if one.kind == "deduct":
            who = one.changes[0].after.organization_id
            yield who, "inventory.stock.deducted", one.request.request_id if one.request else "", (left,)
        return
    given = sum(max(0, change.before.reserved - change.after.reserved) for change in one.changes) - left
    for name, figures in _became(one, it, left, given):
        yield it.organization_id, name, it.reservation_id, figures


def _became(one: Transaction, it: ReservationRecord, left: int, given: int) -> Iterator[tuple[str, Figures]]:
    if one.kind in ("reserve", "amend", "reacquire"):
        basket: dict[tuple[str, str], int] = {}
        for item in it.items:
            row = item.variant_id, item.warehouse_id
            basket[row] = basket.get(row, 0) + item.quantity
        yield "inventory.stock.reserved", tuple(sorted((*row, pieces) for row, pieces in basket.items()))
    if it.state == "confirmed" and one.kind == "confirm":
        yield "inventory.reservation.confirmed", ()
    if one.kind == "extend":
        yield "inventory.reservation.extended", ()
    if it.state == "expired":
        yield "inventory.stock.released", ("timeout", given)
    if it.state == "released" and one.kind == "release":
        yield "inventory.stock.released", (one.reason, given)
    if one.kind == "fulfill":
        yield "inventory.stock.deducted", (left,)
        if given:
            yield "inventory.stock.released", ("closed", given)


def _of_transfer(one: Transaction) -> Told:
    it = one.transfer
    if it is None:
        return
    for name, figures in _of_shipment(one, it):
        yield it.organization_id, f"inventory.transfer.{name}", it.transfer_id, figures


def _of_shipment(one: Transaction, it: TransferRecord) -> Iterator[tuple[str, Figures]]:
    sent = sum(line.sent for line in it.lines)
    if one.kind == "ship_transfer":
        yield "in_transit", (sent,)
    elif it.state == "cancelled":
        yield "cancelled", (sent,)
    elif it.state == "received":
        missing = sum(line.missing for line in it.lines)
        yield "received", (sent - missing, bool(missing))


def _of_warehouses(one: Transaction, known: dict[tuple[str, str], WarehouseRecord]) -> Told:
    for named in one.warehouses:
        key = named.organization_id, named.warehouse_id
        was, known[key] = known.get(key), named
        if was is None:
            yield key[0], "inventory.warehouse.created", key[1], (named.name,)
            continue
        if was.is_active and not named.is_active:
            yield key[0], "inventory.warehouse.deactivated", key[1], (named.name,)
        changed = [(was.name, named.name), (was.code, named.code), (was.priority, named.priority)]
        if any(old != new for old, new in changed) or (named.is_active and not was.is_active):
            yield key[0], "inventory.warehouse.updated", key[1], (named.name,)


# ---- what was heard ---------------------------------------------------------------------------------------------


def told_fact(message: dict[str, Any]) -> Fact:
    data = message["data"]
    figures = FIGURES[message["type"]](data)
    return Fact(int(message["sequence"]), data["organization_id"], message["type"], message["subject"], figures)


def _quantity(data: dict[str, Any]) -> int:
    return sum(item["quantity"] for item in data["items"])


FIGURES: dict[str, Any] = {
    "inventory.stock.updated": lambda data: tuple(
        data["quantities"][name] for name in ("available", "reserved", "damaged", "in_transit")
    ),
    "inventory.movement.created": lambda data: (data["quantity_change"],),
    "inventory.movement.in": lambda data: (data["quantity_change"],),
    "inventory.movement.out": lambda data: (data["quantity_change"],),
    "inventory.adjustment.applied": lambda data: (data["quantity_before"], data["quantity_after"]),
    "inventory.stock.low_level": lambda data: (data["available_quantity"],),
    "inventory.stock.depleted": lambda data: (),
    "inventory.stock.replenished": lambda data: (data["available_quantity"],),
    "inventory.stock.reserved": lambda data: _basket(data["items"]),
    "inventory.reservation.confirmed": lambda data: (),
    "inventory.reservation.extended": lambda data: (),
    "inventory.stock.released": lambda data: (data["reason"], data["total_quantity_released"]),
    "inventory.stock.deducted": lambda data: (_quantity(data),),
    "inventory.transfer.in_transit": lambda data: (data["total_quantity_sent"],),
    "inventory.transfer.cancelled": lambda data: (data["total_quantity_sent"],),
    "inventory.transfer.received": lambda data: (data["total_quantity_received"], data["has_discrepancies"]),
    "inventory.warehouse.created": lambda data: (data["name"],),
    "inventory.warehouse.updated": lambda data: (data["name"],),
    "inventory.warehouse.deactivated": lambda data: (data["name"],),
}


def _basket(items: Sequence[dict[str, Any]]) -> Figures:
    """Lines on one row are one."""
    found: dict[tuple[str, str], int] = {}
    for item in items:
        row = item["variant_id"], item["warehouse_id"]
        found[row] = found.get(row, 0) + item["quantity"]
    return tuple(sorted((*row, pieces) for row, pieces in found.items()))

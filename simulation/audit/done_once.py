"""Was each event of others done once, or answered, or buried with a reason, and nothing lost or half done?

It looks at the journal, at the answers and at what is buried, and knows nothing of keys: what an event did is found by
the order, or by the reference that it alone has.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from actors.commands import Confirm
from actors.records import Transaction
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import Operation

TWICE, LOST = "an event is done once", "an event is done, answered or buried"
SAME_ANSWER, GIVEN_UP = "an event has one answer", "an event waits while the inventory is away"
IN_ORDER = "events of an order are done in their order"
FAILED = "inventory.reservation.failed"
ANSWERED = {
    "catalog.variant.created": ("inventory.stock.initialized",),
    "catalog.variant.deleted": ("inventory.stock.archived", "inventory.stock.validation_failed"),
}
BY_REFERENCE = {
    "order.shipped": "fulfill",
    "return.received": "receive",
    "pos.return.processed": "receive",
    "pos.transaction.completed": "deduct",
}
SOFT = "it failed"  # what was tried in vain: whether it was done is not known


class SaidEvent(NamedTuple):
    """What another service has said, perhaps more than once.

    Args:
        order_id: that it is about, or empty.
        reference: what the ledger has of it alone, or empty.
        placements: how often its order is placed.
        body: as it was sent.
    """

    event_id: str
    name: str
    organization_id: str
    order_id: str
    reference: str
    placements: int
    body: bytes


class WorldHeard(NamedTuple):
    """What the world was told of the events.

    Args:
        buried: reasons by the body of what was buried.
        answers: by the event that they answer, as (name, id, body).
        confirmed_by_clients: how often other clients asked for a confirmation of an order.
    """

    buried: Mapping[bytes, Sequence[str]]
    answers: Mapping[str, Sequence[tuple[str, str, bytes]]]
    confirmed_by_clients: Counter[tuple[str, str]]


Happened = tuple[str, str, str]
"""Organization, kind, and the order, reference or reason of what the journal has."""


def heard_of(
    buried: Sequence[tuple[bytes, str]], answers: Sequence[bytes], operations: Sequence[Operation]
) -> WorldHeard:
    """Answers are CloudEvents; each carries the id of the event that it answers, where that has no other to carry."""
    graves: dict[bytes, list[str]] = {}
    for body, reason in buried:
        graves.setdefault(body, []).append(reason)
    told: dict[str, list[tuple[str, str, bytes]]] = {}
    for body in answers:
        message = json.loads(body)
        told.setdefault(message["correlationid"], []).append((message["type"], message["id"], body))
    asked = [one.request for one in operations if isinstance(one.request, Confirm) and "consumer" not in one.client]
    return WorldHeard(graves, told, Counter((one.organization_id, one.order_id) for one in asked))


def audit_consumer(
    journal: Sequence[Transaction], said: Sequence[SaidEvent], heard: WorldHeard
) -> Iterator[GuaranteeViolation]:
    """What is wrong with what became of the events, when none is under way any more."""
    happened = Counter(_happened(journal))
    for event in said:
        yield from _by_itself(event, happened, heard)
    for order in dict.fromkeys((one.organization_id, one.order_id) for one in said if one.order_id):
        yield from _order(order, [one for one in said if (one.organization_id, one.order_id) == order], happened, heard)
    for reason in (reason for reasons in heard.buried.values() for reason in reasons):
        if "does not answer" in reason:
            yield GuaranteeViolation(GIVEN_UP, f"an event was buried since {reason!r}")
        if reason.startswith("a bug met it"):
            yield GuaranteeViolation("no bug is met", f"an event was buried since {reason!r}")
    yield from _answers(said, heard)


def _happened(journal: Sequence[Transaction]) -> Iterator[Happened]:
    for one in journal:
        if one.reservation is not None:
            yield one.reservation.organization_id, one.kind, one.reservation.order_id
            yield one.reservation.organization_id, one.kind, f"reason {one.reason}"
        for organization_id in {change.after.organization_id for change in one.changes}:
            if one.reference:
                yield organization_id, one.kind, f"reference {one.reference}"


def _by_itself(event: SaidEvent, happened: Counter[Happened], heard: WorldHeard) -> Iterator[GuaranteeViolation]:
    reasons, answers = heard.buried.get(event.body, ()), heard.answers.get(event.event_id, ())
    if event.name in BY_REFERENCE:
        times = happened[event.organization_id, BY_REFERENCE[event.name], f"reference {event.reference}"]
        if times > 1 or (times and any(not reason.startswith(SOFT) for reason in reasons)):
            yield GuaranteeViolation(TWICE, f"{event} was done {times} times, and buried because {reasons}")
        if not times and not reasons:
            yield GuaranteeViolation(LOST, f"{event} was neither done nor buried")
    elif event.name in ANSWERED:
        names = {name for name, _, _ in answers}
        if len(names) > 1:
            yield GuaranteeViolation(SAME_ANSWER, f"{event} was answered as {sorted(names)}")
        if not reasons and not names & set(ANSWERED[event.name]):
            yield GuaranteeViolation(LOST, f"{event} was neither answered nor buried")
    elif not event.event_id and not reasons:
        yield GuaranteeViolation(LOST, f"{event.body!r} was not buried")


def _order(
    order: tuple[str, str], said: Sequence[SaidEvent], happened: Counter[Happened], heard: WorldHeard
) -> Iterator[GuaranteeViolation]:
    organization_id, order_id = order
    reserves, confirms = [happened[organization_id, kind, order_id] for kind in ("reserve", "confirm")]
    placed, confirmed = [[one for one in said if one.name == f"order.{name}"] for name in ("placed", "confirmed")]
    hard, soft = _buried(placed, heard)
    failed = sum(any(name == FAILED for name, _, _ in heard.answers.get(one.event_id, ())) for one in placed)
    if reserves + failed + hard > len(placed):
        what = f"placed {len(placed)} times, reserved {reserves} times, refused {failed} and buried {hard}"
        yield GuaranteeViolation(TWICE, f"{order} was {what}")
    if reserves + failed + hard < len(placed) - soft:
        yield GuaranteeViolation(LOST, f"of {order} one of {len(placed)} placed events left nothing")
    if confirms > len(confirmed) + heard.confirmed_by_clients[order]:
        yield GuaranteeViolation(TWICE, f"{order} has {confirms} confirmations of {len(confirmed)}")
    for one in said:
        if one.name == "order.cancelled" and happened[organization_id, "release", f"reason {one.reference}"] > 1:
            yield GuaranteeViolation(TWICE, f"{one} released more than one reservation")
    if len(placed) == 1 and reserves:
        yield from _of_one_placement(order, confirmed, confirms, [one for one in said if one not in placed], heard)


def _of_one_placement(
    order: tuple[str, str], confirmed: Sequence[SaidEvent], confirms: int, later: Sequence[SaidEvent], heard: WorldHeard
) -> Iterator[GuaranteeViolation]:
    if confirmed and not confirms and not any(_buried(confirmed, heard)):
        yield GuaranteeViolation(LOST, f"{order} was neither confirmed nor was that buried")
    for one in later:
        if any("has no reservation" in reason for reason in heard.buried.get(one.body, ())):
            yield GuaranteeViolation(IN_ORDER, f"{one} found no reservation, though its order was placed before")


def _buried(events: Sequence[SaidEvent], heard: WorldHeard) -> tuple[int, int]:
    """How many of them are buried for good, and how many may have been done all the same."""
    reasons = [heard.buried.get(one.body, ()) for one in events]
    hard = sum(any(not reason.startswith(SOFT) for reason in found) for found in reasons)
    return hard, sum(any(reason.startswith(SOFT) for reason in found) for found in reasons)


def _answers(said: Sequence[SaidEvent], heard: WorldHeard) -> Iterator[GuaranteeViolation]:
    names = {one.event_id: one.name for one in said}
    for event_id, answers in heard.answers.items():
        failed: Any = {(one, body) for name, one, body in answers if name == FAILED}
        if len(failed) > 1:
            yield GuaranteeViolation(SAME_ANSWER, f"{event_id} was answered in {len(failed)} ways: {failed}")
        if failed and names.get(event_id) != "order.placed":
            yield GuaranteeViolation(SAME_ANSWER, f"{event_id}, a {names.get(event_id)}, was answered {failed}")

"""Planted bugs of reservations that are extended, changed, shipped in part or taken again."""

from typing import Any

from msgspec.structs import replace

import actors.basket
import actors.order_actor
import actors.rebooking_actor
import actors.reservation
import storage.sql.batch_sqlite
from actors.amendment import amended, same_rows, taken_again, wishes_of
from actors.basket import items_of
from actors.commands import Amend
from actors.order_history import variants_of
from actors.rebooking_actor import RebookingActor
from actors.records import Delta, ReservationRecord
from actors.variant_stock import Pinned
from simulation.planted.planting import Patches, bug
from storage.sql import rows
from supervisor.background.expiry_hints import ExpiryHints

# ---- extensions -----------------------------------------------------------------------------------------------------


@bug("an extension shortens, if less was asked for than is left", "G8")
def extension_shortens() -> Patches:
    def extend(reservation: ReservationRecord, ttl_minutes: int, now_ms: int) -> ReservationRecord:
        extended = right(reservation, ttl_minutes, now_ms)
        return replace(extended, expires_at_ms=now_ms + ttl_minutes * 60_000)

    right = actors.reservation.extend
    return [(actors.order_actor, "extend", extend)]


@bug("an extension is answered and not kept: it expires at its first time", "G3", "G4", "G7", disk="sqlite")
def extension_not_kept() -> Patches:
    right = storage.sql.batch_sqlite.UPDATE_RESERVATION
    wrong = right.replace("expires_at = ?", "expires_at = coalesce(expires_at, ?)")
    return [(storage.sql.batch_sqlite, "UPDATE_RESERVATION", wrong)]


@bug("a hint counts on the time that a reservation had before it was extended", "G5")
def hint_of_before_the_extension() -> Patches:
    def discard(self: ExpiryHints, reservation: ReservationRecord) -> None:
        if reservation.state != "active":
            right(self, reservation)

    right = ExpiryHints.discard
    return [(ExpiryHints, "discard", discard)]


# ---- shipments in part ----------------------------------------------------------------------------------------------


@bug("a shipment in part that closes forgets the rest: it is neither available nor held", "G8")
def rest_forgotten() -> Patches:
    def moving(before: ReservationRecord, after: ReservationRecord, variants: Any) -> Any:
        changes = right(before, after, variants)
        if after.state != "fulfilled":
            return changes
        return [(row, Delta(0, delta.reserved + delta.available)) for row, delta in changes]

    right: Any = actors.basket.moving
    return [(actors.order_actor, "moving", moving)]


@bug("a release after a shipment in part gives back what was shipped, too", "G8", "no bug is met")
def shipped_given_back() -> Patches:
    def moving(before: ReservationRecord, after: ReservationRecord, variants: Any) -> Any:
        if after.state == "released":
            whole = [replace(item, fulfilled=0) for item in before.items]
            return right(replace(before, items=tuple(whole)), replace(after, items=tuple(whole)), variants)
        return right(before, after, variants)

    right = actors.basket.moving
    return [(actors.order_actor, "moving", moving)]


@bug("a shipment in part is the whole shipment", "G8")
def part_taken_for_the_whole() -> Patches:
    def fulfill(reservation: ReservationRecord, command: Any, now_ms: int) -> ReservationRecord:
        return right(reservation, replace(command, lines=()), now_ms)

    right = actors.reservation.fulfill
    return [(actors.order_actor, "fulfill", fulfill)]


# ---- another basket -------------------------------------------------------------------------------------------------


@bug("an amendment lets go of what is held before it takes what is wanted", "G4", "G5", "G8")
def lets_go_before_it_takes() -> Patches:
    def rebook(self: RebookingActor, command: Any, before: ReservationRecord, *rest: Any) -> Any:
        if not isinstance(command, Amend):
            return (yield from right(self, command, before, *rest))
        services, (wishes, _, variants, make) = self._services, rest
        gone = before.moved("released", services.clock.now_ms())
        prepared: Any = yield from services.two_phase.prepare(actors.basket.moving(before, gone, variants))
        self._decide(prepared, "release", services.clock.now_ms(), gone)
        return (yield from right(self, command, gone, wishes, {}, variants, make))

    right = RebookingActor._rebook
    return [(RebookingActor, "_rebook", rebook)]


@bug("a reservation past its time can be amended", "G7")
def amended_after_its_time() -> Patches:
    right = actors.reservation.check_amendable
    return [(actors.rebooking_actor, "check_amendable", lambda reservation, now_ms: right(reservation, 0))]


@bug("an amendment forgets what was shipped", "G2", "G8", "no bug is met")
def amendment_forgets_shipments() -> Patches:
    def forgetful(*args: Any) -> ReservationRecord:
        record = amended(*args)
        return replace(record, items=tuple(replace(item, fulfilled=0) for item in record.items))

    return [(actors.rebooking_actor, "amended", forgetful)]


@bug("lines that an amendment keeps are planned anew, and may move to another warehouse", "G4")
def kept_lines_move() -> Patches:
    def wishes(reservation: ReservationRecord, lines: Any) -> Any:
        _, bound = wishes_of(reservation, lines)
        return bound, bound

    return [(actors.rebooking_actor, "wishes_of", wishes)]


# ---- the same once more ---------------------------------------------------------------------------------------------


@bug("a reservation that holds its goods still takes them once more", "G8")
def taken_twice() -> Patches:
    def reacquire(self: RebookingActor, command: Any) -> Any:
        before = self._reservation(command.reservation_id)
        if before.state != "active":
            return (yield from right(self, command))
        services, wishes = self._services, same_rows(before)
        wanted = self.key.organization_id, variants_of(before.items)
        with Pinned((yield from services.rows.load(*wanted))) as variants:

            def take(rows: Any, now_ms: int) -> ReservationRecord:
                return taken_again(before, items_of(wishes[1], rows), now_ms + command.ttl_minutes * 60_000)

            return (yield from self._rebook(command, before.moved("expired", 1), wishes, {}, variants, take))

    right = RebookingActor._reacquire
    return [(RebookingActor, "_reacquire", reacquire)]


@bug("what was released is taken again, too", "G4", "G8")
def released_taken_again() -> Patches:
    def is_to_be_taken(reservation: ReservationRecord, now_ms: int, kept_ms: int | None) -> bool:
        return reservation.state == "released" or right(reservation, now_ms, kept_ms)

    right = actors.reservation.is_to_be_taken_again
    return [(actors.rebooking_actor, "is_to_be_taken_again", is_to_be_taken)]


@bug("a reservation that was taken again is not its order's latest after a restart", "G3", "G4", disk="sqlite")
def taken_again_as_of_old() -> Patches:
    def reservations(batch: Any, instant: Any) -> Any:
        for row in right(batch, instant):
            yield (*row[:-2], row[-2] - 1, row[-1]) if row[:2] in batch.again else row

    right = rows.reservations
    return [(rows, "reservations", reservations)]

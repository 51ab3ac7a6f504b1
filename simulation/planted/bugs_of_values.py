"""Planted bugs of what is said: names, references, reasons, hints, and counts of what is not listed."""

from typing import Any

from msgspec.structs import replace

import actors.order_actor
import actors.order_history
import supervisor.transactions.importing
from actors.basket import with_hint
from actors.outcomes import ImportRejected
from actors.records import ReservationRecord
from actors.reservation import release
from simulation.planted.planting import Patches, bug
from storage.sql import rows
from supervisor.activations.warehouse_registry import WarehouseRegistry
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.transactions.coordinator import Coordinator

# ---- warehouses -----------------------------------------------------------------------------------------------------


@bug("after a restart a delivery without a name renames its warehouse", "G8")
def name_forgotten_at_a_restart() -> Patches:
    return [(WarehouseRegistry, "add", WarehouseRegistry.publish)]


@bug("a later line without a name takes a warehouse's name away", "G8")
def name_wiped_by_a_later_line() -> Patches:
    def note(warehouses: Any, lines: Any) -> None:
        warehouses.update({(line.organization_id, line.warehouse_id): line.warehouse_name for line in lines})

    return [(supervisor.transactions.importing, "note_warehouses", note)]


@bug("warehouses are shown by names that are not durable yet", "G4", "G3")
def name_shown_before_it_is_durable() -> Patches:
    return [(WarehouseRegistry, "name_of", WarehouseRegistry.decided_name_of)]


@bug("lists and rows show the ids of warehouses in place of their names", "G4")
def id_shown_for_a_name() -> Patches:
    return [(WarehouseRegistry, "name_of", lambda self, key: key.warehouse_id)]


# ---- the ledger -----------------------------------------------------------------------------------------------------


@bug("a delivery's reference and reason are interchanged in the ledger", "G8")
def reference_for_a_reason() -> Patches:
    right = Coordinator.decide

    def decide(self: Coordinator, *args: Any, reference: str = "", reason: str = "", **others: Any) -> Any:
        return right(self, *args, reference=reason or reference, reason=reference if reason else "", **others)

    return [(Coordinator, "decide", decide)]


@bug("the reason of a release is lost", "G8")
def reason_lost() -> Patches:
    return [(actors.order_actor, "release", lambda reservation, _, now_ms: release(reservation, "", now_ms))]


@bug("a reservation lives for a quarter of an hour, whatever was asked", "G8")
def time_limit_ignored() -> Patches:
    right = Coordinator.decide

    def decide(self: Coordinator, prepared: Any, kind: Any, at_ms: int, **others: Any) -> Any:
        made: ReservationRecord | None = others.get("reservation")
        if kind == "reserve" and made is not None:
            others["reservation"] = replace(made, expires_at_ms=made.created_at_ms + 900_000)
        return right(self, prepared, kind, at_ms, **others)

    return [(Coordinator, "decide", decide)]


@bug("a confirmation is noted as the end", "G8")
def confirmed_at_as_ended_at() -> Patches:
    def moved(self: ReservationRecord, state: Any, at_ms: int, reason: str = "") -> ReservationRecord:
        return replace(self, state=state, ended_at_ms=at_ms, reason=reason)

    return [(ReservationRecord, "moved", moved)]


@bug("lines of the ledger have the order's id in place of the reservation's", "G3", disk="sqlite")
def movements_of_an_order_only() -> Patches:
    right = rows.movements

    def movements(batch: Any, instant: Any) -> Any:
        for row in right(batch, instant):
            yield (*row[:-2], row[-1], row[-1])

    return [(rows, "movements", movements)]


# ---- refusals -------------------------------------------------------------------------------------------------------


@bug("a hint counts on goods that were confirmed and do not expire", "G5")
def hint_counts_on_what_was_confirmed() -> Patches:
    right = ExpiryHints.discard

    def discard(self: ExpiryHints, reservation: ReservationRecord) -> None:
        if reservation.state != "confirmed":
            right(self, reservation)

    return [(ExpiryHints, "discard", discard)]


@bug("a hint names the next expiry, though it frees too little", "G5")
def hint_of_the_next_expiry() -> Patches:
    right = ExpiryHints.freed_at_ms
    return [(ExpiryHints, "freed_at_ms", lambda self, key, quantity: right(self, key, 1))]


@bug("a hint counts from the beginning of the next minute", "G5")
def hint_from_another_moment() -> Patches:
    def hint(refusal: Any, organization_id: str, now_ms: int, freed_at_ms: Any) -> Any:
        return with_hint(refusal, organization_id, now_ms - now_ms % 60_000, freed_at_ms)

    return [(actors.order_history, "with_hint", hint)]


@bug("no hint is given though the next expiry would free enough", "G5")
def hint_withheld() -> Patches:
    return [(ExpiryHints, "freed_at_ms", lambda self, key, quantity: None)]


@bug("bad lines of an import are counted as far as they are listed", "G5")
def unlisted_errors_not_counted() -> Patches:
    def rejected(errors: Any, total: int) -> ImportRejected:
        return ImportRejected(errors, len(errors))

    return [(supervisor.transactions.importing, "ImportRejected", rejected)]


@bug("rows that an import leaves as they were are counted as changed", "G4", "G8")
def unchanged_counted_as_changed() -> Patches:
    return [(supervisor.transactions.importing, "_is_counted", lambda row, line: False)]

"""Planted bugs of transfers: what is sent, what comes, and what is given back."""

from typing import Any

from msgspec.structs import replace

import actors.transfer
import actors.transfer_actor
from actors.records import Delta
from actors.transfer import arrival, received
from actors.transfer_actor import TransferActor
from actors.transfer_commands import CancelTransfer
from actors.transfer_records import TransferLine
from simulation.planted.planting import Patches, bug
from storage.sql import rows
from supervisor.activations.transfer_directory import TransferDirectory


@bug("pieces of a transfer that have come can be received once more", "G4", "G8")
def transfer_received_twice() -> Patches:
    def forgetful(transfer: Any, arrived: Any, close: bool, at_ms: int) -> Any:
        fresh = replace(transfer, lines=tuple(TransferLine(line.variant_id, line.sent) for line in transfer.lines))
        return received(fresh, arrived, close, at_ms)

    return [(actors.transfer_actor, "received", forgetful)]


@bug("what is missing when a transfer is closed is recorded nowhere", "G4", "G8")
def discrepancy_vanishes() -> Patches:
    right = actors.transfer._after

    def after(line: TransferLine, came: Any, close: bool) -> TransferLine:
        closed = right(line, came, close)
        return replace(closed, sent=closed.sent - closed.missing, missing=0) if close else closed

    return [(actors.transfer, "_after", after)]


@bug("a cancellation gives back what has come already", "G4", "G8")
def cancel_gives_back_what_came() -> Patches:
    def changes(self: TransferActor, command: Any, before: Any, variants: Any) -> Any:
        found: Any = right(self, command, before, variants)
        sent = {line.variant_id: line.sent for line in before.lines}
        if not isinstance(command, CancelTransfer):
            return found
        return [
            (row, Delta(sent[row.key.variant_id]) if change != Delta(in_transit=change.in_transit) else change)
            for row, change in found
        ]

    right = TransferActor._changes
    return [(TransferActor, "_changes", changes)]


@bug("what came damaged is put on sale", "G4", "G8")
def damaged_of_a_transfer_on_sale() -> Patches:
    def on_sale(before: Any, after: Any, record: Any) -> Delta:
        delta = arrival(before, after, record)
        return Delta(delta.available + delta.damaged, 0, 0, delta.in_transit)

    return [(actors.transfer_actor, "arrival", on_sale)]


@bug("a transfer that is over can be received or cancelled", "G4", "G8")
def closed_transfer_moves_on() -> Patches:
    return [(actors.transfer, "see_that_it_is_open", lambda transfer: None)]


@bug("each command of a transfer gets an actor of its own", "G4", "G5", "G8")
def transfers_not_serialized() -> Patches:
    def activate(self: TransferDirectory, key: Any) -> TransferActor:
        return TransferActor(
            key, self._services, self._load, self._dispatcher, self._drop_crashed, self._mailbox_messages_max
        )

    return [(TransferDirectory, "_activate", activate)]


@bug("goods are shipped to a warehouse that is not active", "G5", "G4", "G8")
def shipped_to_a_closed_warehouse() -> Patches:
    return [(actors.transfer_actor, "refuse_closed", lambda lines, closed: None)]


@bug("lines of a transfer are written once, and not as they change", "G3", "G8", disk="sqlite")
def lines_of_transfers_written_once() -> Patches:
    right = rows.transfer_lines

    def first(batch: Any) -> Any:
        return ((*row[:5], 0, 0, 0) for row in right(batch))

    return [(rows, "transfer_lines", first)]

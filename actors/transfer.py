"""What may become of a transfer: pure decisions, and what each changes in the rows.

    (available at the sender) ──ship──► in transit at the destination ──receive──► available, damaged, or missing there
                                                  └──────cancel──────► available at the sender

A transfer is received in parts. It is over when no piece of it is open: all have come or are known not to, or it was
closed, which makes what is open missing, or cancelled, which gives what is open back. What the destination's row has
in transit may be less than what is open, since a delivery or a count may have said otherwise: it is drawn down as far
as it goes, as a delivery of announced goods does.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from actors.outcomes import Refused
from actors.records import Delta, StockRecord
from actors.transfer_commands import ArrivedLine, ShipTransfer
from actors.transfer_outcomes import Excess, MoreThanSent, TransferIsClosed
from actors.transfer_records import TransferLine, TransferRecord


def shipped(command: ShipTransfer, transfer_id: str, at_ms: int) -> TransferRecord:
    """The transfer that a shipment begins; lines of one variant are added up."""
    pieces: dict[str, int] = {}
    for line in command.lines:
        pieces[line.variant_id] = pieces.get(line.variant_id, 0) + line.quantity
    return TransferRecord(
        transfer_id,
        command.organization_id,
        command.from_warehouse_id,
        command.to_warehouse_id,
        "in_transit",
        tuple([TransferLine(variant_id, quantity) for variant_id, quantity in pieces.items()]),
        at_ms,
    )


def received(transfer: TransferRecord, arrived: Sequence[ArrivedLine], close: bool, at_ms: int) -> TransferRecord:
    """The transfer after some of it has come.

    Raises:
        Refused: it is over, or more is said to have come than is open; all such variants are named.
    """
    see_that_it_is_open(transfer)
    came = _by_variant(arrived)
    sent = {line.variant_id: line for line in transfer.lines}
    excesses = [
        Excess(variant_id, line.sent, line.open, sum(pieces))
        for variant_id, pieces in came.items()
        if sum(pieces) > (line := sent.get(variant_id, TransferLine(variant_id, 0))).open
    ]
    if excesses:
        raise Refused(MoreThanSent(transfer.transfer_id, tuple(excesses)))
    lines = tuple([_after(line, came.get(line.variant_id, (0, 0, 0)), close) for line in transfer.lines])
    if any(line.open for line in lines):
        return replace(transfer, lines=lines)
    return replace(transfer, lines=lines, state="received", ended_at_ms=at_ms)


def cancelled(transfer: TransferRecord, at_ms: int) -> TransferRecord:
    """The transfer after its cancellation.

    Raises:
        Refused: it is over.
    """
    see_that_it_is_open(transfer)
    return replace(transfer, state="cancelled", ended_at_ms=at_ms)


def see_that_it_is_open(transfer: TransferRecord) -> None:
    """Raises `Refused` if nothing of it is on its way any more."""
    if transfer.state != "in_transit":
        raise Refused(TransferIsClosed(transfer.transfer_id, transfer.state))


def arrival(before: TransferLine, after: TransferLine, record: StockRecord) -> Delta:
    """What a receipt changes in the destination's row as it stands."""
    return Delta(
        available=after.received - before.received,
        damaged=after.damaged - before.damaged,
        in_transit=-min(before.open - after.open, record.in_transit),
    )


def recall(line: TransferLine, record: StockRecord) -> Delta:
    """What a cancellation changes in the destination's row as it stands."""
    return Delta(in_transit=-min(line.open, record.in_transit))


def _by_variant(arrived: Sequence[ArrivedLine]) -> Mapping[str, tuple[int, int, int]]:
    came: dict[str, tuple[int, int, int]] = {}
    for line in arrived:
        quantity, damaged, missing = came.get(line.variant_id, (0, 0, 0))
        came[line.variant_id] = quantity + line.quantity, damaged + line.damaged, missing + line.missing
    return came


def _after(line: TransferLine, came: tuple[int, int, int], close: bool) -> TransferLine:
    received, damaged, missing = came
    after = replace(
        line, received=line.received + received, damaged=line.damaged + damaged, missing=line.missing + missing
    )
    return replace(after, missing=after.missing + after.open) if close else after

"""Transfers in the model of `linearizability.py`, which knows nothing of the journal or the auditor."""

from typing import Any, NamedTuple

from actors.bounds import INT32_MAX
from actors.outcomes import InsufficientStock, QuantityTooLarge, StockNotFound
from actors.queries import GetTransfer, ListTransfers
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer, TransferCommand
from actors.transfer_outcomes import (
    MoreThanSent,
    TransferCancelled,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    TransferReceived,
    TransferShipped,
    WarehouseNotFound,
)
from actors.warehouse_outcomes import WarehouseInactive
from simulation.audit.goods_model import RowKey, Rows

TransferPlace = tuple[str, str]
Lines = tuple[tuple[str, int, int, int, int], ...]  # variant, sent, received, damaged, missing


class Sent(NamedTuple):
    """A transfer in the model."""

    sender: str
    destination: str
    state: str
    lines: Lines


Transfers = dict[TransferPlace, Sent]
FACTS = TransferShipped | TransferReceived | TransferCancelled


def after_transfer(
    rows: Rows, transfers: Transfers, closed: Any, request: TransferCommand, answer: Any
) -> tuple[Rows, Transfers] | None:
    """The rows and transfers after the request if it may have been answered so; else None. Which warehouses there are
    it does not know, nor whether a total would be too large.
    """
    key = (request.organization_id, request.transfer_id)
    known = transfers.get(key) if request.transfer_id else None
    if not isinstance(answer, FACTS):
        return (rows, transfers) if _is_refused(rows, known, closed, request, answer) else None
    told = answer.transfer
    lines = tuple((one.variant_id, one.sent, one.received, one.damaged, one.missing) for one in told.lines)
    if isinstance(request, ShipTransfer):
        if known is not None or told.state != "in_transit":
            return None
        before = Sent(request.from_warehouse_id, request.to_warehouse_id, "in_transit", ())
    elif known is None or known.state != "in_transit":
        return None
    else:
        before = known
    after = _moved(rows, (request.organization_id, told.transfer_id), request, before, lines)
    if after is None:
        return None
    state = "cancelled" if isinstance(request, CancelTransfer) else "in_transit" if _left(lines) else "received"
    if told.state != state:
        return None
    return after, {**transfers, (request.organization_id, told.transfer_id): before._replace(state=state, lines=lines)}


def _is_refused(rows: Rows, known: Sent | None, closed: Any, request: TransferCommand, answer: Any) -> bool:
    match answer:
        case TransferExists():
            return isinstance(request, ShipTransfer) and known is not None
        case TransferNotFound():
            return not isinstance(request, ShipTransfer) and known is None
        case TransferIsClosed(state=state):
            return not isinstance(request, ShipTransfer) and known is not None and known.state == state != "in_transit"
        case MoreThanSent():
            return isinstance(request, ReceiveTransfer) and known is not None and known.state == "in_transit"
        case WarehouseInactive():
            return isinstance(request, ShipTransfer) and (request.organization_id, request.to_warehouse_id) in closed
        case InsufficientStock() | StockNotFound():
            return isinstance(request, ShipTransfer) and not _has_all(rows, request)
        case WarehouseNotFound() | QuantityTooLarge():
            return True
    return False


def _has_all(rows: Rows, request: ShipTransfer) -> bool:
    wanted: dict[RowKey, int] = {}
    for line in request.lines:
        key = (request.organization_id, line.variant_id, request.from_warehouse_id)
        wanted[key] = wanted.get(key, 0) + line.quantity
    return all(key in rows and rows[key][0] >= quantity for key, quantity in wanted.items())


def _moved(rows: Rows, key: TransferPlace, request: TransferCommand, before: Sent, lines: Lines) -> Rows | None:
    after, was = dict(rows), {line[0]: line for line in before.lines}
    for variant, sent, received, damaged, missing in lines:
        sender, there = (key[0], variant, before.sender), (key[0], variant, before.destination)
        _, _, received_before, damaged_before, missing_before = was.get(variant, (variant, sent, 0, 0, 0))
        good, bad, lost = received - received_before, damaged - damaged_before, missing - missing_before
        if isinstance(request, ShipTransfer):
            if sender not in after:
                return None
            _add(after, sender, -sent, 0, 0)
            _add(after, there, 0, 0, sent)
        elif isinstance(request, CancelTransfer):
            left = sent - received - damaged - missing
            _add(after, sender, left, 0, 0)
            _add(after, there, 0, 0, -min(left, after.get(there, (0, 0, 0, 0))[3]))
        else:
            gone = min(good + bad + lost, after.get(there, (0, 0, 0, 0))[3])
            _add(after, there, good, bad, -gone)
    bad_rows = [row for row in after.values() if min(row) < 0 or sum(row) > INT32_MAX]
    return None if bad_rows else after


def _add(rows: Rows, key: RowKey, available: int, damaged: int, transit: int) -> None:
    if key in rows or available or damaged or transit:
        row = rows.get(key, (0, 0, 0, 0))
        rows[key] = (row[0] + available, row[1], row[2] + damaged, row[3] + transit)


def _left(lines: Lines) -> int:
    return sum(sent - received - damaged - missing for _, sent, received, damaged, missing in lines)


def is_told_so(transfers: Transfers, request: GetTransfer | ListTransfers, answer: Any) -> bool:
    """Whether what is told of transfers is so."""
    if isinstance(request, GetTransfer):
        known = transfers.get((request.organization_id, request.transfer_id))
        return (known.state if known else None) == (answer.transfer.state if answer.transfer else None)
    told = {(one.organization_id, one.transfer_id): one.state for one in answer.transfers}
    return all(key in transfers and transfers[key].state == state for key, state in told.items())

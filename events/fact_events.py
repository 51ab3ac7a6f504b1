"""The one place that turns what happened into events. Pure: the same entry gives the same events, ids included.

Of an entry, what belongs to no row comes first: what became of a reservation, a transfer or a warehouse. Then each row
has its events. A row is told of on every path, since it is the ledger that is read and not the paths.

What a shipment leaves and gives back is told as released too, with the reason `closed`: without it a reader that adds
up what a reservation holds would go wrong. A transfer is told as received when all of it has come or is known not to.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actors.changes import Change, ChangedReservation, ChangedRow, Pieces
from actors.feed_entries import FeedEntry
from actors.records import TransactionKind, WarehouseRecord
from actors.transfer_records import TransferRecord
from events.envelope import OutEvent, fact_id, moment

Data = dict[str, Any]

TIMEOUT = "timeout"  # a service cancels an unpaid order on this word alone
CLOSED = "closed"
RESERVED = (TIMEOUT, CLOSED)

CHANGE_TYPES: Mapping[TransactionKind, str] = {
    "reserve": "reserve",
    "reacquire": "reserve",
    "amend": "reserve",
    "release": "release",
    "expire": "release",
    "fulfill": "out",
    "deduct": "out",
    "receive": "in",
    "announce": "in",
    "adjust": "adjustment",
    "delete": "adjustment",
    "levels": "adjustment",
    "import": "count",
    "ship_transfer": "transfer",
    "receive_transfer": "transfer",
    "cancel_transfer": "transfer",
}
TRANSFER_EVENTS = {
    "ship_transfer": "inventory.transfer.in_transit",
    "receive_transfer": "inventory.transfer.received",
    "cancel_transfer": "inventory.transfer.cancelled",
}


def events_of(entry: FeedEntry, database_id: str) -> list[OutEvent]:
    """The events of an entry of the feed, in their order.

    Args:
        database_id: whose LSNs they are.
    """
    told = [*_of_the_whole(entry)] if entry.is_first else []
    told += [
        (f"{row.position}", name, _subject(row), data)
        for row in entry.change.rows
        for name, data in _of_row(entry.change, row)
    ]
    return [_event(entry, database_id, *one) for one in told]


def _event(entry: FeedEntry, database_id: str, place: str, name: str, subject: str, data: Data) -> OutEvent:
    change = entry.change
    event_id = fact_id(database_id, f"{change.lsn}/{place}/{name}")
    correlation_id = change.correlation_id or change.request_id
    return OutEvent(event_id, name, change.at_ms, entry.organization_id, correlation_id, subject, change.lsn, data)


def _of_the_whole(entry: FeedEntry) -> Iterator[tuple[str, str, str, Data]]:
    change, organization_id = entry.change, entry.organization_id
    known = {one.warehouse_id: one for one in entry.warehouses_before}
    for warehouse in change.warehouses:
        for name, data in _of_warehouse(warehouse, known.get(warehouse.warehouse_id), change.reason):
            yield f"{organization_id}/{warehouse.warehouse_id}", name, warehouse.warehouse_id, data
    if change.reservation is not None:
        for name, data in _of_reservation(entry, change.reservation):
            yield organization_id, name, change.reservation.reservation_id, data
    elif change.kind == "deduct":
        yield organization_id, "inventory.stock.deducted", change.request_id, _deducted(change, None)
    if change.transfer is not None:
        for name, data in _of_transfer(change, change.transfer):
            yield organization_id, name, change.transfer.transfer_id, data


# ---- reservations -----------------------------------------------------------------------------------------------


def _of_reservation(entry: FeedEntry, it: ChangedReservation) -> Iterator[tuple[str, Data]]:
    change, who = entry.change, _who(it)
    match change.kind:
        case "reserve" | "amend" | "reacquire":
            items = _items(entry)
            yield "inventory.stock.reserved", {**who, "items": items, "expires_at": moment(it.expires_at_ms)}
        case "confirm":
            yield "inventory.reservation.confirmed", {**who, "confirmed_at": moment(change.at_ms)}
        case "extend":
            yield "inventory.reservation.extended", {**who, "expires_at": moment(it.expires_at_ms)}
        case "release":
            yield "inventory.stock.released", {**who, "reason": _reason(change.reason), **_released(change.rows)}
        case "expire":
            yield "inventory.stock.released", {**who, "reason": TIMEOUT, **_released(change.rows)}
        case "fulfill":
            yield "inventory.stock.deducted", _deducted(change, it)
            rest = _released(change.rows)
            if rest["total_quantity_released"]:
                yield "inventory.stock.released", {**who, "reason": CLOSED, **rest}


def _reason(given: str) -> str:
    """Why a caller gave it back. The words that mean more than that are not a caller's to say."""
    return f"released: {given}" if given in RESERVED else given


def _who(it: ChangedReservation) -> Data:
    return {"reservation_id": it.reservation_id, "order_id": it.order_id}


def _items(entry: FeedEntry) -> list[Data]:
    """The basket: of a reservation that was just made its rows say it."""
    if entry.change.kind == "reserve":
        return [
            _item(row, row.after.reserved - row.before.reserved, row.before.available, row.after.available)
            for row in entry.change.rows
        ]
    return [_item(item, item.quantity, item.stock_before, item.stock_after) for item in entry.items]


def _item(row: Any, quantity: int, before: int, after: int) -> Data:
    return {
        "variant_id": row.variant_id,
        "warehouse_id": row.warehouse_id,
        "stock_id": row.stock_id,
        "quantity": quantity,
        "stock_before": before,
        "stock_after": after,
    }


def _released(rows: Sequence[ChangedRow]) -> Data:
    """What was reserved and is so no more, and did not leave."""
    pieces = [given for row in rows if (given := row.before.reserved - row.after.reserved - _gone(row)) > 0]
    return {"items_released": len(pieces), "total_quantity_released": sum(pieces)}


def _deducted(change: Change, it: ChangedReservation | None) -> Data:
    who = {"reservation_id": None, "order_id": None} if it is None else _who(it)
    return {**who, "items": [_gone_item(row) for row in change.rows if _gone(row)], "reference": change.reference}


def _gone_item(row: ChangedRow) -> Data:
    return {"variant_id": row.variant_id, "warehouse_id": row.warehouse_id, "quantity": _gone(row)}


def _gone(row: ChangedRow) -> int:
    """How many pieces left."""
    return _total(row.before) - _total(row.after)


# ---- rows -------------------------------------------------------------------------------------------------------


def _of_row(change: Change, row: ChangedRow) -> Iterator[tuple[str, Data]]:
    where, movement_id = _where(row), f"{change.lsn}-{row.position}"
    yield "inventory.stock.updated", {**where, **_updated(change, row), "movement_id": movement_id}
    if _gone(row):
        data = _movement(change, row, where, movement_id)
        yield "inventory.movement.created", data
        if data["quantity_change"] > 0:
            yield "inventory.movement.in", data
        else:
            order = {} if change.reservation is None else {"order_id": change.reservation.order_id}
            yield "inventory.movement.out", {**data, **order}
    if change.kind == "adjust":
        yield "inventory.adjustment.applied", _adjusted(change, row, where, movement_id)
    yield from _notices(change, row, where)


def _subject(row: ChangedRow) -> str:
    return f"{row.variant_id}/{row.warehouse_id}"


def _where(row: ChangedRow) -> Data:
    return {"stock_id": row.stock_id, "variant_id": row.variant_id, "warehouse_id": row.warehouse_id}


def _updated(change: Change, row: ChangedRow) -> Data:
    figures = {"quantities": _quantities(row.after), "previous_quantities": _quantities(row.before)}
    return {**figures, "change_type": _change_type(change.kind, row)}


def _change_type(kind: TransactionKind, row: ChangedRow) -> str:
    if kind == "amend" and row.after.reserved < row.before.reserved:
        return "release"
    return CHANGE_TYPES[kind]


def _total(pieces: Pieces) -> int:
    return pieces.available + pieces.reserved + pieces.damaged + pieces.in_transit


def _quantities(pieces: Pieces) -> Data:
    return {
        "total": _total(pieces),
        "available": pieces.available,
        "reserved": pieces.reserved,
        "damaged": pieces.damaged,
        "in_transit": pieces.in_transit,
    }


def _movement(change: Change, row: ChangedRow, where: Data, movement_id: str) -> Data:
    reference_id, reference_type = _reference(change)
    return {
        "movement_id": movement_id,
        **where,
        "type": CHANGE_TYPES[change.kind],
        "reason": change.reason,
        "quantity_change": _total(row.after) - _total(row.before),
        "reference_id": reference_id,
        "reference_type": reference_type,
    }


def _reference(change: Change) -> tuple[str, str]:
    if change.reservation is not None:
        return change.reservation.order_id, "order"
    return (change.reference, "document") if change.transfer is None else (change.transfer.transfer_id, "transfer")


def _adjusted(change: Change, row: ChangedRow, where: Data, movement_id: str) -> Data:
    return {
        "adjustment_id": change.request_id,
        **where,
        "quantity_before": _total(row.before),
        "quantity_after": _total(row.after),
        "reason": change.reason,
        "movement_id": movement_id,
    }


def _notices(change: Change, row: ChangedRow, where: Data) -> Iterator[tuple[str, Data]]:
    before, after = row.before.available, row.after.available
    if row.low is not None:
        yield "inventory.stock.low_level", {**where, "available_quantity": after, **_low(after, *row.low)}
    if before > 0 == after:
        yield "inventory.stock.depleted", {**where, "last_movement_at": moment(change.at_ms)}
    if before == 0 < after:
        yield "inventory.stock.replenished", {**where, "available_quantity": after}


def _low(available: int, least: int, reorder: int) -> Data:
    level = "critical" if available <= least else "warning"
    shortage = max(least, reorder) - available
    return {"min_stock": least, "reorder_point": reorder, "shortage": shortage, "alert_level": level}


# ---- warehouses and transfers -----------------------------------------------------------------------------------


def _of_warehouse(one: WarehouseRecord, before: WarehouseRecord | None, reason: str) -> Iterator[tuple[str, Data]]:
    data: Data = {"warehouse_id": one.warehouse_id, "name": one.name, "code": one.code}
    if before is None:
        yield "inventory.warehouse.created", data
        return
    changes = _differences(one, before)
    if before.is_active and not one.is_active:
        del changes["active"]
        yield "inventory.warehouse.deactivated", {**data, "reason": reason}
    if changes:
        yield "inventory.warehouse.updated", {**data, "changes": changes}


def _differences(one: WarehouseRecord, before: WarehouseRecord) -> Data:
    fields = {"name": "name", "code": "code", "priority": "priority", "active": "is_active"}
    return {field: getattr(one, name) for field, name in fields.items() if getattr(one, name) != getattr(before, name)}


def _of_transfer(change: Change, one: TransferRecord) -> Iterator[tuple[str, Data]]:
    name, data = TRANSFER_EVENTS[change.kind], _transfer(one)
    sent = sum(line.sent for line in one.lines)
    if change.kind == "ship_transfer":
        yield name, {**data, "total_quantity_sent": sent}
    elif change.kind == "cancel_transfer":
        yield name, {**data, "total_quantity_sent": sent, "reason": change.reason}
    elif one.state == "received":
        yield name, {**data, **_received(one)}


def _transfer(one: TransferRecord) -> Data:
    ends = {"from_warehouse_id": one.from_warehouse_id, "to_warehouse_id": one.to_warehouse_id}
    return {"transfer_id": one.transfer_id, **ends, "items_count": len(one.lines)}


def _received(one: TransferRecord) -> Data:
    """What came, damaged pieces too; what did not is a discrepancy."""
    came = [(line, line.received + line.damaged) for line in one.lines]
    discrepancies = [
        {"variant_id": line.variant_id, "sent": line.sent, "received": pieces, "difference": pieces - line.sent}
        for line, pieces in came
        if pieces != line.sent
    ]
    return {
        "total_quantity_received": sum(pieces for _, pieces in came),
        "has_discrepancies": bool(discrepancies),
        "discrepancies": discrepancies,
    }

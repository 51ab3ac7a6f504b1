"""A history in which each fact happens. `python -m tests.events.told_history` writes the golden files of all events."""

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.records import Delta, Origin, StockKey, Transaction, WarehouseRecord
from actors.transfer_records import TransferLine, TransferRecord
from events.cloud_format import cloudevent
from events.envelope import OutEvent, erp
from events.fact_events import events_of
from storage.feed_told import entries_of
from tests.events.told_answers import answers
from tests.storage.scribe import ORGANIZATION, Scribe

GOLDEN = Path(__file__).parent / "golden"
DATABASE = "c0ffee"


def history() -> list[Transaction]:
    """Goods in, orders of every fate, a transfer, an adjustment, and a warehouse that is closed."""
    scribe = Scribe()
    told = [scribe.receive("mug", "madrid", 10), scribe.receive("cup", "madrid", 3)]
    told.append(replace(scribe.counted([("mug", "lisbon", 2)]), reference="evening"))
    told.append(scribe.reserve("order-1", [("mug", "madrid", 2), ("cup", "madrid", 3)]))
    told[-1] = replace(told[-1], origin=Origin("cashier", "trace-1"))
    first = scribe.reservations[ORGANIZATION, told[-1].reservation.reservation_id]  # type: ignore[union-attr]
    told += [scribe.extend(first)]
    told += [scribe.amend(latest(scribe, "order-1")), scribe.confirm(latest(scribe, "order-1"))]
    told += [scribe.ship_one(latest(scribe, "order-1")), closed(scribe, latest(scribe, "order-1"))]
    told += [scribe.reserve("order-2", [("mug", "madrid", 1)])]
    told += [scribe.release(latest(scribe, "order-2")), scribe.reserve("order-3", [("mug", "lisbon", 1)])]
    told += [scribe.expire(latest(scribe, "order-3")), scribe.reacquire(latest(scribe, "order-3"))]
    told += [*sale_and_adjustment(scribe), *transfers(scribe), *warehouses(scribe)]
    return told


def latest(scribe: Scribe, order_id: str) -> Any:
    return next(one for one in reversed(scribe.reservations.values()) if one.order_id == order_id)


def closed(scribe: Scribe, it: Any) -> Transaction:
    """A shipment of one piece, after which the rest is given back."""
    scribe.at_ms += 1
    left = it.items[0].quantity - it.items[0].fulfilled
    keys = [StockKey(ORGANIZATION, item.variant_id, item.warehouse_id) for item in it.items]
    changes = [scribe._change(keys[0], Delta(left - 1, -left))]
    changes += [
        scribe._change(key, Delta(item.quantity, -item.quantity))
        for key, item in zip(keys[1:-1], it.items[1:-1], strict=True)
    ]
    changes.append(scribe._change(keys[-1], Delta(1, -1)))
    items = (replace(it.items[0], fulfilled=it.items[0].fulfilled + 1), *it.items[1:])
    after = replace(it, items=items, state="fulfilled", ended_at_ms=scribe.at_ms)
    request = scribe.request("ship-2")
    return scribe._transaction(
        "fulfill", changes=tuple(changes), reservation=after, request=request, reference="SHIP-2"
    )


def sale_and_adjustment(scribe: Scribe) -> list[Transaction]:
    mug = StockKey(ORGANIZATION, "mug", "madrid")
    sold = scribe._transaction(
        "deduct", changes=(scribe._change(mug, Delta(-1)),), request=scribe.request("sale-1"), reference="till 4"
    )
    low = scribe._change(mug, Delta(-2), min_stock=7, reorder_point=9)
    broken = scribe._transaction("adjust", changes=(low,), request=scribe.request("count-1"), reason="broken")
    return [sold, broken]


def transfers(scribe: Scribe) -> list[Transaction]:
    lines = (TransferLine("mug", 3),)
    one = TransferRecord("transfer-1", ORGANIZATION, "madrid", "lisbon", "in_transit", lines, scribe.at_ms)
    there, here = StockKey(ORGANIZATION, "mug", "lisbon"), StockKey(ORGANIZATION, "mug", "madrid")
    sent = (scribe._change(there, Delta(in_transit=3)), scribe._change(here, Delta(-3)))
    told = [replace(scribe._transaction("ship_transfer", changes=sent), transfer=one)]
    came = replace(one, state="received", lines=(TransferLine("mug", 3, 1, 1, 1),), ended_at_ms=scribe.at_ms)
    arrived = (scribe._change(there, Delta(1, 0, 1, -3)),)
    told.append(replace(scribe._transaction("receive_transfer", changes=arrived), transfer=came))
    other = replace(one, transfer_id="transfer-2", lines=(TransferLine("mug", 1),))
    sent = (scribe._change(there, Delta(in_transit=1)), scribe._change(here, Delta(-1)))
    told.append(replace(scribe._transaction("ship_transfer", changes=sent), transfer=other))
    back = (scribe._change(there, Delta(in_transit=-1)), scribe._change(here, Delta(1)))
    gone = replace(other, state="cancelled", ended_at_ms=scribe.at_ms)
    told.append(
        replace(scribe._transaction("cancel_transfer", changes=back, reason="the van broke down"), transfer=gone)
    )
    return told


def warehouses(scribe: Scribe) -> list[Transaction]:
    porto = WarehouseRecord(ORGANIZATION, "porto", "Porto", "OPO")
    named = replace(porto, name="Porto 2", is_active=False)
    return [
        scribe._transaction("warehouse", warehouses=(porto,)),
        replace(scribe._transaction("warehouse", warehouses=(named,), reason="flooded"), warehouses_before=(porto,)),
    ]


def all_events() -> list[OutEvent]:
    entries = [entry for one in history() for entry in entries_of(one)]
    return [event for entry in entries for event in events_of(entry, DATABASE)]


def golden_texts() -> dict[str, str]:
    """For each event its first two in both forms."""
    by_name: dict[str, list[OutEvent]] = {}
    for event in (*all_events(), *answers()):
        by_name.setdefault(event.name, []).append(event)
    return {
        name: json.dumps(
            [msgspec.to_builtins(form(event)) for event in events[:2] for form in (erp, cloudevent)], indent=2
        )
        + "\n"
        for name, events in by_name.items()
    }


if __name__ == "__main__":
    for golden_name, golden_text in golden_texts().items():
        (GOLDEN / f"{golden_name}.json").write_text(golden_text, encoding="utf-8", newline="\n")

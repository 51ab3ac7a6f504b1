"""The JSON Schema of each event, in both forms. `python -m events.event_schemas docs/events` writes them anew.

They are closed: a field that stands in no schema is one that the other services have not agreed to.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "string", "minLength": 1}
TIME: Schema = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
COUNT: Schema = {"type": "integer", "minimum": 0}
PIECES: Schema = {"type": "integer", "minimum": 1}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MAYBE: Schema = {"type": ["string", "null"]}


def _object(fields: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": dict(fields), "required": required, "additionalProperties": False}


def _list(fields: Mapping[str, Schema]) -> Schema:
    return {"type": "array", "items": _object(fields)}


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


CHANGE_TYPE = _one_of("in", "out", "reserve", "release", "confirm", "adjustment", "transfer", "count")
QUANTITIES = _object(dict.fromkeys(("total", "available", "reserved", "damaged", "in_transit"), COUNT))
# A row that was taken away has no id any more, where what happened to it before is told late.
ROW = {"stock_id": TEXT, "variant_id": ID, "warehouse_id": ID}
RESERVATION = {"reservation_id": ID, "order_id": ID}
WAREHOUSE = {"warehouse_id": ID, "name": TEXT, "code": TEXT}
TRANSFER = {"transfer_id": ID, "from_warehouse_id": ID, "to_warehouse_id": ID, "items_count": PIECES}
MOVEMENT = {
    "movement_id": ID,
    **ROW,
    "type": CHANGE_TYPE,
    "reason": TEXT,
    "quantity_change": {"type": "integer", "not": {"const": 0}},
    "reference_id": TEXT,
    "reference_type": _one_of("order", "transfer", "document"),
}
ITEM = {**{name: ROW[name] for name in ("variant_id", "warehouse_id", "stock_id")}, "quantity": PIECES}
ITEM |= {"stock_before": COUNT, "stock_after": COUNT}
LOW = {"available_quantity": COUNT, "min_stock": COUNT, "reorder_point": COUNT, "shortage": COUNT}
LOW["alert_level"] = _one_of("critical", "warning")
GOODS = {"variant_id": ID, "warehouse_id": ID, "quantity": PIECES}
SHORTAGE = {"variant_id": ID, "warehouse_id": TEXT, "requested": PIECES, "available": COUNT}
ADJUSTED = {"quantity_before": COUNT, "quantity_after": COUNT, "reason": TEXT, "movement_id": ID}
DISCREPANCY = {"variant_id": ID, "sent": PIECES, "received": COUNT, "difference": NUMBER}
RECEIVED = {"total_quantity_received": COUNT, "has_discrepancies": FLAG, "discrepancies": _list(DISCREPANCY)}

DATA: Mapping[str, Schema] = {
    "inventory.stock.updated": _object(
        {**ROW, "quantities": QUANTITIES, "previous_quantities": QUANTITIES}
        | {"change_type": CHANGE_TYPE, "movement_id": ID}
    ),
    "inventory.stock.reserved": _object({**RESERVATION, "items": _list(ITEM), "expires_at": TIME}),
    "inventory.reservation.confirmed": _object({**RESERVATION, "confirmed_at": TIME}),
    "inventory.reservation.extended": _object({**RESERVATION, "expires_at": TIME}),
    "inventory.stock.released": _object(
        {**RESERVATION, "reason": TEXT, "items_released": COUNT, "total_quantity_released": COUNT}
    ),
    "inventory.reservation.failed": _object(
        {"order_id": ID, "reason": _one_of("insufficient_stock", "stock_not_found"), "shortages": _list(SHORTAGE)}
    ),
    "inventory.stock.deducted": _object(
        {"reservation_id": MAYBE, "order_id": MAYBE, "items": _list(GOODS), "reference": TEXT}
    ),
    "inventory.stock.low_level": _object({**ROW, **LOW}),
    "inventory.stock.depleted": _object({**ROW, "last_movement_at": TIME}),
    "inventory.stock.replenished": _object({**ROW, "available_quantity": PIECES}),
    "inventory.movement.created": _object(MOVEMENT),
    "inventory.movement.in": _object({**MOVEMENT, "quantity_change": PIECES}),
    "inventory.movement.out": _object(
        {**MOVEMENT, "quantity_change": {"type": "integer", "maximum": -1}, "order_id": ID}, optional=("order_id",)
    ),
    "inventory.warehouse.created": _object(WAREHOUSE),
    "inventory.warehouse.updated": _object(
        {
            **WAREHOUSE,
            "changes": {
                **_object({"name": TEXT, "code": TEXT, "priority": NUMBER, "active": FLAG}),
                "required": [],
                "minProperties": 1,
            },
        }
    ),
    "inventory.warehouse.deactivated": _object({**WAREHOUSE, "reason": TEXT}),
    "inventory.transfer.in_transit": _object({**TRANSFER, "total_quantity_sent": PIECES}),
    "inventory.transfer.received": _object({**TRANSFER, **RECEIVED}),
    "inventory.transfer.cancelled": _object({**TRANSFER, "total_quantity_sent": PIECES, "reason": TEXT}),
    "inventory.adjustment.applied": _object({"adjustment_id": ID, **ROW, **ADJUSTED}),
    "inventory.stock.initialized": _object(
        {"variant_id": ID, "warehouses": _list({"warehouse_id": ID, "stock_id": ID, "initial_quantity": COUNT})}
    ),
    "inventory.stock.archived": _object({"variant_id": ID, "records_archived": COUNT}),
    "inventory.stock.validation_failed": _object(
        {
            "variant_id": ID,
            "reason": TEXT,
            "details": _object(
                {"total_stock": COUNT, "warehouses_affected": _list({"warehouse_id": ID, "quantity": COUNT})}
            ),
        }
    ),
}


def schema_of(name: str) -> Schema:
    """What a message of this event is, in either form."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "oneOf": [{"$ref": "#/$defs/erp"}, {"$ref": "#/$defs/cloudevent"}],
        "$defs": {"data": DATA[name], "erp": _erp(name), "cloudevent": _cloudevent(name)},
    }


def _erp(name: str) -> Schema:
    return _object(
        {
            "event_id": {"type": "string", "format": "uuid"},
            "event": {"const": name},
            "version": {"const": "1.0"},
            "timestamp": TIME,
            "organization_id": ID,
            "correlation_id": TEXT,
            "service": {"const": "inventory-service"},
            "data": {"$ref": "#/$defs/data"},
        }
    )


def _cloudevent(name: str) -> Schema:
    data = DATA[name]
    return _object(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid"},
            "type": {"const": name},
            "source": {"type": "string", "pattern": "^/inventory/"},
            "subject": ID,
            "time": TIME,
            "sequence": {"type": "string", "pattern": "^[0-9]+$"},
            "datacontenttype": {"const": "application/json"},
            "correlationid": ID,
            "data": {
                **data,
                "properties": {"organization_id": ID, **data["properties"]},
                "required": ["organization_id", *data["required"]],
            },
        },
        optional=("correlationid",),
    )


def write(folder: Path) -> None:
    """A file for each event."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DATA:
        text = json.dumps(schema_of(name), indent=2) + "\n"
        (folder / f"{name}.schema.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

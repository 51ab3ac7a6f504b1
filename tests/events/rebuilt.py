"""What a consumer knows of stock and reservations that has heard events and nothing else."""

from typing import Any

from stockkeeper_client import InventoryClient

Row = tuple[str, str]


class Rebuilt:
    """Follows events in the form `erp` or as CloudEvents, in the order in which they were first heard."""

    def __init__(self) -> None:
        self.rows: dict[Row, dict[str, int]] = {}
        self.held: dict[str, dict[Row, int]] = {}  # by reservation: what is not shipped yet
        self.states: dict[str, str] = {}
        self.archived: set[str] = set()

    def follow(self, message: dict[str, Any]) -> None:
        name, data = message.get("event") or message["type"], message["data"]
        match name:
            case "inventory.stock.updated":
                self.rows[data["variant_id"], data["warehouse_id"]] = data["quantities"]
            case "inventory.stock.reserved":
                self._reserved(data)
            case "inventory.reservation.confirmed":
                self.states[data["reservation_id"]] = "confirmed"
            case "inventory.stock.deducted" if data["reservation_id"]:
                self._shipped(data)
            case "inventory.stock.released":
                self._released(data)
            case "inventory.stock.archived":
                self.archived.add(data["variant_id"])

    def _reserved(self, data: dict[str, Any]) -> None:
        basket: dict[Row, int] = {}
        for item in data["items"]:
            row = item["variant_id"], item["warehouse_id"]
            basket[row] = basket.get(row, 0) + item["quantity"]
        self.held[data["reservation_id"]] = basket
        self.states[data["reservation_id"]] = "active"

    def _shipped(self, data: dict[str, Any]) -> None:
        held = self.held[data["reservation_id"]]
        for item in data["items"]:
            held[item["variant_id"], item["warehouse_id"]] -= item["quantity"]
        if not any(held.values()):
            self.states[data["reservation_id"]] = "fulfilled"

    def _released(self, data: dict[str, Any]) -> None:
        states = {"timeout": "expired", "closed": "fulfilled"}
        self.states[data["reservation_id"]] = states.get(data["reason"], "released")
        self.held[data["reservation_id"]] = {}


async def assert_rebuilt(messages: list[dict[str, Any]], client: InventoryClient, organization_id: str) -> None:
    """What was heard is what there is: every row, and every reservation with what it holds."""
    rebuilt = Rebuilt()
    for message in messages:
        rebuilt.follow(message)
    async for row in client.stock.list_stock(organization_id):
        figures = rebuilt.rows.pop((row.variant_id, row.warehouse_id))
        assert figures == {
            "total": row.total_quantity,
            "available": row.available_quantity,
            "reserved": row.reserved_quantity,
            "damaged": row.damaged_quantity,
            "in_transit": row.in_transit_quantity,
        }
    gone = [row for row, figures in rebuilt.rows.items() if row[0] in rebuilt.archived and not any(figures.values())]
    assert list(rebuilt.rows) == gone
    async for one in client.stock.list_reservations(organization_id):
        assert rebuilt.states.pop(one.reservation_id) == one.state
        held: dict[Row, int] = {}
        for item in one.items if one.state in ("active", "confirmed") else ():
            held[item.variant_id, item.warehouse_id] = held.get((item.variant_id, item.warehouse_id), 0) + item.quantity
        for shipped in one.fulfilled if held else ():
            held[shipped.variant_id, shipped.warehouse_id] -= shipped.quantity
        assert {row: pieces for row, pieces in rebuilt.held[one.reservation_id].items() if pieces} == {
            row: pieces for row, pieces in held.items() if pieces
        }
    assert rebuilt.states == {}

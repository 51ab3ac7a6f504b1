"""Events of others that are answered, by an inventory that says what this file says."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import anyio

from events.deeds import Deeds
from events.envelope import OutEvent
from events.incoming import read_event
from events.stock_port import Lacking, OwnReservation, RowThere, StockPort, StockRefuses

ROWS = {
    "mug": [RowThere("mug", "lisbon", "", 0), RowThere("mug", "madrid", "row-7", 4)],
    "cup": [RowThere("cup", "madrid", "row-8", 0)],
}
SAID = (
    ("order.placed", {"order_id": "order-1", "items": [{"variant_id": "mug", "quantity": 9}]}),
    ("order.placed", {"order_id": "order-2", "items": [{"variant_id": "jug", "quantity": 1}]}),
    ("catalog.variant.created", {"variant_id": "cup", "default_min_stock": 2}),
    ("catalog.variant.updated", {"variant_id": "mug", "changes": {"track_inventory": {"old": True, "new": False}}}),
    ("catalog.variant.deleted", {"variant_id": "mug"}),
    ("catalog.product.deleted", {"variant_ids": ["cup", "pin"]}),
)


CAME_MS = 1_790_000_000_123


class FixedStock:
    """An inventory of three rows, that refuses every reservation."""

    def correlated(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    async def reserve(self, _: str, order_id: str, *__: object) -> None:
        if order_id == "order-1":
            raise StockRefuses("INSUFFICIENT_STOCK", "too few", [Lacking("mug", "madrid", 9, 4)])
        raise StockRefuses("STOCK_NOT_FOUND", "no such goods", [Lacking("jug")])

    async def rows(self, _: str, variant_id: str) -> Sequence[RowThere]:
        return ROWS.get(variant_id, [])

    async def active_warehouses(self, _: str) -> Sequence[str]:
        return ["madrid"]

    async def delete_row(self, _: str, variant_id: str, *__: object) -> None:
        if variant_id == "mug":
            raise StockRefuses("STOCK_NOT_EMPTY", "there are pieces")

    async def deleted(self, _: str, variant_id: str, __: str) -> int:
        return len(ROWS.get(variant_id, []))

    async def reservations(self, *_: object) -> Sequence[OwnReservation]:
        return []


def answers() -> list[OutEvent]:
    """What the consumer publishes of all that is said, in its order."""

    async def answered() -> list[OutEvent]:
        deeds = Deeds(cast(StockPort, cast(Any, FixedStock())))
        found: list[OutEvent] = []
        for number, (name, data) in enumerate(SAID, 1):
            envelope = {"event_id": f"event-{number}", "event": name, "organization_id": "shop", "data": data}
            envelope |= {"timestamp": f"2026-01-31T12:00:0{number}Z", "correlation_id": f"because-{number}"}
            heard = read_event(json.dumps(envelope).encode(), name, CAME_MS)
            assert heard is not None
            found += await deeds.do(heard)
        return found

    return anyio.run(answered)

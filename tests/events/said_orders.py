"""Orders that come as events, whatever is killed, and what must have become of each."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from stockkeeper_client import InventoryClient

from tests.events.others import Others, others_on
from tests.events.real_brokers import BrokerProcess
from tests.system.servers import ORGANIZATION

FAILED = "inventory.reservation.failed"
PATIENCE_S = 60
FATES = ("shipped", "cancelled", "expired", "confirmed", "refused")


class SaidEvent(NamedTuple):
    event_id: str
    name: str
    data: dict[str, Any]


def order(number: int) -> Iterator[SaidEvent]:
    """What is said of an order, by its fate."""
    fate, order_id = FATES[number % len(FATES)], f"said-{number}"
    quantity = 100_000 if fate == "refused" else 1
    item = {"variant_id": f"v{number % 7}", "quantity": quantity, "preferred_warehouse_id": "w2"}
    ttl_minutes = 1 if fate == "expired" else 40_000  # the server's minutes are seconds
    placed = {"order_id": order_id, "items": [item], "reservation_ttl_minutes": ttl_minutes}
    yield SaidEvent(f"{order_id}-placed", "order.placed", placed)
    if fate in ("shipped", "confirmed"):
        yield SaidEvent(f"{order_id}-confirmed", "order.confirmed", {"order_id": order_id})
    if fate == "cancelled":
        yield SaidEvent(f"{order_id}-cancelled", "order.cancelled", {"order_id": order_id})
    if fate == "shipped":
        shipped = [{"variant_id": f"v{number % 7}", "quantity": 1}]
        data = {"order_id": order_id, "shipment_id": order_id, "shipped_items": shipped}
        yield SaidEvent(f"{order_id}-shipped", "order.shipped", data)
        returned = [{"variant_id": f"v{number % 7}", "quantity": 1, "condition": "good"}]
        data = {"order_id": order_id, "return_id": f"{order_id}-back", "warehouse_id": "w1", "returned_items": returned}
        yield SaidEvent(f"{order_id}-returned", "return.received", data)
        sold = {"transaction_id": f"{order_id}-till", "local_id": "w1", "items": [{"variant_id": "v0", "quantity": 1}]}
        yield SaidEvent(f"{order_id}-till", "pos.transaction.completed", sold)


def catalog() -> Iterator[SaidEvent]:
    """A variant that comes and goes, and one that cannot go."""
    yield SaidEvent("catalog-1", "catalog.variant.created", {"variant_id": "brush"})
    yield SaidEvent("catalog-2", "catalog.variant.deleted", {"variant_id": "brush"})
    yield SaidEvent("catalog-3", "catalog.variant.deleted", {"variant_id": "v1"})


class Speaker:
    """The other services: what they say they say again until their broker has it."""

    def __init__(self, kind: str, broker: BrokerProcess) -> None:
        self._kind = kind
        self._broker = broker
        self.orders = 0

    async def run(self, stop: asyncio.Event, pause_s: float) -> None:
        """Speak until told to stop, and at least once of each fate."""
        await self._say(list(catalog()))
        while not stop.is_set() or self.orders < len(FATES):
            await self._say(list(order(self.orders)))
            self.orders += 1
            await asyncio.sleep(pause_s)

    async def _say(self, left: list[SaidEvent]) -> None:
        where = self._kind, self._broker
        while left:
            with suppress(Exception):
                async with asyncio.timeout(10), others_on(*where, is_new=False, is_heard=True) as others:
                    while left:
                        await others.say(left[0].name, left[0].data, left[0].event_id)
                        left.pop(0)
                    return
            await asyncio.sleep(0.2)

    async def until_done(self, client: InventoryClient) -> None:
        """Each order has met its fate, once. RabbitMQ does not tell of what is still with the consumer."""
        undone = await self._undone(client)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while undone:
                    await asyncio.sleep(0.2)
                    undone = await self._undone(client)
        assert not undone, undone

    async def assert_answered(self, others: Others, failed: list[dict[str, Any]]) -> None:
        """Nothing was buried, and each order that was refused has its answer."""
        assert await others.buried() == []
        refused = sorted(f"said-{number}" for number in range(self.orders) if FATES[number % len(FATES)] == "refused")
        assert sorted(one["data"]["order_id"] for one in failed) == refused

    async def _undone(self, client: InventoryClient) -> list[tuple[str, Any]]:
        """What is not as it must be in the end."""
        states: dict[str, list[str]] = {f"said-{number}": [] for number in range(self.orders)}
        async for one in client.stock.list_reservations(ORGANIZATION):
            if one.order_id in states:
                states[one.order_id].append(one.state)
        became = {"shipped": ["fulfilled"], "cancelled": ["released"], "refused": list[str]()}
        fates = {f"said-{number}": FATES[number % len(FATES)] for number in range(self.orders)}
        undone: list[tuple[str, Any]] = [
            (order_id, states[order_id])
            for order_id, fate in fates.items()
            if states[order_id] != became.get(fate, [fate])
        ]
        for order_id in [order_id for order_id, fate in fates.items() if fate == "shipped"]:
            for reference in (f"{order_id}-back", f"{order_id}-till"):
                found = client.stock.list_movements(ORGANIZATION, reference=reference)
                if (count := len([one async for one in found])) != 1:
                    undone.append((reference, count))
        return undone

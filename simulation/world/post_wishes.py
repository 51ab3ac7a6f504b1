"""What other services say in a simulated world: orders of every fate, tills, returns and the catalog."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from events.envelope import moment
from simulation.audit.done_once import SaidEvent
from simulation.world.shop import Shop
from simulation.world.simulated_post import START_MS

ORDERS_MAX, OTHERS_MAX = 8, 10
AGAIN = 0.2  # of what is said, that it is said a second time


class PostWishes:
    """Everything that will be said, from the seed.

    Args:
        shop: what there is.
    """

    def __init__(self, shop: Shop, seed: str) -> None:
        self._shop = shop
        self._random = Random(f"{seed}/post wishes")
        self._count = 0
        self.said: list[SaidEvent] = []

    def __repr__(self) -> str:
        return f"<PostWishes said={len(self.said)}>"

    def all(self) -> list[SaidEvent]:
        """In the order in which it is said: that of each order is kept, and all else is mixed."""
        random = self._random
        lines = [list(self._order(f"post-order-{n}")) for n in range(random.randint(1, ORDERS_MAX))]
        lines += [[self._other()] for _ in range(random.randint(1, OTHERS_MAX))]
        mixed: list[SaidEvent] = []
        while lines:
            line = random.choice(lines)
            mixed.append(line.pop(0))
            lines = [one for one in lines if one]
            if random.random() < AGAIN:
                mixed.append(random.choice(mixed))
        return mixed

    def _order(self, order_id: str) -> Iterator[SaidEvent]:
        random = self._random
        placements = random.choice((1, 1, 2, 3))
        organization_id = random.choice(self._shop.organizations)
        for placement in range(placements):
            about = (organization_id, order_id, placements)
            items = [self._item(placement) for _ in range(random.choice((1, 1, 2)))]
            yield self._say("order.placed", {"items": items, "reservation_ttl_minutes": random.choice((1, 2))}, *about)
            if random.random() < 0.6:
                yield self._say("order.confirmed", {}, *about)
            if random.random() < 0.4 and placement == placements - 1:
                shipped = [{"variant_id": items[0]["variant_id"], "quantity": 1}]
                yield self._say("order.shipped", {"shipped_items": shipped}, *about, reference="shipment_id")
            elif random.random() < 0.7 or placement < placements - 1:
                yield self._say("order.cancelled", {}, *about, reference="cancellation_reason")

    def _item(self, placement: int) -> dict[str, Any]:
        random, shop = self._random, self._shop
        item: dict[str, Any] = {
            "variant_id": random.choice(shop.variants),
            "quantity": random.randint(1, 2) + placement,  # another basket each time
        }
        if random.random() < 0.5:
            item["preferred_warehouse_id"] = random.choice(shop.warehouses)
        return item

    def _other(self) -> SaidEvent:
        random = self._random
        organization_id = random.choice(self._shop.organizations)
        variant_id, warehouse_id = random.choice(self._shop.variants), random.choice(self._shop.warehouses)
        items = [{"variant_id": variant_id, "quantity": random.randint(1, 2)}]
        match random.randrange(6):
            case 0:
                data: dict[str, Any] = {
                    "warehouse_id": warehouse_id,
                    "returned_items": [{**items[0], "condition": random.choice(("good", "broken"))}],
                }
                return self._say("return.received", data, organization_id, reference="return_id")
            case 1 | 2 as till:
                name = ("pos.transaction.completed", "pos.return.processed")[till - 1]
                data = {"local_id": warehouse_id, "items": items}
                return self._say(name, data, organization_id, reference="transaction_id")
            case 3:
                made = f"post-variant-{self._count}"
                return self._say("catalog.variant.created", {"variant_id": made}, organization_id)
            case 4:
                return self._say("catalog.variant.deleted", {"variant_id": variant_id}, organization_id)
            case _:
                return self._rubbish(organization_id)

    def _rubbish(self, organization_id: str) -> SaidEvent:
        self._count += 1
        body = random_rubbish(self._random, self._count)
        rubbish = SaidEvent("", "rubbish", organization_id, "", "", 0, body)
        self.said.append(rubbish)
        return rubbish

    def _say(
        self,
        name: str,
        data: dict[str, Any],
        organization_id: str,
        order_id: str = "",
        placements: int = 0,
        *,
        reference: str = "",
    ) -> SaidEvent:
        self._count += 1
        event_id = f"post-{self._count}"
        told = f"post-reference-{self._count}" if reference else ""
        data = {**data, **({"order_id": order_id} if order_id else {}), **({reference: told} if reference else {})}
        envelope = {"event_id": event_id, "event": name, "organization_id": organization_id, "data": data}
        envelope["timestamp"] = moment(START_MS + self._count)
        event = SaidEvent(event_id, name, organization_id, order_id, told, placements, json.dumps(envelope).encode())
        self.said.append(event)
        return event


def random_rubbish(random: Random, number: int) -> bytes:
    """No event, each another."""
    envelope = b'{"event_id":"r%d","event":"order.placed","organization_id":"o","data":{"order_id":%d}}'
    return random.choice((b"rubbish %d" % number, b'{"event_id":%d}' % number, envelope % (number, number)))

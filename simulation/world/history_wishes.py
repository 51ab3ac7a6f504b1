"""What clients ask of the past, and how they follow what happens.

It comes on top of what a client does anyway, from a stream of its own: runs without it are as they were.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from actors.changes import ChangesPage, Point
from actors.queries import GetStockAt, ListMovements, ReadChanges
from actors.records import ReservationRecord
from simulation.audit.history import Answer
from simulation.world.goods_wishes import Assortment

KINDS = ("reserve", "release", "expire", "fulfill", "receive", "import", "adjust", "delete")


class Follower:
    """A client that follows what happens in one organization. It remembers how far it has heard, and nothing else."""

    def __init__(self, organization_id: str) -> None:
        self._organization_id = organization_id
        self._place = Point(0)

    def __repr__(self) -> str:
        return f"<Follower of {self._organization_id} at {self._place}>"

    def next_query(self, random: Random) -> ReadChanges:
        """Where to go on, and now and then only where the history ends."""
        if random.random() < 0.05:
            return ReadChanges(self._organization_id)
        rows_max = random.choice((4, 1_000))  # an order has four lines at most, and is told as a whole
        return ReadChanges(self._organization_id, self._place, rows_max, random.choice((0, 0, 20)))

    def hear(self, query: ReadChanges, answer: Answer | None, random: Random) -> None:
        """Take an answer in, or lose it on the way: then what it said is asked again."""
        if isinstance(answer, ChangesPage) and query.after is not None and random.random() < 0.8:
            self._place = answer.upto


def look_back(shop: Assortment, random: Random, known: Sequence[ReservationRecord]) -> ListMovements | GetStockAt:
    """A question about the past, around a time at which something is known to have happened."""
    organization = random.choice(shop.organizations)
    variant, warehouse = random.choice(shop.variants), random.choice(shop.warehouses)
    some = random.choice(known) if known else None
    then_ms = 1 if some is None else some.created_at_ms + random.choice((-1, 0, 1, random.randint(-20_000, 80_000)))
    if random.random() < 0.4:
        return GetStockAt(organization, variant, warehouse, then_ms)
    filters: list[dict[str, Any]] = [
        {"variant_id": variant},
        {"variant_id": variant, "warehouse_id": warehouse},
        {"order_id": "order_0" if some is None else some.order_id},
        {"reservation_id": "none" if some is None else some.reservation_id},
        {"kinds": tuple(random.sample(KINDS, 2))},
        {"after_ms": then_ms},
        {"before_ms": then_ms},
        {},
    ]
    chosen = random.choice(filters)
    return ListMovements(organization, **chosen, newest_first=random.random() < 0.5, limit=random.choice((3, 100)))

"""What clients ask of the places that goods are in: which are open, and for what they are known.

It comes on top of what a client does anyway, from a stream of its own: runs without it are as they were.
"""

from random import Random

from actors.queries import ListWarehouses
from actors.warehouse_commands import UpsertWarehouse
from simulation.audit.history import Request
from simulation.world.goods_wishes import Assortment, why


def site_wish(shop: Assortment, random: Random, name: str) -> Request:
    """One more wish of a client whose number and place are in `name`."""
    if random.random() < 0.2:
        return warehouse_list(shop, random)
    return warehouse(shop, random, name)


def warehouse(shop: Assortment, random: Random, name: str) -> UpsertWarehouse:
    """Mostly one is closed or opened; now and then it gets another name, code or priority, or is new."""
    warehouse_id = random.choice(shop.warehouses) if random.random() < 0.9 else "wh_new"
    is_active = random.choice((None, False, True, True)) if random.random() < 0.8 else None
    renamed = random.choice(("", f"Renamed by {name}")) if random.random() < 0.2 else ""
    return UpsertWarehouse(
        random.choice(shop.organizations),
        warehouse_id,
        renamed or None,
        random.choice((None, None, "W-1", "")),
        random.choice((None, None, 0, 5)),
        is_active,
        f"site-{random.randrange(4)}" if random.random() < 0.1 else f"{name}-site",
        *why(name),
    )


def warehouse_list(shop: Assortment, random: Random) -> ListWarehouses:
    return ListWarehouses(random.choice(shop.organizations), random.random() < 0.5, "", random.choice((1, 2, 100)))

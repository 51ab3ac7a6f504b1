"""What clients ask of the places that goods are in: which are open, and for what they are known.

It comes on top of what a client does anyway, from a stream of its own: runs without it are as they were.
"""

from random import Random
from typing import get_args

from actors.queries import FindStock, ListWarehouses
from actors.stock_alerts import AlertLevel, StockStatus
from actors.warehouse_commands import LevelsLine, SetLevels, UpsertWarehouse
from simulation.audit.history import Request
from simulation.world.goods_wishes import Assortment, why
from simulation.world.transfer_wishes import Moving, transfer_wish


def site_wish(shop: Moving, random: Random, name: str) -> Request:
    """One more wish of a client whose number and place are in `name`."""
    if random.random() < 0.5:
        return transfer_wish(shop, random, name)
    if random.random() < 0.2:
        return warehouse_list(shop, random)
    if random.random() < 0.2:
        return search(shop, random)
    if random.random() < 0.25:
        return levels(shop, random, name)
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


def levels(shop: Assortment, random: Random, name: str) -> SetLevels:
    """Of one or two rows, not always in agreement, and sometimes what they have already."""
    lines = {}
    for _ in range(random.choice((1, 1, 2))):
        row = random.choice(shop.variants), random.choice(shop.warehouses)
        lines[row] = LevelsLine(
            *row, random.choice((None, 0, 1, 3)), random.choice((None, 0, 2, 9)), random.choice((None, 0, 4))
        )
    return SetLevels(random.choice(shop.organizations), tuple(lines.values()), f"{name}-levels", *why(name))


def search(shop: Assortment, random: Random) -> FindStock:
    return FindStock(
        random.choice(shop.organizations),
        random.choice((None, *get_args(StockStatus))),
        random.choice((None, None, *get_args(AlertLevel))),
        warehouse_id=random.choice(("", "", shop.warehouses[0])),
        variant_prefix=random.choice(("", "", "var", "var_1", "x")),
        limit=random.choice((1, 2, 100)),
        looks_max=random.choice((1, 2, 3, 100)),
    )


def warehouse_list(shop: Assortment, random: Random) -> ListWarehouses:
    return ListWarehouses(random.choice(shop.organizations), random.random() < 0.5, "", random.choice((1, 2, 100)))

"""What clients report of goods: deliveries, announcements, what they found in a row, and rows that should go."""

from random import Random
from typing import Protocol, get_args

from msgspec.structs import replace

from actors.commands import (
    Adjust,
    Adjustment,
    AdjustmentKind,
    Announce,
    Delete,
    DeliveryLine,
    Line,
    Receive,
)
from simulation.faults import Options


class Assortment(Protocol):
    """What a shop has, as far as these wishes need to know."""

    options: Options
    organizations: list[str]
    variants: list[str]
    warehouses: list[str]
    created_ms: list[int]  # of reservations


def delivery(shop: Assortment, random: Random, name: str) -> Receive:
    quantity = random.randint(1, 3) if random.random() < 0.97 else 2**31 - 1
    warehouse = random.choice(shop.warehouses) if random.random() < 0.9 else "wh_new"
    organization = _organization(shop, random, warehouse)
    lines = [DeliveryLine(random.choice(shop.variants), warehouse, quantity, 0, random.random() < 0.5)]
    while random.random() < 0.3:
        damaged = random.choice((0, 0, 1, 2))
        row = random.choice(shop.variants), random.choice(shop.warehouses)
        lines.append(DeliveryLine(*row, random.randint(1 - min(damaged, 1), 3), damaged, random.random() < 0.5))
    return Receive(organization, tuple(lines), name, *why(name))


def announcement(shop: Assortment, random: Random, name: str) -> Announce:
    warehouse = random.choice(shop.warehouses) if random.random() < 0.9 else "wh_new"
    quantity = random.randint(1, 4) if random.random() < 0.97 else 2**31 - 1
    lines = [Line(random.choice(shop.variants), warehouse, quantity)]
    while random.random() < 0.3:
        lines.append(Line(random.choice(shop.variants), random.choice(shop.warehouses), random.randint(1, 4)))
    return Announce(_organization(shop, random, warehouse), tuple(lines), name, *why(name))


def adjustment(shop: Assortment, random: Random, name: str) -> Adjust:
    """What was found in one or two rows. Some counts expect a total."""
    lines = {}
    for _ in range(random.choice((1, 1, 2))):
        kind = random.choice((*get_args(AdjustmentKind), "count", "count"))
        pieces = random.randint(0, shop.options.pieces + 2) if kind == "count" else random.randint(1, 3)
        if kind == "delta" and random.random() < 0.5:
            pieces = -pieces
        expected = random.randint(0, shop.options.pieces) if kind == "count" and random.random() < 0.4 else None
        row = random.choice(shop.variants), random.choice(shop.warehouses)
        lines[row] = Adjustment(*row, kind, pieces, expected)
    found = Adjust(random.choice(shop.organizations), tuple(lines.values()), name, *why(name))
    return replace(found, release_uncovered=True) if Random(f"{name} releases").random() < 0.5 else found


def deletion(shop: Assortment, random: Random, name: str) -> Delete:
    """Of any row, mostly one that several clients care about; some are empty."""
    warehouse = random.choice(shop.warehouses) if random.random() < 0.8 else "wh_new"
    return Delete(random.choice(shop.organizations), random.choice(shop.variants), warehouse, name, *why(name))


def brought_and_deleted(shop: Assortment, random: Random, name: str) -> tuple[Receive, Delete]:
    """Goods come to a row that is probably empty, and another client deletes it in the same moment."""
    organization, variant = random.choice(shop.organizations), random.choice(shop.variants)
    warehouse = random.choice((shop.warehouses[0], "wh_new"))
    lines = [DeliveryLine(variant, warehouse, 1)]
    lines += [DeliveryLine(random.choice(shop.variants), random.choice(shop.warehouses), 1) for _ in range(2)]
    brought = Receive(organization, tuple(lines), f"{name}-brought", *why(name))
    return brought, Delete(organization, variant, warehouse, f"{name}-deleted", *why(name))


def _organization(shop: Assortment, random: Random, warehouse: str) -> str:
    return "org_new" if warehouse == "wh_new" and random.random() < 0.2 else random.choice(shop.organizations)


def why(name: str) -> tuple[str, str]:
    """The reason and the reference of a change of goods."""
    return now_and_then(f"reason of {name}"), now_and_then(f"note of {name}")


def now_and_then(text: str) -> str:
    """The text or, for some texts, none: the same for the same text."""
    return text if Random(text).random() < 0.7 else ""

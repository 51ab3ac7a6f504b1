"""What clients ask of how baskets are served: the policy, priorities, and baskets to which they matter.

It comes on top of what a client does anyway, from a stream of its own: runs without it are as they were.
"""

from collections.abc import Sequence
from random import Random
from typing import get_args

from msgspec.structs import replace

from actors.basket_commands import ReserveBasket, Wish
from actors.commands import Deduct, Line, Reserve
from actors.queries import CheckBasket, ExplainBasket, GetSourcing
from actors.sourcing import SourcingPolicy
from actors.warehouse_commands import SetSourcing, UpsertWarehouse
from simulation.audit.history import Request
from simulation.world.goods_wishes import Assortment, why
from simulation.world.shop import Shop

POLICIES: tuple[SourcingPolicy, ...] = get_args(SourcingPolicy)


def sourcing_wishes(shop: Shop, name: str) -> Sequence[Request]:
    """What a client asks now and then, one after another. Its number and place are in `name`."""
    random = Random(f"{shop.seed}/{name}/sourcing")
    if random.random() >= shop.options.sourcing:
        return ()
    organization = random.choice(shop.organizations)
    if random.random() < 0.35:
        return (
            _policy(organization, random, name),
            GetSourcing(organization),
            _basket(shop, organization, random, name),
        )
    if random.random() < 0.5:
        return _wishes(shop, organization, random, name)
    if random.random() < 0.4:
        return (_priority(shop, organization, random, name), _basket(shop, organization, random, name))
    return (_basket(shop, organization, random, name), GetSourcing(organization))


def _policy(organization: str, random: Random, name: str) -> SetSourcing:
    """Sometimes what is set already, and sometimes under a key that others use too."""
    key = f"policy-{random.randrange(3)}" if random.random() < 0.1 else f"{name}-policy"
    return SetSourcing(organization, random.choice((*POLICIES, "priority")), key, *why(name))


def _priority(shop: Assortment, organization: str, random: Random, name: str) -> UpsertWarehouse:
    warehouse_id, priority = random.choice(shop.warehouses), random.choice((0, 1, 5))
    return UpsertWarehouse(organization, warehouse_id, None, None, priority, None, f"{name}-priority", *why(name))


def _question(shop: Shop, organization: str, lines: tuple[Line, ...], random: Random) -> ExplainBasket:
    """Sometimes for an order that has a reservation: of the same lines, of one line more, or of others."""
    allow_split = random.random() < 0.5
    if not shop.reservations or random.random() < 0.3:
        return ExplainBasket(organization, lines, "", allow_split)
    known = shop.reservations[-1 - int(random.random() ** 2 * len(shop.reservations))]
    has = tuple(Line(item.variant_id, item.requested_warehouse_id, item.quantity) for item in known.items)
    asked = random.choice((has, has + lines[:1], lines))
    return ExplainBasket(known.organization_id, asked, known.order_id, allow_split)


def _wishes(shop: Shop, organization: str, random: Random, name: str) -> Sequence[Request]:
    """A basket that says from where it may come; often one that others ask for too, now and then asked for again."""
    mine = random.random() < 0.5
    order = f"basket_{name}" if mine else f"basket_{random.randrange(4)}"
    same = random if mine or random.random() < 0.2 else Random(f"{shop.seed}/wishes/{organization}/{order}")
    wishes = tuple(
        Wish(
            same.choice(shop.variants) if same.random() < 0.98 else "var_unknown",
            tuple(
                same.sample(shop.warehouses, same.choice((0, 0, 1, min(2, len(shop.warehouses)), len(shop.warehouses))))
            ),
            same.choice((1, 2, 3, 3, 5, max(1, shop.options.pieces))),
        )
        for _ in range(same.choice((1, 1, 2, 2, 3)))
    )
    options = (same.choice((1, 2)), same.random() < 0.6, same.random() < 0.5)
    basket = ReserveBasket(organization, order, wishes, *options, f"{name}-wishes", *why(name))
    if random.random() < 0.2:
        return (basket, replace(basket, request_id=f"{name}-again"))
    return (basket,)


def _basket(shop: Shop, organization: str, random: Random, name: str) -> Request:
    """Mostly of lines for which the service has to choose."""
    lines = tuple(
        Line(
            random.choice(shop.variants),
            random.choice(shop.warehouses) if random.random() < 0.25 else "",
            random.choice((1, 1, 2, 3)),
        )
        for _ in range(random.choice((1, 2, 2, 3, 3, 4)))
    )
    kind = random.random()
    if kind < 0.4:
        return CheckBasket(organization, lines)
    if kind < 0.6:
        return _question(shop, organization, lines, random)
    if kind < 0.9:
        return Reserve(organization, f"order_{name}", lines, 1, "")
    return Deduct(organization, lines, f"{name}-till", *why(name))

"""Goods are gone that a reservation holds, while others pay for it, change it or give it back.

On top of what a client does anyway, from a stream of its own, as meetings are.
"""

from random import Random

import anyio
from msgspec.structs import replace

from actors.commands import Adjust, Adjustment, Amend, Confirm, Line, Release, Reserve
from actors.records import ReservationRecord
from simulation.audit.history import Request
from simulation.world.goods_wishes import why
from simulation.world.meetings import Do
from simulation.world.shop import Shop

LATEST = 12  # of the reservations that are known: the newest are those that a loss leaves without their goods


async def lose(shop: Shop, random: Random, name: str, do: Do) -> None:
    """Now and then have goods of a reservation be gone. Returns when all that meets it has ended."""
    if random.random() >= shop.options.losses:
        return
    one = random.choice(shop.reservations[-LATEST:]) if shop.reservations else None
    if one is None:
        return
    async with anyio.create_task_group() as both:
        both.start_soon(_do, loss(shop, random, one, f"{name}-lost"), do)
        if random.random() < 0.6:
            both.start_soon(_do, _meanwhile(random, one, f"{name}-meanwhile"), do)


async def _do(request: Request, do: Do) -> None:
    await do(request)


def loss(shop: Shop, random: Random, reservation: ReservationRecord, name: str) -> Adjust:
    """Some of what a reservation holds is gone, or all that its rows have, of one or two rows."""
    items = random.sample(reservation.items, min(len(reservation.items), random.choice((1, 1, 2))))
    lines = [
        random.choice(
            (
                Adjustment(*row, "delta", -random.randint(1, shop.options.pieces + 1)),
                Adjustment(*row, "count", random.choice((0, 0, random.randint(0, 3)))),
                Adjustment(*row, "mark_damaged", random.randint(1, 4)),
            )
        )
        for row in dict.fromkeys((item.variant_id, item.warehouse_id) for item in items)
    ]
    lost = Adjust(reservation.organization_id, tuple(lines), name, *why(name))
    return replace(lost, release_uncovered=True) if random.random() < 0.8 else lost


def _meanwhile(random: Random, one: ReservationRecord, name: str) -> Request:
    item = random.choice(one.items)
    more = (Line(item.variant_id, item.requested_warehouse_id, item.quantity + random.choice((-1, 1)) or 1),)
    return random.choice(
        (
            Confirm(one.organization_id, one.reservation_id, one.order_id),
            Confirm(one.organization_id, one.reservation_id, one.order_id),
            Release(one.organization_id, one.reservation_id, f"cancelled by {name}"),
            Amend(one.organization_id, one.reservation_id, more, f"{name}-amended"),
            Reserve(one.organization_id, f"order of {name}", more, 5, ""),
        )
    )

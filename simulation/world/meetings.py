"""Operations of one row that meet: a count and sales, a deletion and what comes in, a deletion and the row made again.

They come on top of what a client does anyway, from a stream of its own, and nothing follows from their answers. What
matters is the moment: some are sent together, others while the first is undecided or on its way to the disk.
"""

from collections.abc import Awaitable, Callable
from random import Random

import anyio
from msgspec import Struct

from actors.commands import (
    Adjust,
    Adjustment,
    Announce,
    CountedLine,
    Deduct,
    Delete,
    DeliveryLine,
    Import,
    Line,
    Receive,
)
from actors.queries import CheckBasket, GetStock
from simulation.audit.history import Operation, Request
from simulation.world.goods_wishes import Assortment, why

ASIDE = "wh_aside"  # where no client counts or delivers but those that meet: its rows are as a meeting needs them

Do = Callable[[Request], Awaitable[Operation]]


class Meeting(Struct, frozen=True):
    """What is done before, what meets, each with its seconds after the first, and what is asked when all have ended."""

    before: tuple[Request, ...]
    together: tuple[tuple[float, Request], ...]
    after: tuple[Request, ...]


async def meet(shop: Assortment, random: Random, name: str, do: Do) -> None:
    """Now and then have operations meet in one row. Returns when all have ended."""
    if random.random() >= shop.options.meets:
        return
    row = random.choice(shop.organizations), random.choice(shop.variants), ASIDE
    meeting = random.choice(_MEETINGS)(*row, random, f"{name}-meets")
    for request in meeting.before:
        await do(request)
    async with anyio.create_task_group() as all_of_them:
        for delay_s, request in meeting.together:
            all_of_them.start_soon(_do_later, delay_s, request, do)
    for request in meeting.after:
        await do(request)


async def _do_later(delay_s: float, request: Request, do: Do) -> None:
    if delay_s:
        await anyio.sleep(delay_s)
    await do(request)


def _counted_and_sold(organization: str, variant: str, warehouse: str, random: Random, name: str) -> Meeting:
    """A row is counted while its goods are sold: the count's plan is of before the sales, and its decision after."""
    sales = [
        (0.0, Deduct(organization, (Line(variant, warehouse, 1),), f"{name}-sold-{n}", *why(name))) for n in range(2)
    ]
    counted = Adjustment(variant, warehouse, "count", random.randint(6, 9), None)
    count = Adjust(organization, (counted,), f"{name}-counted", *why(name))
    return Meeting(
        (_row_of(5, organization, variant, warehouse, name),),
        (*sales, (random.choice((0.0, SOON_S)), count)),
        (GetStock(organization, variant, warehouse),),
    )


def _deleted_beside_holds(organization: str, variant: str, warehouse: str, random: Random, name: str) -> Meeting:
    """An empty row is deleted while goods come to it, all of which the row finds in its mailbox at once."""
    comes = Receive(organization, (DeliveryLine(variant, warehouse, 1),), f"{name}-comes", *why(name))
    announced = Announce(organization, (Line(variant, warehouse, 1),), f"{name}-announced", *why(name))
    return Meeting(
        (_row_of(0, organization, variant, warehouse, name),),
        (
            (0.0, comes),
            (0.0, announced),
            (random.choice((0.0, SOON_S)), Delete(organization, variant, warehouse, f"{name}-deleted", *why(name))),
        ),
        (GetStock(organization, variant, warehouse),),
    )


def _deleted_and_made_again(organization: str, variant: str, warehouse: str, random: Random, name: str) -> Meeting:
    """An empty row is deleted, and goods come to its place while the deletion is on its way to the disk."""
    comes = Receive(organization, (DeliveryLine(variant, warehouse, 1),), f"{name}-comes", *why(name))
    return Meeting(
        (_row_of(0, organization, variant, warehouse, name),),
        (
            (0.0, Delete(organization, variant, warehouse, f"{name}-deleted", *why(name))),
            (random.choice((SOON_S, 0.05, 0.15)), comes),
        ),
        (
            GetStock(organization, variant, warehouse),
            CheckBasket(organization, (Line(variant, warehouse, 1),)),
        ),
    )


SOON_S = 0.005  # after what was sent at once has arrived
_MEETINGS = (_counted_and_sold, _deleted_beside_holds, _deleted_and_made_again)


def _row_of(pieces: int, organization: str, variant: str, warehouse: str, name: str) -> Import:
    """A count that makes the row, or makes it what the meeting needs, if nothing is reserved in it."""
    line = CountedLine(organization, variant, warehouse, "", pieces, 0, 0, None, None, 1)
    return Import((line,), f"{name}-row")

"""Operations of one row that meet: a count and sales, a deletion and what comes in, a deletion and the row made again,
a basket that is content with a part and a delivery of the rest, a reservation and the end of its warehouse.

They come on top of what a client does anyway, from a stream of its own, and little follows from their answers. What
matters is the moment: some are sent together, others while the first is undecided or on its way to the disk.
"""

from collections.abc import Awaitable, Callable
from random import Random

import anyio
from msgspec import Struct

from actors.basket_commands import ReserveBasket, Wish
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
    Release,
    Reserve,
)
from actors.outcomes import BasketReserved, StockReserved
from actors.queries import CheckBasket, GetStock
from actors.warehouse_commands import UpsertWarehouse
from simulation.audit.history import Operation, Request
from simulation.world.goods_wishes import Assortment, why

ASIDE = "wh_aside"  # where no client counts or delivers but those that meet: its rows are as a meeting needs them
BESIDE, CLOSING = "wh_beside", "wh_closing"  # likewise, where a meeting needs two rows, or one that is closed

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
    answer = (await do(request)).answer
    if isinstance(answer, BasketReserved | StockReserved):  # the next meeting needs the row without reservations
        held = answer.reservation
        await do(Release(held.organization_id, held.reservation_id, "it has met"))


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


def _a_part_and_the_rest(organization: str, variant: str, warehouse: str, random: Random, name: str) -> Meeting:
    """A basket is content with a part, and the rest comes while it waits for its rows: it gets that too, or falls short
    of what there is.
    """
    places = (warehouse, BESIDE)
    wishes = tuple([Wish(variant, (place,), 6) for place in places])
    basket = ReserveBasket(organization, f"order_{name}", wishes, 1, False, True, f"{name}-part", *why(name))
    comes = [
        (n * random.choice((SOON_S, 0.02)), place, f"{name}-comes-{place}-{n}") for n in range(3) for place in places
    ]
    return Meeting(
        tuple([_row_of(2, organization, variant, place, f"{name}-{place}") for place in places]),
        (
            (0.0, basket),
            *[
                (delay_s, Receive(organization, (DeliveryLine(variant, place, 1),), one, *why(one)))
                for delay_s, place, one in comes
            ],
        ),
        (),
    )


def _reserved_and_closed(organization: str, variant: str, warehouse: str, random: Random, name: str) -> Meeting:
    """A warehouse is closed while reservations wait for their rows, of which one is in it."""

    def set_active(is_active: bool) -> UpsertWarehouse:
        change = f"{name}-{'opened' if is_active else 'closed'}"
        return UpsertWarehouse(organization, CLOSING, None, None, None, is_active, change, *why(change))

    lines = (Line(variant, BESIDE, 1), Line(variant, CLOSING, 1))
    return Meeting(
        (
            set_active(True),
            *[_row_of(5, organization, variant, place, f"{name}-{place}") for place in (BESIDE, CLOSING)],
        ),
        (
            *[(0.0, Reserve(organization, f"order_{name}_{n}", lines, 1, "")) for n in range(3)],
            (random.choice((SOON_S, SOON_S, 0.02)), set_active(False)),
        ),
        (),
    )


SOON_S = 0.005  # after what was sent at once has arrived
_MEETINGS = (
    _counted_and_sold,
    _deleted_beside_holds,
    _deleted_and_made_again,
    _a_part_and_the_rest,
    _reserved_and_closed,
)


def _row_of(pieces: int, organization: str, variant: str, warehouse: str, name: str) -> Import:
    """A count that makes the row, or makes it what the meeting needs, if nothing is reserved in it."""
    line = CountedLine(organization, variant, warehouse, "", pieces, 0, 0, None, None, 1)
    return Import((line,), f"{name}-row")

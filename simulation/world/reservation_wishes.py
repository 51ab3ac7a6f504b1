"""What clients do with reservations after they made them."""

from random import Random
from typing import get_args

from msgspec.structs import replace

from actors.commands import Amend, Extend, Fulfill, Line, Reacquire
from actors.queries import ListReservations
from actors.records import ReservationRecord, ReservationState
from simulation.world.goods_wishes import Assortment, now_and_then, why

STATES: tuple[ReservationState, ...] = get_args(ReservationState)


def shipment(reservation: ReservationRecord, random: Random, name: str) -> Fulfill:
    """Some of the reservation's goods, now and then more than it has left, or what it never had."""
    lines: list[Line] = []
    for item in reservation.items:
        if not lines or random.random() < 0.6:
            warehouse = item.warehouse_id if random.random() < 0.7 else ""
            pieces = random.randint(1, item.quantity + (random.random() < 0.1))
            lines.append(Line(item.variant_id, warehouse, pieces))
    if random.random() < 0.05:
        lines.append(Line("var_unknown", "", 1))
    random.shuffle(lines)
    ids = reservation.organization_id, reservation.reservation_id, name
    reason = now_and_then(f"reason of {name}")
    return Fulfill(*ids, now_and_then(f"parcel of {name}"), reason, tuple(lines), random.random() < 0.4)


def amendment(reservation: ReservationRecord, added: tuple[Line, ...], random: Random, name: str) -> Amend:
    """Another basket: some lines stay, some have other quantities, one may go, and some are added.

    Args:
        added: lines to choose from.
    """
    lines = [Line(item.variant_id, item.requested_warehouse_id, item.quantity) for item in reservation.items]
    place = random.randrange(len(lines))
    change = random.random()
    if change < 0.3 and len(lines) > 1:
        del lines[place]
    elif change < 0.9:
        quantity = max(1, lines[place].quantity + random.choice((-2, -1, 1, 1, 2)))
        lines[place] = Line(lines[place].variant_id, lines[place].warehouse_id, quantity)
    if random.random() < 0.4:
        lines += added[:1]
    if random.random() < 0.2:
        random.shuffle(lines)
    ids = reservation.organization_id, reservation.reservation_id
    return Amend(*ids, tuple(lines[:8]), name, *why(name))


def follow_up(
    reservation: ReservationRecord, lines: tuple[Line, ...], random: Random, name: str
) -> tuple[Amend | Extend | Fulfill | None, bool]:
    """What follows now and then: more time is needed, the basket changes, or a parcel leaves and later another. And
    whether it comes at the instant of expiry.
    """
    if reservation.state == "active" and random.random() < 0.12:
        return extension(reservation.organization_id, reservation.reservation_id, random, name), False
    if reservation.holds_stock and random.random() < 0.1:
        return amendment(reservation, lines, random, name), random.random() < 0.3
    if reservation.state == "confirmed" and random.random() < 0.4:
        return shipment(reservation, random, name), False
    return None, False


def second_try(organization: str, reservation: str, random: Random, name: str) -> Reacquire:
    return Reacquire(organization, reservation, random.choice((1, 1, 2)), name, *why(name))


def listed(shop: Assortment, random: Random, sifting: Random) -> ListReservations:
    """Half of the lists ask for a variant, a warehouse or a time, and look at few reservations for a page."""
    state = random.choice(STATES) if random.random() < 0.4 else None
    order = f"order_{random.randrange(shop.options.orders)}" if random.random() < 0.3 else ""
    lines_max = random.choice((1, 4, 1_000))
    query = ListReservations(random.choice(shop.organizations), state, order, "", random.choice((3, 100)), lines_max)
    return _sifted(query, shop, sifting)


def _sifted(query: ListReservations, shop: Assortment, random: Random) -> ListReservations:
    if random.random() < 0.5:
        return query
    times = sorted(random.choice(shop.created_ms) for _ in range(2)) if shop.created_ms else [0, 0]
    return replace(
        query,
        variant_id=random.choice(shop.variants) if random.random() < 0.5 else "",
        warehouse_id=random.choice(shop.warehouses) if random.random() < 0.4 else "",
        created_after_ms=times[0] if random.random() < 0.3 else 0,
        created_before_ms=times[1] if random.random() < 0.3 else 0,
        looked_max=random.choice((2, 5, 1_000)),
        looked_lines_max=random.choice((3, 1_000)),
    )


def extension(organization: str, reservation: str, random: Random, name: str) -> Extend:
    """Sometimes for less than is left anyway."""
    return Extend(organization, reservation, random.choice((1, 1, 2, 3)), name, *why(name))

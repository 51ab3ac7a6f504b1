"""The command of a reservation that may take goods from wherever its caller allows, beside those in
`actors/commands.py`.
"""

import hashlib

import msgspec
from msgspec import UNSET, Struct

from actors.plain_value import PlainValue
from actors.records import From, ReservationRecord

_json = msgspec.json.Encoder()


class Wish(PlainValue, frozen=True):
    """A wish for `quantity` pieces from one of these warehouses, the first rather than the next. None: from any."""

    variant_id: str
    warehouse_ids: tuple[str, ...]
    quantity: int


class ReserveBasket(Struct, frozen=True, tag=True):
    """Hold these goods for an order, for `ttl_minutes`.

    With `allow_split` a wish may be served by several warehouses. With `allow_partial` the order is content with what
    there is, if there is anything.
    """

    organization_id: str
    order_id: str
    wishes: tuple[Wish, ...]
    ttl_minutes: int
    allow_split: bool
    allow_partial: bool
    request_id: str
    reason: str = ""
    reference: str = ""
    origin: From = UNSET


def asked_of(command: ReserveBasket) -> str:
    """What a basket asks for beyond what its reservation's items say, in whatever sequence: it tells a repetition from
    another basket. Empty where the items say it all, as those of ReserveStock do.
    """
    is_plain = not command.allow_split and not command.allow_partial
    if is_plain and all(len(wish.warehouse_ids) < 2 for wish in command.wishes):
        return ""
    wishes = sorted((wish.variant_id, wish.warehouse_ids, wish.quantity) for wish in command.wishes)
    told = _json.encode((wishes, command.allow_split, command.allow_partial))
    return hashlib.sha256(told).hexdigest()[:32]


class Short(PlainValue, frozen=True):
    """Of a variant fewer pieces were reserved than requested."""

    variant_id: str
    requested: int
    reserved: int


def short_of(command: ReserveBasket, reservation: ReservationRecord) -> tuple[Short, ...]:
    """What the reservation lacks of the basket, each variant once, in the order of the wishes."""
    requested: dict[str, int] = {}
    for wish in command.wishes:
        requested[wish.variant_id] = requested.get(wish.variant_id, 0) + wish.quantity
    reserved = dict.fromkeys(requested, 0)
    for item in reservation.items:
        reserved[item.variant_id] += item.quantity
    return tuple([Short(one, pieces, reserved[one]) for one, pieces in requested.items() if reserved[one] < pieces])

"""The histories of orders, in steps where they are long.

An order may have 300 reservations of 1,000 lines. Read whole, that takes seconds, in which nothing else is read or
written where SQLite has one connection, and 75 MB. So of such an order only what holds goods and the latest come with
their items; the others have ended, and are read again where one is asked for (`actors/order_history.py`). What is
loaded is not in memory, so nothing is decided about it between the steps.
"""

from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, FromClause, Select, bindparam

from actors.records import OrderKey, ReservationRecord
from storage.sql.read_steps import Steps, read_without_pause
from storage.sql.reads import SELECT_RESERVATIONS, KeyList, load_reservation, reservations_of, with_items
from storage.sql.schema import reservation

LINES_A_STEP = 2_000  # 10 ms or so
RESERVATIONS_A_STEP = 2_000  # one of these has items at most
HOLDING = "active", "confirmed"


def _of_orders(keys: FromClause, organization_id: Any, order_id: Any) -> Select[Any]:
    of_it = (reservation.c.organization_id == organization_id) & (reservation.c.order_id == order_id)
    return SELECT_RESERVATIONS.select_from(keys.join(reservation, of_it))


def _first_of_order(keys: FromClause, organization_id: Any, order_id: Any) -> Select[Any]:
    chosen = _of_orders(keys, organization_id, order_id).where(reservation.c.lsn > bindparam("after_lsn"))
    chosen = chosen.order_by(reservation.c.lsn).limit(bindparam("reservations_max"))
    return with_items(chosen, "lsn", of_states=HOLDING)


# The reservations of orders, if they are few. Without an order: the databases would sort all before they count.
ORDERS = KeyList(lambda *keys: with_items(_of_orders(*keys)).limit(LINES_A_STEP + 1))
FIRST_OF_ORDER = KeyList(_first_of_order)  # behind a place, in their order
IN_ORDER = itemgetter(1, 2, 10, 11)  # the order, the LSN and the line


def load_orders(connection: Connection, keys: Sequence[OrderKey]) -> list[ReservationRecord]:
    """All that these orders ever had, oldest first within an order; of long ones not the items of what has ended."""
    return read_without_pause(connection, orders_in_steps(keys))


def orders_in_steps(keys: Sequence[OrderKey]) -> Steps[list[ReservationRecord]]:
    """The same, so that others use the database between the steps."""
    parts, reservations = [sorted(set(keys))], list[ReservationRecord]()
    while parts:
        part = parts.pop()
        found = yield partial(_few_of_orders, keys=part)
        if found is not None:
            reservations += found
        elif len(part) > 1:
            half = len(part) // 2
            parts += (part[half:], part[:half])
        else:
            reservations += yield from _order_in_steps(part[0])
    return reservations


def _order_in_steps(key: OrderKey) -> Steps[list[ReservationRecord]]:
    reservations: list[ReservationRecord] = []
    after_lsn, may_be_more = -(2**62), True  # what came from elsewhere has LSNs below 0
    while may_be_more:
        found, after_lsn, may_be_more = yield partial(_step_of_order, key=key, after_lsn=after_lsn)
        reservations += found
    if reservations and not reservations[-1].items:
        latest = yield partial(load_reservation, organization_id=key[0], reservation_id=reservations[-1].reservation_id)
        reservations[-1] = latest or reservations[-1]
    return reservations


def _few_of_orders(connection: Connection, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord] | None:
    """All reservations of these orders; None if they are too many for a step."""
    rows = list(ORDERS.execute(connection, keys))
    return None if len(rows) > LINES_A_STEP else list(reservations_of(sorted(rows, key=IN_ORDER)))


def _step_of_order(
    connection: Connection, key: OrderKey, after_lsn: int
) -> tuple[Sequence[ReservationRecord], int, bool]:
    """The order's first reservations behind an LSN, the last one's LSN, and whether there may be more."""
    rows = list(FIRST_OF_ORDER.execute(connection, [key], after_lsn=after_lsn, reservations_max=RESERVATIONS_A_STEP))
    reservations = list(reservations_of(rows))
    may_be_more = len(reservations) == RESERVATIONS_A_STEP
    return reservations, rows[-1].lsn if may_be_more else 0, may_be_more

"""Reservations of a variant, of a warehouse or of a time.

They are found by looking at the newest first, at a bounded number for one page: an index for each question would be
paid for by every reservation that is made (one by variant took 14 to 19 us of the 42 that SQLite has for one). "Which
orders hold this product" looks along the index of the state that it asks for, so at the active or the confirmed ones.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, func, select

from actors.queries import ListReservations
from actors.views import ReservationPage
from storage.reservation_page import cut_page
from storage.sql.read_steps import Steps, read_without_pause
from storage.sql.reads import SELECT_RESERVATIONS, list_reservations, reservations_of, up_to_lines, with_items
from storage.sql.schema import reservation, reservation_item


def list_page(connection: Connection, query: ListReservations) -> ReservationPage:
    """The page that the query asks for, with or without a look at others."""
    return read_without_pause(connection, page_in_steps(query))


def page_in_steps(query: ListReservations) -> Steps[ReservationPage]:
    """The same, so that others use the database between the steps.

    The second one alone says what is on the page. What lands between them is newer than what the first has looked at.
    """
    if not query.is_sifted:
        page: ReservationPage = yield partial(list_reservations, query=query)
        return page
    looked_to, has_more = yield partial(_reach, query=query)
    if not looked_to:
        return ReservationPage((), "")
    page = yield partial(_sifted, query=query, last=looked_to, looked_to=looked_to if has_more else "")
    return page


def _reach(connection: Connection, query: ListReservations) -> tuple[str, bool]:
    """The last reservation that may be looked at, empty if there is none, and whether there may be more behind it.

    Lines are numbered, so the last one's number says how many there are, without a look at the others.
    """
    its = _looked(query, select(reservation.c.reservation_id)).limit(query.looked_max).subquery("its")
    of_it = reservation_item.c.organization_id == query.organization_id
    of_it &= reservation_item.c.reservation_id == its.c.reservation_id
    last = select(func.max(reservation_item.c.line)).where(of_it).correlate(its).scalar_subquery()
    statement = select(its.c.reservation_id, func.coalesce(last, -1) + 1).order_by(its.c.reservation_id.desc())
    looked = connection.execute(statement).all()
    looked_to, left = "", query.looked_lines_max
    for reservation_id, lines in looked:
        left -= lines
        if looked_to and left < 0:
            return looked_to, True
        looked_to = reservation_id
    return looked_to, len(looked) == query.looked_max


def _sifted(connection: Connection, query: ListReservations, last: str, looked_to: str) -> ReservationPage:
    chosen = _chosen(query, last).limit(query.limit + 1)
    cut = up_to_lines(chosen, query.lines_max, "reservation_id", newest_first=True)
    page = with_items(cut, "reservation_id", newest_first=True)
    return cut_page(reservations_of(connection.execute(page)), query, looked_to)


def _looked(query: ListReservations, columns: Select[Any]) -> Select[Any]:
    """What may be looked at, newest first, along one index."""
    ids = reservation.c.reservation_id
    found = columns.where(reservation.c.organization_id == query.organization_id)
    if query.state is not None:
        found = found.where(reservation.c.state == query.state)
    if query.order_id:
        found = found.where(reservation.c.order_id == query.order_id)
    if query.before:
        found = found.where(ids < query.before)
    return found.order_by(ids.desc())


def _chosen(query: ListReservations, last: str) -> Select[Any]:
    """Of those that are looked at, up to the last one, the reservations that are wanted, newest first."""
    chosen = _looked(query, SELECT_RESERVATIONS).where(reservation.c.reservation_id >= last)
    if query.created_after_ms:
        chosen = chosen.where(reservation.c.created_at >= query.created_after_ms)
    if query.created_before_ms:
        chosen = chosen.where(reservation.c.created_at < query.created_before_ms)
    if query.variant_id or query.warehouse_id:
        chosen = chosen.where(_has_item(query.variant_id, query.warehouse_id))
    return chosen


def _has_item(variant_id: str, warehouse_id: str) -> Any:
    of_it = select(reservation_item.c.line).where(
        reservation_item.c.organization_id == reservation.c.organization_id,
        reservation_item.c.reservation_id == reservation.c.reservation_id,
    )
    if variant_id:
        of_it = of_it.where(reservation_item.c.variant_id == variant_id)
    if warehouse_id:
        of_it = of_it.where(reservation_item.c.warehouse_id == warehouse_id)
    return of_it.correlate(reservation).exists()

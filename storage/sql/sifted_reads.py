"""Reservations of a variant, of a warehouse or of a time.

They are found by looking at the newest first, at a bounded number for one page: an index for each question would be
paid for by every reservation that is made (one by variant took 14 to 19 us of the 42 that SQLite has for one). "Which
orders hold this product" looks along the index of the state that it asks for, so at the active or the confirmed ones.
"""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from actors.queries import ListReservations
from actors.views import ReservationPage
from storage.reservation_page import cut_page
from storage.sql.reads import SELECT_RESERVATIONS, list_reservations, reservations_of, up_to_lines, with_items
from storage.sql.schema import reservation, reservation_item


def list_page(connection: Connection, query: ListReservations) -> ReservationPage:
    """The page that the query asks for, with or without a look at others."""
    return list_sifted(connection, query) if query.is_sifted else list_reservations(connection, query)


def list_sifted(connection: Connection, query: ListReservations) -> ReservationPage:
    """Two statements. What lands between them is newer than what is looked at, or is seen by the second alone."""
    count, last, there = connection.execute(_reach(query)).one()
    if not count:
        return ReservationPage((), "")
    chosen = _chosen(query, last).limit(query.limit + 1)
    cut = up_to_lines(chosen, query.lines_max, "reservation_id", newest_first=True)
    page = with_items(cut, "reservation_id", newest_first=True)
    looked_to = last if count == query.looked_max or count < there else ""
    return cut_page(reservations_of(connection.execute(page)), query, looked_to)


def _reach(query: ListReservations) -> Select[int, Any, Any]:
    """How many reservations may be looked at with their lines, which is the last, and how many there are to look at.

    Lines are numbered, so the last one's number says how many there are, without a look at the others.
    """
    its = _looked(query).subquery("its")
    of_it = reservation_item.c.organization_id == query.organization_id
    of_it &= reservation_item.c.reservation_id == its.c.reservation_id
    last = select(func.max(reservation_item.c.line)).where(of_it).correlate(its).scalar_subquery()
    sized = select(its.c.reservation_id, (func.coalesce(last, -1) + 1).label("lines")).subquery("sized")
    newest_first = sized.c.reservation_id.desc()
    counted = select(
        sized.c.reservation_id,
        func.sum(sized.c.lines).over(order_by=newest_first).label("lines"),
        func.row_number().over(order_by=newest_first).label("place"),
        func.count().over().label("there"),
    ).subquery("counted")
    is_reached = (counted.c.lines <= query.looked_lines_max) | (counted.c.place == 1)
    return select(func.count(), func.min(counted.c.reservation_id), func.max(counted.c.there)).where(is_reached)


def _looked(query: ListReservations) -> Select[Any]:
    """The ids that are looked at, newest first, along one index."""
    ids = reservation.c.reservation_id
    found = select(ids).where(reservation.c.organization_id == query.organization_id)
    if query.state is not None:
        found = found.where(reservation.c.state == query.state)
    if query.order_id:
        found = found.where(reservation.c.order_id == query.order_id)
    if query.before:
        found = found.where(ids < query.before)
    return found.order_by(ids.desc()).limit(query.looked_max)


def _chosen(query: ListReservations, last: str) -> Select[Any]:
    """Of those that are looked at, the reservations that are wanted, newest first."""
    looked = _looked(query).subquery("looked")
    chosen = SELECT_RESERVATIONS.select_from(
        looked.join(reservation, reservation.c.reservation_id == looked.c.reservation_id)
    ).where(reservation.c.organization_id == query.organization_id, reservation.c.reservation_id >= last)
    if query.state is not None:
        chosen = chosen.where(reservation.c.state == query.state)
    if query.created_after_ms:
        chosen = chosen.where(reservation.c.created_at >= query.created_after_ms)
    if query.created_before_ms:
        chosen = chosen.where(reservation.c.created_at < query.created_before_ms)
    if query.variant_id or query.warehouse_id:
        chosen = chosen.where(_has_item(query.variant_id, query.warehouse_id))
    return chosen.order_by(reservation.c.reservation_id.desc())


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

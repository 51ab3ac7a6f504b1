"""Where a page of reservations ends: one rule for every adapter."""

from collections.abc import Iterable

from actors.queries import ListReservations
from actors.records import ReservationRecord
from actors.views import ReservationPage


def cut_page(found: Iterable[ReservationRecord], query: ListReservations, looked_to: str = "") -> ReservationPage:
    """The page that a query asks for.

    Args:
        found: newest first, and whole; one more than belongs on the page, if there are more.
        looked_to: where the look had to end, if not at the oldest.
    """
    page: list[ReservationRecord] = []
    lines = 0
    for reservation in found:
        lines += len(reservation.items)
        if len(page) == query.limit or (page and lines > query.lines_max):
            return ReservationPage(tuple(page), page[-1].reservation_id)
        page.append(reservation)
    return ReservationPage(tuple(page), looked_to)


def sift(records: Iterable[ReservationRecord], query: ListReservations) -> ReservationPage:
    """The page of a query that wants a variant, a warehouse or a time.

    Args:
        records: all of the organization or, if it is named, of the order, newest first.
    """
    among = (one for one in records if query.state in (None, one.state))
    looked: list[ReservationRecord] = []
    lines = 0
    for one in among:
        lines += len(one.items)
        if looked and lines > query.looked_lines_max:
            return cut_page(filter(query.wants, looked), query, looked[-1].reservation_id)
        looked.append(one)
        if len(looked) == query.looked_max:
            return cut_page(filter(query.wants, looked), query, one.reservation_id)
    return cut_page(filter(query.wants, looked), query)

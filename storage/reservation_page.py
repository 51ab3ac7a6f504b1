"""Where a page of reservations ends: one rule for every adapter."""

from collections.abc import Iterable

from actors.queries import ListReservations
from actors.records import ReservationRecord
from actors.views import ReservationPage


def cut_page(found: Iterable[ReservationRecord], query: ListReservations) -> ReservationPage:
    """The page that a query asks for.

    Args:
        found: newest first, and whole; one more than belongs on the page, if there are more.
    """
    page: list[ReservationRecord] = []
    lines = 0
    for reservation in found:
        lines += len(reservation.items)
        if len(page) == query.limit or (page and lines > query.lines_max):
            return ReservationPage(tuple(page), page[-1].reservation_id)
        page.append(reservation)
    return ReservationPage(tuple(page), "")

"""Lists that have more pages: what a client asks next."""

from msgspec.structs import replace

from actors.changes import MovementPage, Point
from actors.queries import FindStock, ListMovements, ListReservations, ListStock, ListTransfers, ListWarehouses
from actors.records import StockKey
from actors.views import ReservationPage, StockPage, TransferPage, WarehousePage
from simulation.audit.history import Answer, Request


def next_page(request: Request, answer: Answer | None) -> Request | None:
    """The request of the next page; None if this was the last, or no page of a list."""
    match answer:
        case StockPage(next_key=StockKey() as key):
            assert isinstance(request, ListStock | FindStock)
            return replace(request, after=key)
        case MovementPage(next=Point() as place):
            assert isinstance(request, ListMovements)
            return replace(request, after_place=place)
        case TransferPage(next_mark=(int(), str()) as mark):
            assert isinstance(request, ListTransfers)
            return replace(request, before=mark)
        case WarehousePage(next_after=after) if after:
            assert isinstance(request, ListWarehouses)
            return replace(request, after=after)
        case ReservationPage(next_before=before) if before:
            assert isinstance(request, ListReservations)
            return replace(request, before=before)
    return None

"""What all clients of a simulated world know."""

from random import Random

from actors.commands import CountedLine, Import
from actors.outcomes import (
    BasketReserved,
    ReservationAmended,
    ReservationConfirmed,
    ReservationReacquired,
    StockReserved,
)
from actors.records import ReservationRecord
from actors.transfer_outcomes import TransferReceived, TransferShipped
from actors.transfer_records import TransferRecord
from actors.views import ReservationFound, ReservationPage
from simulation.audit.history import Operation, Request
from simulation.faults import Options
from simulation.world.count_wishes import numbered


class Shop:
    """What all clients know: the goods, the orders, and the reservations in answers that came back."""

    def __init__(self, seed: str, options: Options) -> None:
        self.seed = seed
        self.options = options
        self.organizations = [f"org_{n}" for n in range(1, options.organizations + 1)]
        self.variants = [f"var_{n}" for n in range(1, options.variants + 1)]
        self.warehouses = [f"wh_{n}" for n in range(1, options.warehouses + 1)]
        self.reservations: list[ReservationRecord] = []
        self.created_ms: list[int] = []
        self.transfers: list[TransferRecord] = []
        self.asked: list[Request] = []

    def __repr__(self) -> str:
        goods = f"{len(self.organizations)} × {len(self.variants)} × {len(self.warehouses)}"
        return f"<Shop {goods} reservations={len(self.reservations)} asked={len(self.asked)}>"

    def opening_stock(self) -> Import:
        """The first import: every row, perhaps without one or two that deliveries make later."""
        random = Random(f"{self.seed}/stock")
        lines = [
            CountedLine(org, variant, warehouse, f"Warehouse {warehouse}", total, 0, 0, 0, 0, 0)
            for org in self.organizations
            for variant in self.variants
            for warehouse in self.warehouses
            if (total := random.randint(0, self.options.pieces)) or random.random() < 0.8
        ] or [CountedLine("org_1", "var_1", "wh_1", "", 1, 0, 0, 0, 0, 0)]
        return Import(tuple(numbered(lines)), "opening")

    def heard(self, operation: Operation) -> None:
        """Note an answer that came back to a client."""
        self.asked.append(operation.request)
        match operation.answer:
            case (
                StockReserved(reservation)
                | BasketReserved(reservation)
                | ReservationConfirmed(reservation)
                | ReservationAmended(reservation)
                | ReservationReacquired(reservation)
                | ReservationFound(reservation)
            ):
                self.reservations.append(reservation)
                self.created_ms.append(reservation.created_at_ms)
            case TransferShipped(transfer) | TransferReceived(transfer):
                self.transfers.append(transfer)
            case ReservationPage(reservations):
                self.reservations.extend(reservations[:1])

    def known(self, reservation_id: str) -> ReservationRecord | None:
        """The reservation as a client heard of it last."""
        of_it = (one for one in reversed(self.reservations) if one.reservation_id == reservation_id)
        return next(of_it, None)

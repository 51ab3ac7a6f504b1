"""How an order gets a reservation of a basket that says from where its goods may come.

It is the same as for a basket of lines, planned otherwise. A reservation of less than was asked for says what is short;
so it is decided only if the rows in which it fell short are as they were when it was planned.
"""

from actors.basket import items_of, reserving
from actors.basket_commands import ReserveBasket, asked_of, short_of
from actors.basket_plan import PlannedBasket, plan_basket
from actors.commands import Line
from actors.order_history import variants_of
from actors.order_services import may_refuse
from actors.outcomes import BasketReserved, Fact, Refused, ReservationExists
from actors.rebooking_actor import RebookingActor
from actors.records import ReservationRecord
from actors.reservation import MINUTE_MS, asks_for_the_same
from actors.turn import Turn
from actors.two_phase import Prepared
from actors.variant_stock import Pinned


class BasketActor(RebookingActor):
    """The part of an order's actor that reserves baskets."""

    __slots__ = ()

    def _reserve_basket(self, command: ReserveBasket) -> Turn[Fact]:
        repeated = self._repeated_basket(command)
        if repeated is not None:
            return repeated
        services, organization_id = self._services, command.organization_id
        rows, wanted = services.rows, (organization_id, variants_of(command.wishes))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            while True:
                sourcing = rows.sourcing(organization_id)
                try:
                    planned = yield from plan_basket(command, variants, sourcing)
                except Refused as refused:
                    if may_refuse(rows, organization_id, sourcing, variants):
                        raise self._hinted(refused) from None
                    continue
                prepared = yield from services.two_phase.prepare(reserving(planned.lines, planned.rows))
                if isinstance(prepared, Prepared):
                    if rows.sourcing(organization_id) is sourcing and planned.is_true_still:
                        return self._basket_reserved(command, planned, prepared)
                    prepared.abort()
                # A rival's decision took what the plan had counted on or gave more, or a warehouse was changed.

    def _repeated_basket(self, command: ReserveBasket) -> Fact | None:
        """The answer for an order that has its reservation already; None if it may have a new one.

        Raises:
            Refused: it holds another basket.
        """
        latest = self._latest
        if latest is None or latest.state not in ("active", "confirmed", "fulfilled"):
            return None
        if asks_for_this(latest, command):
            fact = BasketReserved(latest, short_of(command, latest))
            self._remember(command, fact)
            return fact
        if latest.holds_stock:
            raise Refused(ReservationExists(latest.reservation_id))
        return None

    def _basket_reserved(self, command: ReserveBasket, planned: PlannedBasket, prepared: Prepared) -> Fact:
        services = self._services
        with prepared:
            now_ms = services.clock.now_ms()
            reservation = ReservationRecord(
                services.new_reservation_id(),
                command.organization_id,
                command.order_id,
                "active",
                now_ms,
                now_ms + command.ttl_minutes * MINUTE_MS,
                items_of(planned.lines, planned.rows),
                asked=asked_of(command),
            )
            fact = BasketReserved(reservation, short_of(command, reservation))
            self._decide(prepared, "reserve", now_ms, reservation, command, fact, noted=command)
        services.hints.add(reservation)
        return fact


def asks_for_this(reservation: ReservationRecord, command: ReserveBasket) -> bool:
    """Whether a basket is the one that the reservation was made for."""
    asked = asked_of(command)
    if asked or reservation.asked:
        return asked == reservation.asked
    lines = [Line(wish.variant_id, "".join(wish.warehouse_ids), wish.quantity) for wish in command.wishes]
    return asks_for_the_same(reservation, tuple(lines))

"""The actor that owns one order's reservations.

Whatever is asked of an order queues here: a retry waits for the first try and finds its reservation, and
confirm, release and expiry of one reservation meet here instead of racing. A turn ends when its transaction is
decided, not when it is durable; the answer waits for that in the journal. So the next message builds on what
was decided, which is safe because the database only ever holds a prefix of the journal.

A turn waits where it must: for the order's history, for rows that are not in memory, and in the first phase for a
rival's decision. It keeps its rows pinned and its holds meanwhile, so no other order can take what it was granted.
"""

from collections.abc import Sequence
from typing import assert_never

from actors.actor import Envelope
from actors.basket import items_of, moving, plan, reserving
from actors.basket_actor import BasketActor
from actors.basket_commands import ReserveBasket
from actors.commands import (
    Amend,
    Confirm,
    Ending,
    Expire,
    Extend,
    Fulfill,
    Reacquire,
    Release,
    Reserve,
)
from actors.order_history import variants_of
from actors.order_services import may_refuse
from actors.outcomes import (
    ExpiryHandled,
    Fact,
    Refused,
    ReservationConfirmed,
    ReservationExists,
    ReservationExtended,
    ReservationReleased,
    StockReserved,
)
from actors.records import ReservationRecord, TransactionKind
from actors.reservation import (
    asks_for_the_same,
    confirm,
    extend,
    fulfill,
    release,
)
from actors.shipment import shipped
from actors.standing_by import OrderMessage, StandBy
from actors.stock_actor import StockActor
from actors.turn import Turn
from actors.two_phase import NOTHING_PREPARED, Prepared
from actors.variant_stock import Pinned


class OrderActor(BasketActor):
    """One order: what is asked of it, and how its reservations are made and end."""

    __slots__ = ()

    def handle(self, envelope: Envelope[OrderMessage, Fact]) -> Turn[None]:
        """Carry out one command. It is answered once all that the answer rests on is durable."""
        if self._services.stages is not None:
            self._services.stages.begun(envelope.message)
        if self._load is None and not self._is_cut:
            return self._carry_out(envelope)
        return self._read_first(envelope)

    def _read_first(self, envelope: Envelope[OrderMessage, Fact]) -> Turn[None]:
        """The same, where something has to be read before."""
        if self._load is not None:
            self._keep((yield self._load()))
        cut = yield from self._items_read(envelope.message)
        try:
            yield from self._carry_out(envelope)
        finally:
            if cut is not None:
                self._cut_again(cut)

    def _carry_out(self, envelope: Envelope[OrderMessage, Fact]) -> Turn[None]:
        command = envelope.message
        if isinstance(command, StandBy):
            yield from self._end(Expire(command.organization_id, command.order_id))
            yield from self._stand_by(command, envelope.reply)
            return
        fact: Fact
        try:
            match command:
                case Reserve():
                    fact = yield from self._reserve(command)
                case ReserveBasket():
                    yield from self._end(Expire(command.organization_id, command.order_id))
                    fact = yield from self._reserve_basket(command)
                case Confirm():
                    fact = self._confirm(command)
                case Release() | Fulfill() | Expire():
                    fact = yield from self._end(command)
                case Extend():
                    fact = self._extend(command)
                case Amend():
                    fact = yield from self._amend(command)
                case Reacquire():
                    yield from self._end(Expire(command.organization_id, self.key.order_id))
                    fact = yield from self._reacquire(command)
                case _ as never:
                    assert_never(never)
        except Refused as refused:
            self._remember(command, refused.refusal)
            self._services.answers.answer(envelope.reply, error=refused)
        else:
            self._services.answers.answer(envelope.reply, fact)

    # ---- a new reservation ----------------------------------------------------------------------------------------

    def _reserve(self, command: Reserve) -> Turn[Fact]:
        if self._latest is not None:
            yield from self._end(Expire(command.organization_id, command.order_id))
            repeated = self._repeated(command)
            if repeated is not None:
                return repeated
        services = self._services
        rows, wanted = services.rows, (command.organization_id, variants_of(command.lines))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            while True:
                sourcing = rows.sourcing(command.organization_id)
                try:
                    chosen = yield from plan(command.lines, variants, sourcing)
                except Refused as refused:
                    if may_refuse(rows, command.organization_id, sourcing, variants):
                        raise self._hinted(refused) from None
                    continue
                prepared = yield from services.two_phase.prepare(reserving(command.lines, chosen))
                if isinstance(prepared, Prepared):
                    if rows.sourcing(command.organization_id) is sourcing:
                        return self._reserved(command, chosen, prepared)
                    prepared.abort()
                # A rival's decision took what the plan had counted on, or a warehouse was changed: look again.

    def _repeated(self, command: Reserve) -> Fact | None:
        """The answer for an order that has its reservation already; None if it may have a new one.

        Raises:
            Refused: it holds other lines.
        """
        latest = self._latest
        if latest is None or latest.state not in ("active", "confirmed", "fulfilled"):
            return None
        if asks_for_the_same(latest, command.lines):
            fact = StockReserved(latest)
            self._remember(command, fact)
            return fact
        if latest.holds_stock:
            raise Refused(ReservationExists(latest.reservation_id))
        return None

    def _reserved(self, command: Reserve, rows: Sequence[StockActor], prepared: Prepared) -> Fact:
        services = self._services
        with prepared:
            now_ms = services.clock.now_ms()
            reservation = ReservationRecord(
                services.new_reservation_id(),
                command.organization_id,
                command.order_id,
                "active",
                now_ms,
                now_ms + command.ttl_minutes * 60_000,
                items_of(command.lines, rows),
            )
            fact = StockReserved(reservation)
            self._decide(prepared, "reserve", now_ms, reservation, command, fact)
        services.hints.add(reservation)
        return fact

    # ---- what becomes of it ---------------------------------------------------------------------------------------

    def _confirm(self, command: Confirm) -> Fact:
        now_ms = self._services.clock.now_ms()
        reservation = self._reservation(command.reservation_id)
        confirmed = confirm(reservation, command.order_id, now_ms)
        fact = ReservationConfirmed(confirmed)
        if confirmed is reservation:
            self._remember(command, fact)
            return fact
        self._decide(NOTHING_PREPARED, "confirm", now_ms, confirmed, command, fact)
        self._services.hints.discard(confirmed)
        return fact

    def _extend(self, command: Extend) -> Fact:
        now_ms = self._services.clock.now_ms()
        reservation = self._reservation(command.reservation_id)
        extended = extend(reservation, command.ttl_minutes, now_ms)
        fact = ReservationExtended(extended)
        if extended is reservation:
            self._remember(command, fact)
            return fact
        self._decide(NOTHING_PREPARED, "extend", now_ms, extended, command, fact, noted=command)
        self._services.hints.discard(reservation)
        self._services.hints.add(extended)
        return fact

    def _end(self, command: Ending) -> Turn[Fact]:
        """Take goods of the reservation out of `reserved`, if the command does so."""
        reservation = self._latest if isinstance(command, Expire) else self._reservation(command.reservation_id)
        if reservation is None:
            return ExpiryHandled(0)
        now_ms = self._services.clock.now_ms()
        moved = _moved(command, reservation, now_ms)
        if moved is reservation:
            fact = _fact_of(command, reservation, reservation, now_ms)
            self._remember(command, fact)
            return fact
        services = self._services
        rows, wanted = services.rows, (self.key.organization_id, variants_of(reservation.items))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            prepared = yield from services.two_phase.prepare(moving(reservation, moved, variants))
            assert isinstance(prepared, Prepared), "what a reservation holds is in `reserved`"
            return self._ended(command, reservation, prepared)

    def _ended(self, command: Ending, reservation: ReservationRecord, prepared: Prepared) -> Fact:
        services = self._services
        with prepared:
            now_ms = services.clock.now_ms()
            ended = _moved(command, reservation, now_ms)
            fact = _fact_of(command, reservation, ended, now_ms)
            kind = _KIND_OF_STATE.get(ended.state, "fulfill")
            noted = command if isinstance(command, Fulfill) else None
            self._decide(prepared, kind, now_ms, ended, command, fact, noted=noted)
        services.hints.discard(ended)
        return fact


_KIND_OF_STATE: dict[str, TransactionKind] = {"released": "release", "expired": "expire"}


def _moved(command: Ending, reservation: ReservationRecord, now_ms: int) -> ReservationRecord:
    """The reservation after the command; the same one if it changes nothing."""
    match command:
        case Release():
            return release(reservation, command.reason, now_ms)
        case Fulfill():
            return fulfill(reservation, command, now_ms)
        case Expire():
            return reservation.moved("expired", now_ms) if reservation.is_overdue(now_ms) else reservation
        case _ as never:
            assert_never(never)


def _fact_of(command: Ending, before: ReservationRecord, after: ReservationRecord, now_ms: int) -> Fact:
    match command:
        case Release():
            return ReservationReleased(after)
        case Fulfill():
            return shipped(before, after, now_ms)
        case Expire():
            return ExpiryHandled(0 if after is before else 1)
        case _ as never:
            assert_never(never)

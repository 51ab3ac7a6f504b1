"""The actor that owns one order's reservations.

Whatever is asked of an order queues here: a retry waits for the first try and finds its reservation, and
confirm, release and expiry of one reservation meet here instead of racing. A turn ends when its transaction is
decided, not when it is durable; the answer waits for that in the journal. So the next message builds on what
was decided, which is safe because the database only ever holds a prefix of the journal.

A turn waits where it must: for the order's history, for rows that are not in memory, and in the first phase for a
rival's decision. It keeps its rows pinned and its holds meanwhile, so no other order can take what it was granted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, assert_never

from msgspec import UNSET

from actors.actor import Actor, Dispatcher, Envelope
from actors.basket import giving_back, items_of, plan, reserving, with_hint
from actors.closed_warehouses import Closed
from actors.commands import Confirm, Ending, Expire, Fulfill, Line, OrderCommand, Release, Reserve
from actors.idempotency import remember
from actors.outcomes import (
    ExpiryHandled,
    Fact,
    InsufficientStock,
    Outcome,
    Refused,
    ReservationConfirmed,
    ReservationExists,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReleased,
    StockReserved,
)
from actors.records import OrderKey, ReservationItem, ReservationRecord, StockKey, TransactionKind
from actors.reply import Reply
from actors.reservation import asks_for_the_same, confirm, fulfill, release
from actors.stock_actor import StockActor
from actors.turn import Turn
from actors.two_phase import NOTHING_PREPARED, Prepared, TwoPhase
from actors.variant_stock import Pinned, VariantStock


class Clock(Protocol):
    """Service time."""

    def now_ms(self) -> int: ...


class Answers(Protocol):
    """The journal, as the end of a turn sees it."""

    @property
    def durable_lsn(self) -> int: ...

    def answer(self, reply: Reply[Any], value: Any = None, error: Exception | None = None) -> None:
        """Give the answer as soon as everything decided so far is durable."""
        ...


class Rows(Protocol):
    """The stock rows in memory."""

    def ready(self, organization_id: str, variant_ids: Mapping[str, None]) -> dict[str, VariantStock] | None:
        """These variants, if all are in memory; else None."""
        ...

    def load(self, organization_id: str, variant_ids: Mapping[str, None]) -> Turn[dict[str, VariantStock]]:
        """These variants, loaded where need be."""
        ...

    def closed(self, organization_id: str) -> Closed:
        """The organization's warehouses that are not active, as it was decided; another set after each change."""
        ...


class Hints(Protocol):
    """When stock may come back."""

    def add(self, reservation: ReservationRecord) -> None: ...
    def discard(self, reservation: ReservationRecord) -> None: ...
    def freed_at_ms(self, key: StockKey, quantity: int) -> int | None: ...


class OrderServices:
    """What every order actor of an incarnation works with."""

    __slots__ = ("answers", "clock", "hints", "new_reservation_id", "rows", "two_phase")

    def __init__(
        self,
        clock: Clock,
        two_phase: TwoPhase,
        hints: Hints,
        answers: Answers,
        rows: Rows,
        new_reservation_id: Callable[[], str],
    ) -> None:
        self.clock = clock
        self.two_phase = two_phase
        self.hints = hints
        self.answers = answers
        self.rows = rows
        self.new_reservation_id = new_reservation_id

    def __repr__(self) -> str:
        return f"<OrderServices {self.answers!r} {self.rows!r}>"


class OrderActor(Actor[OrderCommand, Fact]):
    """One order.

    Args:
        key: the order.
        services: what it works with.
        load: reads the order's reservations; None if the order is certainly new.
    """

    __slots__ = ("_last_lsn", "_load", "_services", "key", "reservations")

    def __init__(
        self,
        key: OrderKey,
        services: OrderServices,
        load: Callable[[], Reply[list[ReservationRecord]]] | None,
        dispatcher: Dispatcher,
        on_crash: Callable[[Actor[OrderCommand, Fact], Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.key = key
        self._services = services
        self._load = load
        self._last_lsn = 0
        self.reservations: dict[str, ReservationRecord] = {}  # oldest first

    def __repr__(self) -> str:
        latest = self._latest
        state = f"{latest.reservation_id} {latest.state}" if latest else "no reservation"
        return f"<OrderActor {self.key.organization_id}/{self.key.order_id} {state}>"

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped."""
        return self.is_idle and self._last_lsn <= self._services.answers.durable_lsn

    def handle(self, envelope: Envelope[OrderCommand, Fact]) -> Turn[None]:
        """Carry out one command. It is answered once all that the answer rests on is durable."""
        if self._load is not None:
            for reservation in (yield self._load()):
                self.reservations[reservation.reservation_id] = reservation
            self._load = None
        command = envelope.message
        fact: Fact
        try:
            match command:
                case Reserve():
                    fact = yield from self._reserve(command)
                case Confirm():
                    fact = self._confirm(command)
                case Release() | Fulfill() | Expire():
                    fact = yield from self._end(command)
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
        rows, wanted = services.rows, (command.organization_id, _variants_of(command.lines))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            while True:
                closed = rows.closed(command.organization_id)
                try:
                    chosen = yield from self._plan(command, variants, closed)
                except Refused:
                    if rows.closed(command.organization_id) is closed:
                        raise
                    continue  # a warehouse was closed or opened while the plan waited
                prepared = yield from services.two_phase.prepare(reserving(command.lines, chosen))
                if isinstance(prepared, Prepared):
                    if rows.closed(command.organization_id) is closed:
                        return self._reserved(command, chosen, prepared)
                    prepared.abort()
                # A rival's decision took what the plan had counted on, or a warehouse was closed: look again.

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

    def _plan(self, command: Reserve, variants: Mapping[str, VariantStock], closed: Closed) -> Turn[list[StockActor]]:
        try:
            return (yield from plan(command.lines, variants, closed))
        except Refused as refused:
            raise self._hinted(refused) from None

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
        if confirmed is not reservation:
            self._decide(NOTHING_PREPARED, "confirm", now_ms, confirmed, command)
            self._services.hints.discard(confirmed)
        return ReservationConfirmed(confirmed)

    def _end(self, command: Ending) -> Turn[Fact]:
        """Take the reservation's goods out of `reserved`, if the command ends one."""
        reservation = self._latest if isinstance(command, Expire) else self._reservation(command.reservation_id)
        if reservation is None:
            return ExpiryHandled(0)
        if _moved(command, reservation, self._services.clock.now_ms()) is reservation:
            fact = _fact_of(command, reservation, 0)
            self._remember(command, fact)
            return fact
        services = self._services
        rows, wanted = services.rows, (self.key.organization_id, _variants_of(reservation.items))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            changes = giving_back(reservation.items, variants, shipped=isinstance(command, Fulfill))
            prepared = yield from services.two_phase.prepare(changes)
            assert isinstance(prepared, Prepared), "what a reservation holds is in `reserved`"
            return self._ended(command, reservation, prepared)

    def _ended(self, command: Ending, reservation: ReservationRecord, prepared: Prepared) -> Fact:
        services = self._services
        with prepared:
            now_ms = services.clock.now_ms()
            ended = _moved(command, reservation, now_ms)
            fact = _fact_of(command, ended, 1)
            self._decide(prepared, _KIND_OF_STATE[ended.state], now_ms, ended, command, fact)
        services.hints.discard(ended)
        return fact

    def _decide(
        self,
        prepared: Prepared,
        kind: TransactionKind,
        now_ms: int,
        reservation: ReservationRecord,
        command: OrderCommand | None = None,
        fact: Fact | None = None,
    ) -> None:
        transaction = self._services.two_phase.decide(
            prepared,
            kind,
            now_ms,
            reservation=reservation,
            request=remember(command, fact) if command is not None and fact is not None else None,
            reference=command.reference if isinstance(command, Fulfill) else "",
            reason=reservation.reason,
            origin=UNSET if command is None or isinstance(command, Expire) else command.origin,
        )
        self._last_lsn = transaction.lsn
        self.reservations[reservation.reservation_id] = reservation

    def _remember(self, command: OrderCommand, outcome: Outcome) -> None:
        """Keep an answer that changed nothing, if the caller gave an idempotency key."""
        request = remember(command, outcome)
        if request is not None:
            services = self._services
            services.two_phase.decide(NOTHING_PREPARED, "remember", services.clock.now_ms(), request=request)

    def _hinted(self, refused: Refused) -> Refused:
        if not isinstance(refused.refusal, InsufficientStock):
            return refused
        services = self._services
        now_ms = services.clock.now_ms()
        return Refused(with_hint(refused.refusal, self.key.organization_id, now_ms, services.hints.freed_at_ms))

    def _reservation(self, reservation_id: str) -> ReservationRecord:
        reservation = self.reservations.get(reservation_id)
        if reservation is None:
            raise Refused(ReservationNotFound(reservation_id))
        return reservation

    @property
    def _latest(self) -> ReservationRecord | None:
        """Only an order's latest reservation can hold stock."""
        return next(reversed(self.reservations.values()), None)


_KIND_OF_STATE: dict[str, TransactionKind] = {"released": "release", "expired": "expire", "fulfilled": "fulfill"}


def _moved(command: Ending, reservation: ReservationRecord, now_ms: int) -> ReservationRecord:
    """The reservation after the command; the same one if it changes nothing."""
    match command:
        case Release():
            return release(reservation, command.reason, now_ms)
        case Fulfill():
            return fulfill(reservation, now_ms)
        case Expire():
            return reservation.moved("expired", now_ms) if reservation.is_overdue(now_ms) else reservation
        case _ as never:
            assert_never(never)


def _fact_of(command: Ending, reservation: ReservationRecord, expired: int) -> Fact:
    match command:
        case Release():
            return ReservationReleased(reservation)
        case Fulfill():
            return ReservationFulfilled(reservation)
        case Expire():
            return ExpiryHandled(expired)
        case _ as never:
            assert_never(never)


def _variants_of(wanted: Sequence[Line] | Sequence[ReservationItem]) -> dict[str, None]:
    # A dict, not a set: the order in which things are loaded must not hang on the hash seed.
    return dict.fromkeys([one.variant_id for one in wanted])

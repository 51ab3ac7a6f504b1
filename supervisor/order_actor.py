"""The actor that owns one order's reservations.

Whatever is asked of an order queues here: a retry waits for the first try and finds its reservation, and
confirm, release and expiry of one reservation meet here instead of racing. A turn ends when its transaction is
decided, not when it is durable; the answer waits for that in the journal. So the next message builds on what
was decided, which is safe because the database only ever holds a prefix of the journal.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import assert_never

from actors.actor import Actor, Dispatcher, Envelope
from actors.commands import Confirm, Expire, Fulfill, Line, OrderCommand, Release, Reserve
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
from actors.records import OrderKey, ReservationItem, ReservationRecord, TransactionKind
from actors.reply import Reply
from actors.reservation import asks_for_the_same, confirm, fulfill, release
from actors.stock_actor import StockActor
from supervisor.activations.stock_directory import Pinned, StockDirectory, VariantStock
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.basket import giving_back, items_of, plan, reserving, with_hint
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import NOTHING_PREPARED, Coordinator, Prepared
from supervisor.transactions.journal import Journal

Ending = Release | Fulfill | Expire
"""What takes a reservation's goods out of `reserved`."""


class OrderServices:
    """What every order actor of an incarnation works with."""

    __slots__ = ("clock", "coordinator", "hints", "journal", "new_reservation_id", "stock")

    def __init__(
        self,
        clock: ServiceClock,
        coordinator: Coordinator,
        hints: ExpiryHints,
        journal: Journal,
        stock: StockDirectory,
        new_reservation_id: Callable[[], str],
    ) -> None:
        self.clock = clock
        self.coordinator = coordinator
        self.hints = hints
        self.journal = journal
        self.stock = stock
        self.new_reservation_id = new_reservation_id


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
        load: Callable[[], Awaitable[list[ReservationRecord]]] | None,
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
        return self.is_idle and self._last_lsn <= self._services.journal.durable_lsn

    def receive_at_once(self, message: OrderCommand, reply: Reply[Fact]) -> bool:
        """Carry out a command if the order and all rows it needs are in memory, and no rival has to be waited for."""
        if self._load is not None:
            return False
        try:
            fact = self._handle_at_once(message)
        except Refused as refused:
            self._refuse(message, reply, refused)
            return True
        if fact is None:
            return False
        self._services.journal.answer(reply, fact)
        return True

    async def receive(self, envelope: Envelope[OrderCommand, Fact]) -> None:
        """Carry out one command. It is answered once all that the answer rests on is durable."""
        if self._load is not None:
            for reservation in await self._load():
                self.reservations[reservation.reservation_id] = reservation
            self._load = None
        try:
            fact = await self._handle(envelope.message)
        except Refused as refused:
            self._refuse(envelope.message, envelope.reply, refused)
        else:
            self._services.journal.answer(envelope.reply, fact)

    def _refuse(self, command: OrderCommand, reply: Reply[Fact], refused: Refused) -> None:
        self._remember(command, refused.refusal)
        self._services.journal.answer(reply, error=refused)

    def _handle_at_once(self, command: OrderCommand) -> Fact | None:
        match command:
            case Reserve():
                return self._reserve_at_once(command)
            case Confirm():
                return self._confirm(command)
            case _:
                return self._end_at_once(command)

    async def _handle(self, command: OrderCommand) -> Fact:
        match command:
            case Reserve():
                return await self._reserve(command)
            case Confirm():
                return self._confirm(command)
            case _:
                return await self._end(command)

    # ---- a new reservation ----------------------------------------------------------------------------------------

    def _reserve_at_once(self, command: Reserve) -> Fact | None:
        if self._latest is not None:
            return None
        variants = self._services.stock.ready(command.organization_id, _variants_of(command.lines))
        if variants is None:
            return None
        rows = self._plan(command, variants)
        prepared = self._services.coordinator.prepare_at_once(reserving(command.lines, rows))
        return None if prepared is None else self._reserved(command, rows, prepared)

    async def _reserve(self, command: Reserve) -> Fact:
        if self._latest is not None:
            await self._end(Expire(command.organization_id, command.order_id))
        latest = self._latest
        if latest is not None and latest.state in ("active", "confirmed", "fulfilled"):
            if asks_for_the_same(latest, command.lines):
                fact = StockReserved(latest)
                self._remember(command, fact)
                return fact
            if latest.holds_stock:
                raise Refused(ReservationExists(latest.reservation_id))
        with await self._pinned(command.lines) as variants:
            while True:
                rows = self._plan(command, variants)
                prepared = await self._services.coordinator.prepare(reserving(command.lines, rows))
                if isinstance(prepared, Prepared):
                    return self._reserved(command, rows, prepared)
                # A rival's decision took what the plan had counted on: look again.

    def _plan(self, command: Reserve, variants: Mapping[str, VariantStock]) -> list[StockActor]:
        try:
            return plan(command.lines, variants)
        except Refused as refused:
            raise self._hinted(refused) from None

    def _reserved(self, command: Reserve, rows: Sequence[StockActor], prepared: Prepared) -> Fact:
        services = self._services
        with services.coordinator.holding(prepared):
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
            self._decide(NOTHING_PREPARED, "confirm", now_ms, confirmed)
            self._services.hints.discard(confirmed)
        return ReservationConfirmed(confirmed)

    def _end_at_once(self, command: Ending) -> Fact | None:
        reservation = self._ending(command)
        if not isinstance(reservation, ReservationRecord):
            return reservation
        variants = self._services.stock.ready(self.key.organization_id, _variants_of(reservation.items))
        if variants is None:
            return None
        changes = giving_back(reservation.items, variants, shipped=isinstance(command, Fulfill))
        prepared = self._services.coordinator.prepare_at_once(changes)
        return None if prepared is None else self._ended(command, reservation, prepared)

    async def _end(self, command: Ending) -> Fact:
        """Take the reservation's goods out of `reserved`."""
        reservation = self._ending(command)
        if not isinstance(reservation, ReservationRecord):
            return reservation
        with await self._pinned(reservation.items) as variants:
            changes = giving_back(reservation.items, variants, shipped=isinstance(command, Fulfill))
            prepared = await self._services.coordinator.prepare(changes)
            assert isinstance(prepared, Prepared), "what a reservation holds is in `reserved`"
            return self._ended(command, reservation, prepared)

    def _ending(self, command: Ending) -> ReservationRecord | Fact:
        """The reservation that the command ends; if it ends none, the answer."""
        reservation = self._latest if isinstance(command, Expire) else self._reservation(command.reservation_id)
        if reservation is None:
            return ExpiryHandled(0)
        if _moved(command, reservation, self._services.clock.now_ms()) is not reservation:
            return reservation
        fact = _fact_of(command, reservation, 0)
        self._remember(command, fact)
        return fact

    def _ended(self, command: Ending, reservation: ReservationRecord, prepared: Prepared) -> Fact:
        services = self._services
        with services.coordinator.holding(prepared):
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
        transaction = self._services.coordinator.decide(
            prepared,
            kind,
            now_ms,
            reservation=reservation,
            request=remember(command, fact) if command is not None and fact is not None else None,
            reference=(command.reference if isinstance(command, Fulfill) else "") or reservation.order_id,
            reason=reservation.reason,
        )
        self._last_lsn = transaction.lsn
        self.reservations[reservation.reservation_id] = reservation

    def _remember(self, command: OrderCommand, outcome: Outcome) -> None:
        """Keep an answer that changed nothing, if the caller gave an idempotency key."""
        request = remember(command, outcome)
        if request is not None:
            services = self._services
            services.coordinator.decide(NOTHING_PREPARED, "remember", services.clock.now_ms(), request=request)

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

    async def _pinned(self, wanted: Sequence[Line] | Sequence[ReservationItem]) -> Pinned:
        return await self._services.stock.pinned(self.key.organization_id, _variants_of(wanted))


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

"""The actor that owns one order's reservations.

Whatever is asked of an order queues here: a retry waits for the first try and finds its reservation, and
confirm, release and expiry of one reservation meet here instead of racing. A turn ends when its transaction is
decided, not when it is durable; the answer waits for that in the journal. So the next message builds on what
was decided, which is safe because the database only ever holds a prefix of the journal.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from actors.actor import Actor, Dispatcher, Envelope
from actors.messages import Confirm, Expire, Fulfill, Line, OrderCommand, Release, Reserve
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
from actors.reservation import asks_for_the_same, confirm, fulfill, release
from storage.journal import Journal
from supervisor.basket import giving_back, items_of, plan, reserving, with_hint
from supervisor.clock import ServiceClock
from supervisor.coordinator import NOTHING_PREPARED, Coordinator, Prepared
from supervisor.hints import ExpiryHints
from supervisor.memory import remember
from supervisor.stock_directory import Pinned, StockDirectory


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

    def will_suspend(self) -> bool:
        """Whether the order or a row it needs must be loaded, or a rival's decision may have to be waited for."""
        if self._load is not None or len(self._mailbox) != 1:
            return True
        command = self._mailbox[0].message
        match command:
            case Reserve(lines=lines):
                latest = self._latest
                if latest is not None and latest.state == "active" and self._must_wait_for(latest.items):
                    return True
                return self._must_wait_for(lines)
            case Confirm():
                return False
            case Release(reservation_id=reservation_id) | Fulfill(reservation_id=reservation_id):
                reservation = self.reservations.get(reservation_id)
                return reservation is not None and self._must_wait_for(reservation.items)
            case Expire():
                latest = self._latest
                return latest is not None and self._must_wait_for(latest.items)
            case _ as never:
                assert_never(never)

    async def receive(self, envelope: Envelope[OrderCommand, Fact]) -> None:
        """Carry out one command. It is answered once all that the answer rests on is durable."""
        if self._load is not None:
            for reservation in await self._load():
                self.reservations[reservation.reservation_id] = reservation
            self._load = None
        journal = self._services.journal
        try:
            fact = await self._handle(envelope.message)
        except Refused as refused:
            self._remember(envelope.message, refused.refusal)
            journal.answer(envelope.reply, error=refused)
        else:
            journal.answer(envelope.reply, fact)

    async def _handle(self, command: OrderCommand) -> Fact:
        match command:
            case Reserve():
                return await self._reserve(command)
            case Confirm():
                return self._confirm(command)
            case Release():
                return await self._release(command)
            case Fulfill():
                return await self._fulfill(command)
            case Expire():
                return await self._expire()
            case _ as never:
                assert_never(never)

    async def _reserve(self, command: Reserve) -> Fact:
        services = self._services
        if self._latest is not None:
            await self._expire()
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
                try:
                    rows = plan(command.lines, variants)
                except Refused as refused:
                    raise self._hinted(refused) from None
                prepared = await services.coordinator.prepare(reserving(command.lines, rows))
                if isinstance(prepared, Prepared):
                    break
                # A rival's decision took what the plan had counted on: look again.
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

    def _confirm(self, command: Confirm) -> Fact:
        now_ms = self._services.clock.now_ms()
        reservation = self._reservation(command.reservation_id)
        confirmed = confirm(reservation, command.order_id, now_ms)
        if confirmed is not reservation:
            self._decide(NOTHING_PREPARED, "confirm", now_ms, confirmed)
            self._services.hints.discard(confirmed)
        return ReservationConfirmed(confirmed)

    async def _release(self, command: Release) -> Fact:
        reservation = self._reservation(command.reservation_id)
        released = release(reservation, command.reason, self._services.clock.now_ms())
        if released is not reservation:
            released = await self._end(reservation, lambda now_ms: release(reservation, command.reason, now_ms))
        return ReservationReleased(released)

    async def _fulfill(self, command: Fulfill) -> Fact:
        reservation = self._reservation(command.reservation_id)
        fulfilled = fulfill(reservation, self._services.clock.now_ms())
        if fulfilled is reservation:
            fact = ReservationFulfilled(fulfilled)
            self._remember(command, fact)
            return fact
        return ReservationFulfilled(await self._end(reservation, lambda now_ms: fulfill(reservation, now_ms), command))

    async def _expire(self) -> Fact:
        latest = self._latest
        if latest is None or not latest.is_overdue(self._services.clock.now_ms()):
            return ExpiryHandled(0)
        await self._end(latest, lambda now_ms: latest.moved("expired", now_ms))
        return ExpiryHandled(1)

    async def _end(
        self,
        reservation: ReservationRecord,
        move: Callable[[int], ReservationRecord],
        command: Fulfill | None = None,
    ) -> ReservationRecord:
        """Take the reservation's goods out of `reserved` and move it as `move` says at decision time."""
        services = self._services
        with await self._pinned(reservation.items) as variants:
            changes = giving_back(reservation.items, variants, shipped=command is not None)
            prepared = await services.coordinator.prepare(changes)
            assert isinstance(prepared, Prepared), "what a reservation holds is in `reserved`"
            with services.coordinator.holding(prepared):
                now_ms = services.clock.now_ms()
                ended = move(now_ms)
                kind = _KIND_OF_STATE[ended.state]
                self._decide(prepared, kind, now_ms, ended, command, ReservationFulfilled(ended) if command else None)
            services.hints.discard(ended)
            return ended

    def _decide(
        self,
        prepared: Prepared,
        kind: TransactionKind,
        now_ms: int,
        reservation: ReservationRecord,
        command: Reserve | Fulfill | None = None,
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

    def _must_wait_for(self, wanted: Sequence[Line] | Sequence[ReservationItem]) -> bool:
        """Whether something must be loaded, or a rival's decision is open."""
        variants = self._services.stock.ready(self.key.organization_id, _variants_of(wanted))
        if variants is None:
            return True
        for variant in variants.values():  # noqa: SIM110 - asked for every order; `any` takes twice as long
            if variant.is_undecided:
                return True
        return False

    async def _pinned(self, wanted: Sequence[Line] | Sequence[ReservationItem]) -> Pinned:
        return await self._services.stock.pinned(self.key.organization_id, _variants_of(wanted))


_KIND_OF_STATE: dict[str, TransactionKind] = {"released": "release", "expired": "expire", "fulfilled": "fulfill"}


def _variants_of(wanted: Sequence[Line] | Sequence[ReservationItem]) -> dict[str, None]:
    # A dict, not a set: the order in which things are loaded must not hang on the hash seed.
    return dict.fromkeys([one.variant_id for one in wanted])

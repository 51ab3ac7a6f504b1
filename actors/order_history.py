"""What an order's actor knows of its reservations, and how it keeps and remembers what becomes of them.

The history is part of the actor, and not read for each message: a retry must find the reservation that was decided a
moment ago, and the database does not have it yet. So an order stays in memory until all that it decided is durable.

Of an order with thousands of lines, the items of what has ended are not kept, but for the latest reservation: they may
be megabytes, and are asked for rarely. A command for such a reservation reads them again. The database has them, and
what has ended changes only where it is taken again, and then it is the latest.
"""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from actors.actor import Actor, Dispatcher
from actors.basket import with_hint
from actors.basket_commands import Wish
from actors.commands import Expire, Line, Noted, OrderCommand
from actors.idempotency import remember
from actors.order_services import OrderServices
from actors.outcomes import Fact, InsufficientStock, OrderStandsBy, Outcome, Refused, ReservationNotFound
from actors.records import OrderKey, ReservationItem, ReservationRecord, Transaction, TransactionKind
from actors.reply import Reply
from actors.standing_by import OrderMessage, StandBy
from actors.turn import Doing, Turn, awaited
from actors.two_phase import NOTHING_PREPARED, Prepared


class OrderHistory(Actor[OrderMessage, Fact]):
    """The reservations of one order.

    Args:
        key: the order.
        services: what it works with.
        load: reads the order's reservations; None if the order is certainly new.
    """

    __slots__ = ("_is_cut", "_last_lsn", "_load", "_services", "key", "reservations")

    def __init__(
        self,
        key: OrderKey,
        services: OrderServices,
        load: Callable[[], Reply[list[ReservationRecord]]] | None,
        dispatcher: Dispatcher,
        on_crash: Callable[[Actor[OrderMessage, Fact], Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.key = key
        self._services = services
        self._load = load
        self._last_lsn = 0
        self._is_cut = False  # some reservations that ended are without their items
        self.reservations: dict[str, ReservationRecord] = {}  # oldest first

    def __repr__(self) -> str:
        latest = self._latest
        state = f"{latest.reservation_id} {latest.state}" if latest else "no reservation"
        return f"<OrderActor {self.key.organization_id}/{self.key.order_id} {state}>"

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped."""
        return self.is_idle and self._last_lsn <= self._services.answers.durable_lsn

    def load(self) -> Reply[list[ReservationRecord]] | None:
        """Begin to read the history, before any message asks for it; None if it is there."""
        return None if self._load is None else self._load()

    def loaded(self, reservations: Sequence[ReservationRecord]) -> None:
        """The history was read. Nothing was decided before that."""
        if self._load is not None:
            self._keep(reservations)

    def _keep(self, reservations: Sequence[ReservationRecord]) -> None:
        """Keep what was read, the oldest first."""
        self.reservations = {reservation.reservation_id: reservation for reservation in reservations}
        self._is_cut = any(_is_cut(reservation) for reservation in reservations)
        self._load = None

    def let_items_go(self, reservation_id: str) -> int:
        """Keep no items of what has ended, if that is durable.

        Args:
            reservation_id: the one that was just decided.

        Returns:
            How many items that were.
        """
        if self._last_lsn > self._services.answers.durable_lsn:
            return 0
        others = [one for one in self.reservations.values() if one.reservation_id != reservation_id]
        ended = [one for one in others if one.items and not one.holds_stock]
        self.reservations.update({one.reservation_id: replace(one, items=()) for one in ended})
        self._is_cut = self._is_cut or bool(ended)
        return sum(len(one.items) for one in ended)

    def _items_read(self, message: OrderMessage) -> Turn[ReservationRecord | None]:
        """Read the items of the reservation that a message is about, if they were let go.

        Returns:
            The reservation without them.

        Raises:
            Unavailable: storage failed.
        """
        cut = self.reservations.get(getattr(message, "reservation_id", ""))
        if cut is None or not _is_cut(cut):
            return None
        read = partial(self._services.read_reservation, self.key.organization_id, cut.reservation_id)
        self.reservations[cut.reservation_id] = (yield Doing(read)) or cut
        return cut

    def _cut_again(self, cut: ReservationRecord) -> None:
        """Let the items go that were read, unless the goods were taken again."""
        if not self.reservations[cut.reservation_id].holds_stock:
            self.reservations[cut.reservation_id] = cut

    def _decide(
        self,
        prepared: Prepared,
        kind: TransactionKind,
        now_ms: int,
        reservation: ReservationRecord,
        command: OrderCommand | None = None,
        fact: Fact | None = None,
        *,
        noted: Noted | None = None,
    ) -> None:
        """Commit, and keep what the reservation has become.

        Args:
            command: whose idempotency key keeps the fact.
            noted: the command, if it is one that brings a reason and a reference for the ledger.
        """
        transaction = self._services.two_phase.decide(
            prepared,
            kind,
            now_ms,
            reservation=reservation,
            request=remember(command, fact) if command is not None and fact is not None else None,
            reference="" if noted is None else noted.reference,
            reason=reservation.reason if noted is None else noted.reason,
            origin=UNSET if command is None or isinstance(command, Expire) else command.origin,
        )
        self._last_lsn = transaction.lsn
        self.reservations[reservation.reservation_id] = reservation

    def _stand_by(self, message: StandBy, reply: Reply[Fact]) -> Turn[None]:
        """Say what the reservation is, and do nothing before another change has decided about it."""
        # Kept in the step that decides it: a reader who sees the rows without the goods must see the order so too.
        message.decided.when_done(lambda: self._keep_decided(message.decided.result()))
        reply.set(OrderStandsBy(self._reservation(message.reservation_id)))
        yield from awaited(message.decided)

    def _keep_decided(self, transaction: Transaction | None) -> None:
        if transaction is not None and transaction.reservation is not None:
            self._last_lsn = transaction.lsn
            self.reservations[transaction.reservation.reservation_id] = transaction.reservation

    def _remember(self, command: OrderCommand, outcome: Outcome) -> None:
        """Keep an answer that changed nothing, if the caller gave an idempotency key."""
        request = remember(command, outcome)
        if request is not None:
            services = self._services
            services.two_phase.decide(NOTHING_PREPARED, "remember", services.clock.now_ms(), request=request)

    def _hinted(self, refused: Refused, without: ReservationRecord | None = None) -> Refused:
        """The refusal with a hint, which the end of the reservation `without` is none for."""
        if not isinstance(refused.refusal, InsufficientStock):
            return refused
        services = self._services
        now_ms, freed_at_ms = services.clock.now_ms(), services.hints.without(without)
        return Refused(with_hint(refused.refusal, self.key.organization_id, now_ms, freed_at_ms))

    def _reservation(self, reservation_id: str) -> ReservationRecord:
        reservation = self.reservations.get(reservation_id)
        if reservation is None:
            raise Refused(ReservationNotFound(reservation_id))
        return reservation

    @property
    def _latest(self) -> ReservationRecord | None:
        """Only an order's latest reservation can hold stock."""
        return next(reversed(self.reservations.values()), None)


def variants_of(wanted: Sequence[Line | Wish | ReservationItem]) -> dict[str, None]:
    """The variants of these lines, wishes or items."""
    # A dict, not a set: the order in which things are loaded must not hang on the hash seed.
    return dict.fromkeys([one.variant_id for one in wanted])


def _is_cut(reservation: ReservationRecord) -> bool:
    """Whether it is without its items. It has some: to read one again that never had any does no harm."""
    return not reservation.items and not reservation.holds_stock

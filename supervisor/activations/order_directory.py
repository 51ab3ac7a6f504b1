"""Which orders are in memory, and how a reservation's order is found.

Callers name reservations, actors are orders: so that two calls for one reservation meet, its order is found first.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from actors.actor import Actor, Dispatcher
from actors.order_actor import OrderActor
from actors.order_services import OrderServices
from actors.outcomes import Fact
from actors.records import OrderKey, ReservationRecord
from actors.reply import Reply
from actors.standing_by import OrderMessage
from actors.turn import Doing, Turn, awaited
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.activations.directory import LOOKS_A_TURN, Directory, DirectoryStatistics
from supervisor.activations.loader import Loader

LINES_A_TURN = 4_000  # a millisecond
LONG_LINES = 2_000  # from there on an order's reservations that have ended are kept without their items
LOOKS_FOR_LINES = 100  # small ones may come first


class OrderDirectory:
    """Activates orders.

    Args:
        services: what order actors work with.
        read: reads the reservations of up to 500 orders.
        find: the order of a reservation, from the database.
        wait_durable: returns when everything decided so far is in the database.
        dispatcher: runs the actors' turns.
        report_crash: told of an actor that met a bug, after its activation was dropped.
        activations_max: orders in memory.
        lines_max: lines of their reservations in memory; beyond it orders that are not in use go, as beyond the other.
        mailbox_messages_max: messages that an order's mailbox holds.
    """

    def __init__(
        self,
        services: OrderServices,
        read: Callable[[Sequence[OrderKey]], Awaitable[Mapping[OrderKey, list[ReservationRecord]]]],
        find: Callable[[str, str], Awaitable[OrderKey | None]],
        wait_durable: Callable[[], Awaitable[None]],
        dispatcher: Dispatcher,
        report_crash: Callable[[object, Exception], None],
        *,
        activations_max: int,
        lines_max: int,
        mailbox_messages_max: int,
    ) -> None:
        self._services = services
        self._find = find
        self._dispatcher = dispatcher
        self._report_crash = report_crash
        self._mailbox_messages_max = mailbox_messages_max
        self._directory: Directory[OrderKey, OrderActor] = Directory(activations_max)
        self._lines_max = lines_max
        self._lines_of: dict[OrderKey, int] = {}
        self._lines = self._lines_forgotten = 0
        self._loading: dict[OrderKey, Reply[list[ReservationRecord]]] = {}
        self._order_of_reservation: dict[tuple[str, str], OrderKey] = {}
        self.loader = Loader(read, wait_durable, self._deliver)
        self.known = BloomFilter()

    def __repr__(self) -> str:
        return f"<OrderDirectory {self._directory!r} loading={len(self._loading)}>"

    def is_new(self, key: OrderKey) -> bool:
        """Whether this order is certainly unknown, in memory and in the database."""
        return self._directory.get(key) is None and not self.known.may_contain(key)

    def activate(self, key: OrderKey) -> OrderActor:
        """The order's actor. One that may have a history reads it in its first turn."""
        actor = self._directory.get(key)
        if actor is None:
            load = self._load_of(key) if self.known.may_contain(key) else None
            actor = OrderActor(
                key, self._services, load, self._dispatcher, self._drop_crashed, self._mailbox_messages_max
            )
            if self._lines > self._lines_max:  # a reservation of 1,000 lines takes 246 KB: 10,000 orders may be 2.5 GB
                self._forget(self._directory.passivate(LOOKS_FOR_LINES))
            self._forget(self._directory.add(key, actor))
        return actor

    async def bring(self, keys: Sequence[OrderKey]) -> None:
        """Have the histories of these orders in memory, read together: what is posted to them then need not wait.

        They may be gone again at once, as any that is not in use.
        """
        loads = [load for key in keys if (load := self.activate(key).load()) is not None]
        for load in loads:
            await load.wait()

    def ask(self, key: OrderKey, command: OrderMessage, reply: Reply[Fact]) -> None:
        """Post a command to the order's mailbox.

        Raises:
            Unavailable: the mailbox is full.
        """
        self.activate(key).ask(command, reply)

    def note(self, reservation: ReservationRecord) -> None:
        """A reservation was decided: remember whose it is, and that the order has a history."""
        key = reservation.order
        self._order_of_reservation[key.organization_id, reservation.reservation_id] = key
        if self._count_lines(key, len(reservation.items)) > LONG_LINES and (actor := self._directory.get(key)):
            self._count_lines(key, -actor.let_items_go(reservation.reservation_id))
        self.known.add(key)

    def latest(self, key: OrderKey) -> Turn[ReservationRecord | None]:
        """The order's latest reservation, as it was decided; None if it never had one."""
        if self.is_new(key):
            return None
        while (load := self.activate(key).load()) is not None:
            found = yield from awaited(load)
            actor = self._directory.get(key)
            if actor is None:  # it is gone again, and nothing was decided meanwhile
                return found[-1] if found else None
        return next(reversed(self.activate(key).reservations.values()), None)

    def order_in_memory(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        """The reservation's order, if it is in memory."""
        return self._order_of_reservation.get((organization_id, reservation_id))

    def find(self, organization_id: str, reservation_id: str) -> Turn[OrderKey | None]:
        """The reservation's order, from the database if need be; None if the organization has no such reservation."""
        key = self.order_in_memory(organization_id, reservation_id)
        if key is None:
            # What is decided but not durable is in memory, and this was not: if it exists, the database has it.
            key = yield Doing(lambda: self._find(organization_id, reservation_id))
        return key

    @property
    def came(self) -> tuple[int, int]:
        """How many orders were added since the start, and how many lines."""
        statistics = self._directory.statistics()
        return statistics.activations + statistics.passivated, self._lines + self._lines_forgotten

    def passivate_idle(self) -> Iterator[None]:
        """Drop what was not used since the last time, in steps."""
        for passivated in self._directory.sweep(self._looks_a_turn):
            self._forget(passivated)
            yield

    def passivate_beyond(self, orders: int, lines: int) -> Iterator[None]:
        """Drop the least recent ones until there are no more than this, in steps; those in use stay."""
        looks_left = before = len(self._directory)
        self._directory.passivate(0)  # a generation may have to begin
        while looks_left > 0 and (now := len(self._directory)) and (now > orders or self._lines > lines):
            too_many = max(now - orders, -((lines - self._lines) * now // (self._lines or 1)))
            looks = min(self._looks_a_turn(), looks_left, too_many)
            looks_left -= looks
            self._forget(self._directory.passivate(looks))
            yield
        if before > 2 * len(self._directory):  # a dict that was large keeps its size
            self._directory.compact()
            self._lines_of = dict(self._lines_of)
            self._order_of_reservation = dict(self._order_of_reservation)

    def _looks_a_turn(self) -> int:
        """Orders of a thousand lines take as long to forget as a hundred of a few."""
        return max(1, min(LOOKS_A_TURN, LINES_A_TURN * len(self._directory) // (self._lines + 1)))

    def statistics(self) -> DirectoryStatistics:
        return self._directory.statistics()

    def _load_of(self, key: OrderKey) -> Callable[[], Reply[list[ReservationRecord]]]:
        def load() -> Reply[list[ReservationRecord]]:
            reply = self._loading.get(key)
            if reply is None:
                reply = self._loading[key] = Reply()
                self.loader.want(key)
            return reply

        return load

    def _deliver(self, key: OrderKey, reservations: list[ReservationRecord] | None) -> None:
        actor = self._directory.get(key)
        if actor is not None:  # one that was brought and not asked anything may be gone
            for reservation in reservations or ():
                self._order_of_reservation[key.organization_id, reservation.reservation_id] = key
                self._count_lines(key, len(reservation.items))
            actor.loaded(reservations or ())
        self._loading.pop(key).set(reservations or [])

    def _drop_crashed(self, actor: Actor[OrderMessage, Fact], error: Exception) -> None:
        assert isinstance(actor, OrderActor)
        self._directory.remove(actor.key, actor)
        self.loader.note_crash()
        self._forget([actor])
        self._report_crash(actor, error)

    def _count_lines(self, key: OrderKey, lines: int) -> int:
        """Count more lines, or fewer, of an order. Returns how many it has."""
        self._lines += lines
        self._lines_of[key] = its = self._lines_of.get(key, 0) + lines
        return its

    def _forget(self, actors: Sequence[OrderActor]) -> None:
        for actor in actors:
            lines = self._lines_of.pop(actor.key, 0)
            self._lines -= lines
            self._lines_forgotten += lines
            for reservation_id in actor.reservations:
                self._order_of_reservation.pop((actor.key.organization_id, reservation_id), None)

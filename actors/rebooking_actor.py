"""How a reservation gets another basket, or the same once more after it expired.

It is planned, held and decided in one transaction: what the rows give back is held as what they give, and all of it
moves in one step. So what is kept never leaves the reservation, and a refusal changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from actors.amendment import amended, pieces_of, same_rows, taken_again, wishes_of
from actors.basket import items_of, moving, plan_first
from actors.commands import Amend, Line, Reacquire
from actors.order_history import OrderHistory, variants_of
from actors.order_services import may_refuse
from actors.outcomes import Fact, Refused, ReservationAmended, ReservationExists, ReservationReacquired
from actors.records import ReservationRecord, TransactionKind
from actors.reservation import asks_for_the_same, check_amendable, is_to_be_taken_again
from actors.stock_actor import StockActor, check_alive
from actors.turn import Turn
from actors.two_phase import Prepared
from actors.variant_stock import Pinned, VariantStock


class RebookingActor(OrderHistory):
    """The part of an order's actor that changes what a reservation holds."""

    __slots__ = ()

    def _amend(self, command: Amend) -> Turn[Fact]:
        services, before = self._services, self._reservation(command.reservation_id)
        check_amendable(before, services.clock.now_ms())
        if asks_for_the_same(before, command.lines):
            fact = ReservationAmended(before)
            self._remember(command, fact)
            return fact
        wishes = wishes_of(before, command.lines)
        rows, wanted = services.rows, (self.key.organization_id, variants_of((*command.lines, *before.items)))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            own = pieces_of(before, lambda item: item.quantity)

            def amend(rows: Sequence[StockActor], now_ms: int) -> ReservationRecord:
                check_amendable(before, now_ms)
                return amended(before, command.lines, rows, now_ms)

            return (yield from self._rebook(command, before, wishes, own, variants, amend))

    def _reacquire(self, command: Reacquire) -> Turn[Fact]:
        services = self._services
        before, latest = self._reservation(command.reservation_id), self._latest
        if not is_to_be_taken_again(before, services.clock.now_ms(), services.kept_ms):
            fact = ReservationReacquired(before, True)
            self._remember(command, fact)
            return fact
        if latest is not None and latest.holds_stock:
            raise Refused(ReservationExists(latest.reservation_id))
        wishes = same_rows(before)
        rows, wanted = services.rows, (self.key.organization_id, variants_of(before.items))
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:

            def take(rows: Sequence[StockActor], now_ms: int) -> ReservationRecord:
                is_to_be_taken_again(before, now_ms, services.kept_ms)
                return taken_again(before, items_of(wishes[1], rows), now_ms + command.ttl_minutes * 60_000)

            return (yield from self._rebook(command, before, wishes, {}, variants, take))

    def _rebook(
        self,
        command: Amend | Reacquire,
        before: ReservationRecord,
        wishes: Sequence[Sequence[Line]],
        own: Mapping[tuple[str, str], int],
        variants: Mapping[str, VariantStock],
        make: Callable[[Sequence[StockActor], int], ReservationRecord],
    ) -> Turn[Fact]:
        """Plan, hold and decide. What the rows give back is held, as what they give: nothing is let go on the way.

        Args:
            make: the reservation as it is to be, from the row of each line and the time.
        """
        services = self._services
        while True:
            sourcing = services.rows.sourcing(self.key.organization_id)
            try:
                rows = yield from plan_first(wishes, variants, own, sourcing)
            except Refused as refused:
                if may_refuse(services.rows, self.key.organization_id, sourcing, variants):
                    raise self._hinted(refused, without=before) from None
                continue
            after = make(rows, services.clock.now_ms())
            prepared = yield from services.two_phase.prepare(moving(before, after, variants))
            if isinstance(prepared, Prepared):
                if services.rows.sourcing(self.key.organization_id) is sourcing:
                    return self._rebooked(command, before, make, rows, prepared)
                prepared.abort()
            # A rival's decision took what the plan had counted on, or a warehouse was changed: look again.

    def _rebooked(
        self,
        command: Amend | Reacquire,
        before: ReservationRecord,
        make: Callable[[Sequence[StockActor], int], ReservationRecord],
        rows: Sequence[StockActor],
        prepared: Prepared,
    ) -> Fact:
        services = self._services
        with prepared:
            check_alive(rows)  # it holds nothing of a row that keeps what it gave
            now_ms = services.clock.now_ms()
            after = make(rows, now_ms)
            fact = ReservationAmended(after) if isinstance(command, Amend) else ReservationReacquired(after)
            kind: TransactionKind = "amend" if isinstance(command, Amend) else "reacquire"
            self._decide(prepared, kind, now_ms, after, command, fact, noted=command)
        # What was taken again is the order's latest, as the database has it.
        self.reservations[after.reservation_id] = self.reservations.pop(after.reservation_id)
        services.hints.discard(before)
        if after.state == "active":
            services.hints.add(after)
        return fact

"""Orders that stand by while a change that belongs to none of them is decided."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from actors.outcomes import Fact, OrderStandsBy
from actors.records import OrderKey, ReservationRecord, Transaction
from actors.reply import Reply
from actors.standing_by import StandBy
from actors.turn import Turn, awaited

AskOrder = Callable[[OrderKey, StandBy, Reply[Fact]], None]
"""Posts to an order's mailbox."""


class StandingOrdersStatistics(Struct, frozen=True):
    """Orders that were asked."""

    orders: int


class StandingOrders:
    """Orders that stand by. When the block ends, those that nothing was decided for go on as they were."""

    def __init__(self, ask_order: AskOrder) -> None:
        self._ask_order = ask_order
        self._decided: dict[str, Reply[Transaction | None]] = {}

    def __repr__(self) -> str:
        return f"<StandingOrders {len(self._decided)}>"

    def statistics(self) -> StandingOrdersStatistics:
        return StandingOrdersStatistics(len(self._decided))

    def __enter__(self) -> "StandingOrders":
        return self

    def __exit__(self, *_: object) -> None:
        for decided in self._decided.values():
            if not decided.is_done:
                decided.set(None)

    def stand_by(self, reservations: Iterable[ReservationRecord]) -> Turn[bool]:
        """Have their orders stand by, one after another. Whether all reservations are as they were read.

        An order is asked once: it would hear the second question after the decision, which waits for all answers. Only
        its latest reservation can hold goods, so two of one order were read at two moments, and one has changed since.
        """
        wanted = sorted(reservations, key=lambda one: one.order)
        if len({one.order for one in wanted}) < len(wanted):
            return False
        are_same = True
        for one in wanted:
            decided: Reply[Transaction | None] = Reply()
            self._decided[one.reservation_id] = decided
            answer: Reply[Fact] = Reply()
            message = StandBy(one.organization_id, one.order_id, one.reservation_id, decided)
            self._ask_order(one.order, message, answer)
            fact = yield from awaited(answer)
            are_same = are_same and isinstance(fact, OrderStandsBy) and fact.reservation == one
        return are_same

    def decided(self, transactions: Iterable[Transaction]) -> None:
        """These transactions have released the reservations."""
        for transaction in transactions:
            if transaction.reservation is not None:
                self._decided[transaction.reservation.reservation_id].set(transaction)

"""The port between the shell and the core: what the servicers ask of the supervisor."""

from collections.abc import Sequence
from typing import Protocol

from actors.commands import Command, Line
from actors.outcomes import Fact
from actors.records import ReservationState, StockKey
from actors.reply import Reply
from actors.views import BasketCheck, ReservationPage, StockPage, StockView


class Inventory(Protocol):
    """The inventory, as its callers see it.

    The task of a call is cancelled natively, at any await and past any anyio shield. So every method here only waits:
    work that owns something runs in the core's own tasks, and cancelling a method gives up the wait and nothing else.
    """

    @property
    def serving(self) -> bool:
        """Whether commands are taken now. It is what the health service answers."""
        ...

    async def ask(self, command: Command) -> Fact:
        """Carry out a validated command. A cancelled call may still be carried out.

        Raises:
            Refused: it was turned down and changed nothing.
            Unavailable: not now; the caller may try again.
            ActorCrashed: a bug met it.
        """
        ...

    def submit(self, command: Command) -> Reply[Fact]:
        """Carry out a validated command, without waiting. The reply fails with what `ask` raises.

        An import cannot be submitted; it is asked for.

        Raises:
            Unavailable: not now, and nothing was begun; the caller may try again.
        """
        ...

    def check_at_once(self, organization_id: str, lines: Sequence[Line]) -> BasketCheck | None:
        """What `check` returns, if everything that it needs is at hand; otherwise None.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

    async def check(self, organization_id: str, lines: Sequence[Line]) -> BasketCheck:
        """What would come of reserving these lines now. A quantity of 0 asks for the figure only.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

    async def stock_info(self, organization_id: str, variant_id: str, warehouse_id: str) -> Sequence[StockView]:
        """A variant's rows by warehouse id, of one warehouse or, if that is empty, of all.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

    async def list_stock(
        self, organization_id: str, *, variant_id: str, warehouse_id: str, after: StockKey | None, limit: int
    ) -> StockPage:
        """At most `limit` of an organization's rows, in key order, beginning after `after`. Empty filters mean all.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

    async def list_reservations(
        self, organization_id: str, *, state: ReservationState | None, order_id: str, before: str, limit: int
    ) -> ReservationPage:
        """At most `limit` of an organization's reservations, newest first, beginning before the id `before`.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

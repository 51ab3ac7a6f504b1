"""The port between the shell and the core: what the servicers ask of the supervisor."""

from typing import Protocol, TypeVar

from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply

V = TypeVar("V")


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

    def answer(self, query: Query[V]) -> Reply[V]:
        """Answer a validated query. The reply is there at once if all that is needed is at hand.

        It fails with `Unavailable`.

        Raises:
            Unavailable: not now; the caller may try again.
        """
        ...

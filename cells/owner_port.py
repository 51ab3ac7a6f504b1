"""The port between a router and the owner of a cell: the core, at the other end of a link."""

from typing import Protocol, TypeVar

from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply

V = TypeVar("V")


class Owner(Protocol):
    """What a router asks of an owner; `rpc/inventory_port.py` says more of the methods."""

    @property
    def serving(self) -> bool:
        """Whether it takes commands now."""
        ...

    async def ask(self, command: Command) -> Fact:
        """Carry out a command, which may be an import."""
        ...

    def submit(self, command: Command) -> Reply[Fact]:
        """Carry out a command, without waiting. Raises `Unavailable`: nothing was begun."""
        ...

    def answer(self, query: Query[V]) -> Reply[V]:
        """Answer a query. Raises `Unavailable`."""
        ...

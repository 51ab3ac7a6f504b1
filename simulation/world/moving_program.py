"""The program that moves an organization, as a process: the real one, over simulated links, and killed anywhere."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import Unavailable
from simulation.world.cell_link import CellLink
from stockkeeper.organization_mover import NotMoved, OrganizationMover


class ProgramKilled(BaseException):
    """As kill -9 of the program."""


class MovingProgram:
    """One try.

    Args:
        name: tells it from the others.
        links: to the owners, by cell.
        dies_after: this many messages, the last of which is heard or not, as the seed says; 0: it is not killed.
    """

    def __init__(self, name: str, links: Mapping[str, CellLink], dies_after: int) -> None:
        self.name = name
        self.messages = 0
        self._dies_after = dies_after
        self._is_heard = Random(f"{name}/{dies_after}/is heard").random() < 0.5
        self._owners: dict[str, Any] = {cell: _OwnerUntilDeath(self, link) for cell, link in links.items()}

    def __repr__(self) -> str:
        return f"<MovingProgram {self.name} messages={self.messages} dies_after={self._dies_after}>"

    def statistics(self) -> int:
        """Messages that it has sent."""
        return self.messages

    async def run(self, organization_id: str, cell: str) -> str:
        """Move an organization. Returns what became of it, in words; empty: it is there."""
        try:
            await OrganizationMover(self._owners, organization_id, cell).run()
        except ProgramKilled:
            return f"is killed after {self.messages} messages"
        except NotMoved as error:
            return str(error)
        except Unavailable as error:
            return error.message
        return ""

    def send(self, ask: Callable[[], Reply[Any]]) -> "_LastReply":
        """Send a message. Raises `ProgramKilled`."""
        self.messages += 1
        is_last = self.messages == self._dies_after
        if is_last and not self._is_heard:
            raise ProgramKilled
        return _LastReply(ask(), is_last=is_last)


class _OwnerUntilDeath:
    def __init__(self, program: MovingProgram, link: CellLink) -> None:
        self._program = program
        self._link = link

    def __repr__(self) -> str:
        return f"<_OwnerUntilDeath {self._link!r}>"

    def answer(self, query: Query[Any]) -> "_LastReply":
        return self._program.send(lambda: self._link.answer(query))


class _LastReply:
    def __init__(self, reply: Reply[Any], *, is_last: bool) -> None:
        self._reply = reply
        self._is_last = is_last

    def __repr__(self) -> str:
        return f"<_LastReply {self._reply!r} last={self._is_last}>"

    async def wait(self) -> Any:
        try:
            return await self._reply.wait()
        finally:
            if self._is_last:
                raise ProgramKilled

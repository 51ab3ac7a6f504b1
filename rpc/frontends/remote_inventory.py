"""The inventory as a front-end process has it: `rpc.inventory_port`, with the core at the other end of a link.

Its bound is on requests that the owner has not answered, whether or not their callers still wait: that bounds
the memory that a front-end takes in both processes.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, Self, TypeVar, assert_never, cast

from actors.commands import Command, CountedLine, Import
from actors.outcomes import ActorCrashed, Fact, Refusal, Refused
from actors.queries import AnyQuery, Query
from actors.reply import Reply
from actors.unavailable import Unavailable, shutting_down
from rpc.frontends import link_messages as say
from rpc.frontends.link import Link
from rpc.in_flight import InFlightLimit, InFlightStatistics

LINES_A_PART = 500  # about 1 ms of work for the owner

V = TypeVar("V")


class RemoteInventory:
    """`Inventory` by way of the owner. Made by `connect`.

    Args:
        requests_max: how many requests may wait for the owner's answer; one more is refused as `Unavailable`.
    """

    def __init__(self, requests_max: int) -> None:
        self._link: Link[say.FromOwner] = Link(say.FromOwner, self._hear, self._on_lost, waits_for_reader=False)
        self._in_flight = InFlightLimit(requests_max, "calls")
        self._numbers = count(1)
        self._replies: dict[int, Reply[Any]] = {}
        self._greeted = asyncio.Event()
        self._serving = False
        self.pings_unanswered = 0
        self.on_serving: Callable[[bool], None] = lambda serving: None
        self.stop_asked = asyncio.Event()  # also set when the owner is lost
        self.lost = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RemoteInventory serving={self._serving} waiting={len(self._replies)} {self._link}>"

    def statistics(self) -> InFlightStatistics:
        """Of requests that wait for the owner's answer."""
        return self._in_flight.statistics()

    @classmethod
    async def connect(cls, owner: socket.socket, requests_max: int) -> Self:
        """Begin on a socket that is connected to the owner; returns after its first word, or when it is gone."""
        loop = asyncio.get_running_loop()

        async def connected(link: asyncio.Protocol) -> None:
            await loop.create_unix_connection(lambda: link, sock=owner)

        return await cls.by(connected, requests_max)

    @classmethod
    async def by(cls, connected: Callable[[asyncio.Protocol], Awaitable[None]], requests_max: int) -> Self:
        """The same, where `connected` gives the link its connection."""
        inventory = cls(requests_max)
        try:
            await connected(inventory._link)
            await inventory._greeted.wait()
        except BaseException:
            inventory.close()
            raise
        return inventory

    def ping(self) -> None:
        """Ask whether the owner is there."""
        self.pings_unanswered += 1
        self._link.send(say.Ping())

    def abort(self) -> None:
        """Let an owner go that does not answer. Requests fail."""
        self._link.abort()

    def say_listening(self) -> None:
        """Tell the owner that clients can connect."""
        self._link.send(say.Listening())

    def close(self) -> None:
        """Let the owner go. Requests that it has not answered fail."""
        self._link.close()

    # ---- the port; its contract is in `rpc.inventory_port` -----------------------------------------------------------

    @property
    def serving(self) -> bool:
        return self._serving

    async def ask(self, command: Command) -> Fact:
        if isinstance(command, Import):
            return await self._import(command)
        return await self.submit(command).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        assert not isinstance(command, Import), "an import goes in parts: ask for it"
        return self._send(next(self._numbers), command)

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._send(next(self._numbers), cast(AnyQuery, query))

    # ---- the owner --------------------------------------------------------------------------------------------------

    def _send(self, number: int, request: Command | AnyQuery) -> Reply[Any]:
        if not self._link.is_open:
            raise shutting_down()
        self._in_flight.enter()
        reply: Reply[Any] = Reply()
        self._replies[number] = reply
        self._link.send(say.Ask(number, request))
        return reply

    async def _import(self, command: Import) -> Fact:
        """In parts, each sent when the last one was: what others ask goes out in between."""
        number = next(self._numbers)
        try:
            for part in _parts(command.lines):
                await self._link.wait_for_room()
                self._link.send(say.ImportPart(number, part))
                await asyncio.sleep(0)
            reply: Reply[Fact] = self._send(number, Import((), command.request_id, command.origin))
        except BaseException:
            self._link.send(say.DropImport(number))
            raise
        return await reply.wait()

    def _hear(self, message: say.FromOwner) -> None:
        match message:
            case say.Serving():
                self._serving = message.serving
                self._greeted.set()
                self.on_serving(message.serving)
            case say.Stop():
                self.stop_asked.set()
            case say.Pong():
                self.pings_unanswered = 0
            case say.Given() | say.NotNow() | say.Crashed():
                self._in_flight.leave()
                _settle(self._replies.pop(message.number), message)
            case _:
                assert_never(message)

    def _on_lost(self) -> None:
        replies, self._replies = self._replies, {}
        for reply in replies.values():
            self._in_flight.leave()
            reply.fail(shutting_down())
        self._serving = False
        self.on_serving(False)
        for event in (self._greeted, self.stop_asked, self.lost):
            event.set()


def _parts(lines: Sequence[CountedLine]) -> Sequence[tuple[CountedLine, ...]]:
    return [tuple(lines[begin : begin + LINES_A_PART]) for begin in range(0, len(lines), LINES_A_PART)]


def _settle(reply: Reply[Any], answer: say.Answer) -> None:
    match answer:
        case say.Given(value=value):
            if isinstance(value, Refusal):
                reply.fail(Refused(value))
            else:
                reply.set(value)
        case say.NotNow(reason=reason, message=message, retry_after_ms=retry_after_ms):
            reply.fail(Unavailable(reason, message, retry_after_ms))
        case say.Crashed():
            reply.fail(ActorCrashed())
        case _:
            assert_never(answer)

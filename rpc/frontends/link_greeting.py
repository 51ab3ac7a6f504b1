"""The first words on a link between a router and an owner: both say which protocol they speak.

A front-end is started by its owner and cannot be of another release; a router can. So what is said afterwards has a
number, which changes when a side that knows only the old messages would not understand the new ones. Two releases with
one number work together: that is how routers and owners are upgraded one after another. The release is said too, for
the log.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import NamedTuple, cast

PROTOCOL = 1
"""One more with each change that the other side of before would not understand; tests/rpc/test_link_protocol.py."""

GREETING_BYTES = 64
GREETED_WITHIN_S = 5.0
_WORDS = re.compile(r"stockkeeper link ([0-9]{1,9}) (\S+)")


class OtherProtocol(Exception):
    """The other side cannot be talked to. Its text is one sentence that says why."""


class LinkGreetingStatistics(NamedTuple):
    """How much of the other side's greeting has come."""

    bytes_read: int


class LinkGreeting(asyncio.Protocol):
    """Says our protocol, hears the other side's, and gives the connection over to the link.

    Args:
        link: what goes on with the connection.
        check: looks at the connection before anything is said. Raises `OtherProtocol`.
    """

    def __init__(
        self, link: asyncio.Protocol, check: Callable[[asyncio.BaseTransport], None] = lambda transport: None
    ) -> None:
        self._link = link
        self._check = check
        self._read = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<LinkGreeting read={len(self._read)} done={self.done.done()}>"

    def statistics(self) -> LinkGreetingStatistics:
        return LinkGreetingStatistics(len(self._read))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        try:
            self._check(transport)
        except OtherProtocol as error:
            self._refuse(error)
        else:
            self._transport.write(greeting())

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        self._read += data
        if len(self._read) < GREETING_BYTES:
            return
        theirs, rest = self._read[:GREETING_BYTES], self._read[GREETING_BYTES:]
        try:
            check_greeting(theirs)
        except OtherProtocol as error:
            self._refuse(error)
            return
        assert self._transport is not None
        self._transport.set_protocol(self._link)
        self._link.connection_made(self._transport)
        self.done.set_result(None)
        if rest:
            self._link.data_received(rest)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("the connection was closed"))

    def give_up(self) -> None:
        """Close the connection, unless that is under way: then the last word still goes out."""
        if self.done.done() and not self.done.cancelled():
            self.done.exception()  # it is told by what is raised
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    def _refuse(self, error: OtherProtocol) -> None:
        self.done.set_exception(error)
        assert self._transport is not None
        self._transport.close()  # after what was written: the other side says why, too


async def greet(greeting: LinkGreeting, connected: Awaitable[object]) -> None:
    """Connect, and return once the link has the connection.

    Raises:
        OtherProtocol: the other side cannot be talked to.
        OSError: the connection broke, or nothing came.
    """
    try:
        async with asyncio.timeout(GREETED_WITHIN_S):
            await connected
            await greeting.done
    except BaseException:
        greeting.give_up()
        raise


def check_greeting(said: bytes) -> None:
    """Raises `OtherProtocol` where the other side does not speak ours."""
    words = said.rstrip().decode("ascii", "replace")
    found = _WORDS.fullmatch(words)
    if found is None:
        raise OtherProtocol(f"The other side is no part of this program, or of an old release: it says {words!r}.")
    number, release = int(found[1]), found[2]
    if number != PROTOCOL:
        theirs = f"The other side, of release {release}, speaks protocol {number} of links"
        older = "this one" if number > PROTOCOL else "that one"
        raise OtherProtocol(
            f"{theirs}, and this one, of release {version('stockkeeper')}, {PROTOCOL}: upgrade {older}."
        )


def greeting() -> bytes:
    return f"stockkeeper link {PROTOCOL} {version('stockkeeper')}".encode().ljust(GREETING_BYTES)

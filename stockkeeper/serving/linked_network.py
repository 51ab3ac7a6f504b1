"""A network with a door for routers beside the one for callers."""

from collections.abc import Sequence
from typing import Protocol

from rpc.frontends.link_listener import LinkListener
from rpc.transport.addresses import Address


class CallersNetwork(Protocol):
    """What callers connect to."""

    async def start(self) -> Sequence[Address]: ...
    def set_serving(self, serving: bool) -> None: ...
    async def drain(self, timeout_s: float) -> None: ...


class NoCallers:
    """The door of a server that routers alone reach."""

    def __repr__(self) -> str:
        return "<NoCallers>"

    def statistics(self) -> int:
        """How many callers are connected."""
        return 0

    async def start(self) -> Sequence[Address]:
        return ()

    def set_serving(self, serving: bool) -> None:
        """There is none to be told."""

    async def drain(self, timeout_s: float) -> None:
        """Nothing is under way."""


class LinkedNetwork:
    """Both doors, opened and closed together.

    Args:
        callers: what callers connect to.
        links: what routers connect to.
    """

    def __init__(self, callers: CallersNetwork, links: LinkListener) -> None:
        self.callers = callers
        self._links = links

    def __repr__(self) -> str:
        return f"<LinkedNetwork {self.callers!r} {self._links!r}>"

    async def start(self) -> Sequence[Address]:
        """Say where callers connect. Raises `ListenError`, and others that their door has."""
        addresses = await self.callers.start()
        self._links.start()
        return addresses

    def set_serving(self, serving: bool) -> None:
        self.callers.set_serving(serving)
        self._links.set_serving(serving)

    async def drain(self, timeout_s: float) -> None:
        """Routers go first: what they were answered is on its way to their callers."""
        await self._links.drain(timeout_s)
        await self.callers.drain(timeout_s)

"""A network with doors for routers beside the one for callers."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from rpc.frontends.link_listener import LinkListener
from rpc.transport.addresses import Address, ListenError

log = structlog.get_logger("stockkeeper")

OPENED_AGAIN_S = 1.0


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
    """All doors, opened and closed together. Those of a server that stands by are opened when it serves: until then
    routers reach the one that it stands by for.

    Args:
        callers: what callers connect to.
        links: what routers connect to.
        stands_by: whether another server may have the database, and the doors.
    """

    def __init__(self, callers: CallersNetwork, links: Sequence[LinkListener], *, stands_by: bool) -> None:
        self.callers = callers
        self._links = links
        self._stands_by = stands_by
        self._has_started = self._serving = False
        self._opening: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<LinkedNetwork {self.callers!r} {list(self._links)!r}>"

    async def start(self) -> Sequence[Address]:
        """Say where callers connect. Raises `ListenError`, and others that their door has."""
        addresses = await self.callers.start()
        self._has_started = True
        if self._serving or not self._stands_by:
            for link in self._links:
                link.start()
        return addresses

    def set_serving(self, serving: bool) -> None:
        self.callers.set_serving(serving)
        for link in self._links:
            link.set_serving(serving)
        if serving and not self._serving and self._stands_by and self._has_started:
            self._stop_opening()
            self._opening = asyncio.create_task(self._open_again())
        self._serving = serving

    async def drain(self, timeout_s: float) -> None:
        """Routers go first: what they were answered is on its way to their callers."""
        self._stop_opening()
        for link in self._links:
            await link.drain(timeout_s)
        await self.callers.drain(timeout_s)

    def _stop_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()

    async def _open_again(self) -> None:
        """The server before may not have let go of a port yet."""
        for link in self._links:
            while True:
                try:
                    await link.start_again()
                    break
                except ListenError as error:
                    log.error("links_not_opened", reason=str(error))
                    await asyncio.sleep(OPENED_AGAIN_S)

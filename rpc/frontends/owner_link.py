"""A router's link to the owner of a cell, made anew whenever it breaks."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import cell_away
from rpc.frontends.link_doors import SOCKET, host_and_port, watch_peer
from rpc.frontends.link_greeting import GREETED_WITHIN_S, LinkGreeting, OtherProtocol, greet
from rpc.frontends.link_tls import LinkTls
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.in_flight import InFlightStatistics

log = logging.getLogger(__name__)

V = TypeVar("V")

PAUSE_MIN_S, PAUSE_MAX_S = 0.05, 1.0
PING_EVERY_S = 1.0
PINGS_UNANSWERED_SOON = 2  # then nothing more is asked of it until it answers
PINGS_UNANSWERED_MAX = 4  # then the other side is stopped, or the network is cut
NOT_SERVING_MAX = 2  # looks at an owner that does not serve; then another one may have its place


class OwnerLink:
    """`cells.owner_port.Owner`, at the other end of a socket.

    Args:
        cell: its name, for the log.
        address: of the owner: unix:/path or host:port.
        requests_max: how many requests may wait for the owner.
        on_serving: told when it may have begun or ended to serve.
        tls: what both sides show; None: nothing is encrypted. A Unix socket has none.
    """

    def __init__(
        self,
        cell: str,
        address: str,
        requests_max: int,
        on_serving: Callable[[], None],
        tls: LinkTls | None = None,
    ) -> None:
        self._cell = cell
        self._address = address
        self._requests_max = requests_max
        self._on_serving = on_serving
        self._tls = tls
        self._inventory: RemoteInventory | None = None
        self._said = ""

    def __repr__(self) -> str:
        return f"<OwnerLink {self._cell} serving={self.serving} {self._inventory}>"

    def statistics(self) -> InFlightStatistics:
        """Of requests that wait for the owner."""
        return InFlightStatistics(0, 0) if self._inventory is None else self._inventory.statistics()

    @property
    def serving(self) -> bool:
        return self._inventory is not None and self._inventory.serving

    @property
    def why_away(self) -> str:
        """What was wrong last; empty: nothing is known to be."""
        return self._said

    async def ask(self, command: Command) -> Fact:
        return await self._there().ask(command)

    def submit(self, command: Command) -> Reply[Fact]:
        return self._there().submit(command)

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._there().answer(query)

    def _there(self) -> RemoteInventory:
        inventory = self._inventory
        if inventory is None or inventory.pings_unanswered >= PINGS_UNANSWERED_SOON:
            raise cell_away()
        return inventory

    async def run(self) -> None:
        """Connect, and again when that breaks, until cancelled."""
        pause_s = PAUSE_MIN_S
        while True:
            try:
                await self._run_once()
                pause_s = PAUSE_MIN_S
            except (OSError, OtherProtocol) as error:
                self._say(_reason(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _run_once(self) -> None:
        async with asyncio.timeout(GREETED_WITHIN_S):  # the first word comes at once, too
            inventory = await RemoteInventory.by(self._connected, self._requests_max)
        self._inventory = inventory
        inventory.on_serving = lambda serving: self._on_serving()
        self._on_serving()
        if self._said:
            log.info("cell_is_back", extra={"cell": self._cell})
            self._said = ""
        try:
            await self._until_lost(inventory)
        finally:
            self._inventory = None
            inventory.close()
            self._on_serving()

    async def _until_lost(self, inventory: RemoteInventory) -> None:
        """Looks are counted, and no clock: a router that was stopped itself must not take its owners for silent."""
        not_serving = 0
        while not inventory.stop_asked.is_set():  # set when it is lost, too
            inventory.ping()
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_EVERY_S):
                    await inventory.stop_asked.wait()
            not_serving = 0 if inventory.serving else not_serving + 1
            if inventory.pings_unanswered >= PINGS_UNANSWERED_MAX:
                self._say("it is silent")
                inventory.abort()
            elif not_serving > NOT_SERVING_MAX:
                return

    async def _connected(self, link: asyncio.Protocol) -> None:
        loop, greeting = asyncio.get_running_loop(), LinkGreeting(link, _watch_transport)
        if self._address.startswith(SOCKET):
            path = self._address.removeprefix(SOCKET)
            await greet(greeting, loop.create_unix_connection(lambda: greeting, path))
            return
        host, port = host_and_port(self._address)
        context, name = (self._tls.of_router(), host) if self._tls else (None, None)
        connected = loop.create_connection(lambda: greeting, host, port, ssl=context, server_hostname=name)
        await greet(greeting, connected)

    def _say(self, reason: str) -> None:
        """Once, until it is there again."""
        if not self._said:
            log.warning("cell_is_away", extra={"cell": self._cell, "reason": reason})
        self._said = reason


def _watch_transport(transport: asyncio.BaseTransport) -> None:
    watch_peer(transport.get_extra_info("socket"))


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return str(error) or type(error).__name__

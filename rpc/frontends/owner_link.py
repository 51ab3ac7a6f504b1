"""A router's link to the owner of a cell, made anew whenever it breaks."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TypeVar

from actors.commands import Command
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import cell_away
from rpc.frontends.link_greeting import OtherVersion, greet
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.in_flight import InFlightStatistics

log = logging.getLogger(__name__)

V = TypeVar("V")

PAUSE_MIN_S, PAUSE_MAX_S = 0.05, 1.0


class OwnerLink:
    """`cells.owner_port.Owner`, at the other end of a Unix socket that has a name.

    Args:
        cell: its name, for the log.
        path: of the socket.
        requests_max: how many requests may wait for the owner.
        on_serving: told when it may have begun or ended to serve.
    """

    def __init__(self, cell: str, path: str, requests_max: int, on_serving: Callable[[], None]) -> None:
        self._cell = cell
        self._path = path
        self._requests_max = requests_max
        self._on_serving = on_serving
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

    async def ask(self, command: Command) -> Fact:
        return await self._there().ask(command)

    def submit(self, command: Command) -> Reply[Fact]:
        return self._there().submit(command)

    def answer(self, query: Query[V]) -> Reply[V]:
        return self._there().answer(query)

    def _there(self) -> RemoteInventory:
        if self._inventory is None:
            raise cell_away()
        return self._inventory

    async def run(self) -> None:
        """Connect, and again when that breaks, until cancelled."""
        pause_s = PAUSE_MIN_S
        while True:
            try:
                await self._run_once()
                pause_s = PAUSE_MIN_S
            except (OSError, OtherVersion) as error:
                self._say(f"is of another version: {error}" if isinstance(error, OtherVersion) else str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _run_once(self) -> None:
        inventory = await self._connected()
        self._inventory = inventory
        inventory.on_serving = lambda serving: self._on_serving()
        self._on_serving()
        if self._said:
            log.info("cell_is_back", extra={"cell": self._cell})
            self._said = ""
        try:
            await inventory.stop_asked.wait()  # set when it is lost, too
        finally:
            self._inventory = None
            inventory.close()
            self._on_serving()

    async def _connected(self) -> RemoteInventory:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, self._path)
            await greet(connection)
            return await RemoteInventory.connect(connection, self._requests_max)
        except BaseException:
            connection.close()
            raise

    def _say(self, reason: str) -> None:
        """Once, until it is there again."""
        if not self._said:
            log.warning("cell_is_away", extra={"cell": self._cell, "reason": reason})
        self._said = reason

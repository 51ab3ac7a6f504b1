"""Turns for requests on grpc.aio whose address sends large ones: they are read one at a time.

grpc.aio hands over calls one by one, each when the one before it was begun to be read. gRPC unpacks a compressed
message when it is read, and the binding copies it: 1.1 ms for 3 KB that become 600 KB. Behind fifty of those another's
call waited for 0.1 to 0.2 s until it was taken from gRPC at all, and behind sixty baskets of 1,000 lines for 20 ms. So
what comes from an address that has just sent a large request is taken at once, and read in turn: one in a turn of the
event loop, with a pause for others after a very large one. Calls of other addresses pass by, and pay a look at whether
anything has to wait.

The core's listener needs none of this: calls are taken from gRPC before any is read (`rpc.transport.core_listener`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from rpc.peer_address import address_of

LARGE_BYTES = 4 * 1024
# To read and copy this takes as long as ten turns of the loop, which a call of another needs; its pause is that long.
VERY_LARGE_BYTES = 64 * 1024
PAUSE_S = 0.005


class ReadTurnsStatistics(NamedTuple):
    """Addresses that have sent something large just now, and their requests that wait."""

    addresses: int
    waiting: int


class ReadTurns:
    """Belongs to the running asyncio loop once something large was read."""

    def __init__(self) -> None:
        # By address that has sent a large one; the first is next.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._paused_until_s = 0.0

    def __repr__(self) -> str:
        return f"<ReadTurns waiting={self.statistics().waiting}>"

    def statistics(self) -> ReadTurnsStatistics:
        return ReadTurnsStatistics(len(self._waiting), sum(map(len, self._waiting.values())))

    async def turn(self, peer: Callable[[], str]) -> None:
        """Wait until a request may be read. A wait that is cancelled leaves its turn to the next.

        Args:
            peer: gives the connection that the call came on, as gRPC writes it.
        """
        if self._waiting and (waiting := self._waiting.get(address_of(peer()))) is not None:
            come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting.append(come)
            await come

    def was_read(self, peer: Callable[[], str], size_bytes: int) -> None:
        """A request was read, of this size."""
        if size_bytes > LARGE_BYTES:
            loop = asyncio.get_running_loop()
            if size_bytes > VERY_LARGE_BYTES:
                self._paused_until_s = loop.time() + PAUSE_S
            if not self._waiting:
                loop.call_soon(self._give)
            self._waiting.setdefault(address_of(peer()), deque())

    def _give(self) -> None:
        """Have the next request read, and the one after it in another turn of the loop: it may be a large one too."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until_s:
            loop.call_at(self._paused_until_s, self._give)
            return
        while self._waiting:
            address = next(iter(self._waiting))
            waiting = self._waiting.pop(address)
            while waiting:
                come = waiting.popleft()
                if not come.done():  # otherwise its caller is gone
                    self._waiting[address] = waiting  # to the end
                    come.set_result(None)
                    loop.call_soon(self._give)
                    return

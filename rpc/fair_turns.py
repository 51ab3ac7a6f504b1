"""Turns for large requests: one after another, and the organizations by turns.

A basket of 1,000 lines takes some 10 ms to check, plan and decide; sixty that arrive together would take them in one
go, before a small request of another organization that came right after. So large requests queue, and small ones pass
by. In each turn of the event loop one of them is begun, or a few that are together no larger. Whose is next is chosen
by deficit round robin over their size (Shreedhar and Varghese, 1995): an organization with a hundred
requests gets as much as one with a single.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct, field

from actors.unavailable import too_many
from rpc.shares import may_have

LARGE_BYTES = 4 * 1024  # from here on a request queues
TURN_BYTES = 24 * 1024  # 500 lines or so
WAITING_BYTES_MAX = 64 * 1024 * 1024

log = logging.getLogger(__name__)


class FairTurnsStatistics(NamedTuple):
    """What waits for its turn."""

    requests: int
    size_bytes: int


class _Waiting(NamedTuple):
    size_bytes: int
    begin: Callable[[], None]


class _Queue(Struct):
    """The requests of one organization."""

    requests: deque[_Waiting] = field(default_factory=deque)
    size_bytes: int = 0
    deficit: int = 0


class FairTurns:
    """Belongs to the running asyncio loop once something is posted.

    Args:
        waiting_bytes_max: how much may wait; no organization gets all of it.
    """

    def __init__(self, waiting_bytes_max: int = WAITING_BYTES_MAX) -> None:
        self._waiting_bytes_max = waiting_bytes_max
        self._queues: dict[str, _Queue] = {}  # the first is next; none is empty
        self._size_bytes = 0

    def __repr__(self) -> str:
        return f"<FairTurns organizations={len(self._queues)} size_bytes={self._size_bytes}>"

    def statistics(self) -> FairTurnsStatistics:
        return FairTurnsStatistics(sum(len(queue.requests) for queue in self._queues.values()), self._size_bytes)

    def post(self, organization_id: str, size_bytes: int, begin: Callable[[], None]) -> None:
        """Have `begin`, which must not raise, called when it is the request's turn.

        Raises:
            Unavailable: too much waits.
        """
        queue = self._queues.get(organization_id)
        has = queue.size_bytes if queue is not None else 0
        if not may_have(size_bytes, has, self._size_bytes, self._waiting_bytes_max):
            raise too_many("large requests")
        if not self._queues:
            asyncio.get_running_loop().call_soon(self._take_turn)
        if queue is None:
            queue = self._queues[organization_id] = _Queue()
        queue.requests.append(_Waiting(size_bytes, begin))
        queue.size_bytes += size_bytes
        self._size_bytes += size_bytes

    async def turn(self, organization_id: str, size_bytes: int) -> None:
        """Wait for a turn.

        Raises:
            Unavailable: too much waits.
        """
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(organization_id, size_bytes, lambda: None if come.done() else come.set_result(None))
        await come

    def _take_turn(self) -> None:
        try:
            size_bytes = 0
            while self._queues and (size_bytes == 0 or size_bytes + self._next_bytes() <= TURN_BYTES):
                size_bytes += self._begin_next()
        except Exception:
            log.exception("turn_failed")
        if self._queues:
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _next_bytes(self) -> int:
        """Find out whose turn it is. Returns the size of what is next."""
        while True:
            organization_id, queue = next(iter(self._queues.items()))
            size_bytes = queue.requests[0].size_bytes
            if queue.deficit >= size_bytes:
                return size_bytes
            queue.deficit += TURN_BYTES
            del self._queues[organization_id]
            self._queues[organization_id] = queue  # to the end

    def _begin_next(self) -> int:
        self._next_bytes()
        organization_id, queue = next(iter(self._queues.items()))
        size_bytes, begin = queue.requests.popleft()
        queue.deficit -= size_bytes
        queue.size_bytes -= size_bytes
        self._size_bytes -= size_bytes
        if not queue.requests:
            del self._queues[organization_id]
        begin()
        return size_bytes


def organization_of(raw: bytes) -> str:
    """What an encoded request says first, if that is its organization, as it is in all that our clients send.

    It is only believed for whose turn it is. Empty if it is not there.
    """
    if len(raw) < 2 or raw[0] != 0x0A or raw[1] > 0x7F:  # field 1, a string of up to 127 bytes
        return ""
    return raw[2 : 2 + raw[1]].decode(errors="replace")

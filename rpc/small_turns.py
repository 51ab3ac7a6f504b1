"""Turns for what is small and comes in crowds: the messages of watches, when something has happened.

A thousand watches of one organization are woken by one reservation. If all went on in the same turn of the event loop,
that would take 0.1 s, in which no other call is answered. So they go on a few at a time, the organizations by turns;
and where more wait and others call too, those have the loop for a moment in between. Few watches, however busy, never
wait: each turn of the loop has room for some.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rpc.company import Company
from rpc.pace import CORE_PACE, Pace

ROWS_A_TURN = 600  # 1.5 to 3 ms: sixteen messages of one reservation, or one of an import's page
ROWS_A_MESSAGE = 36  # what the smallest one counts as: to wake its task and write it takes as long as these rows


class SmallTurnsStatistics(NamedTuple):
    """What waits for its turn."""

    waiting: int


class _Small(NamedTuple):
    rows: int
    begin: Callable[[], None]


class SmallTurns:
    """Belongs to the running asyncio loop once something is posted.

    Args:
        company: knows whether several organizations call.
        pace: how long the event loop is left to others in between.
    """

    def __init__(self, company: Company | None = None, pace: Pace = CORE_PACE) -> None:
        self._company = company or Company()
        self._pause_s = pace.pause_s
        self._queues: dict[str, deque[_Small]] = {}  # the first is next; none is empty
        self._rows = 0  # of this turn
        self._has_turn = False  # is about to come

    def __repr__(self) -> str:
        return f"<SmallTurns {self.statistics()}>"

    def statistics(self) -> SmallTurnsStatistics:
        return SmallTurnsStatistics(sum(map(len, self._queues.values())))

    def post(self, organization_id: str, rows: int, begin: Callable[[], None]) -> None:
        """Have `begin`, which must not raise, called when it is its turn; never at once.

        Args:
            rows: how many the first message has that is made then.
        """
        self._queues.setdefault(organization_id, deque()).append(_Small(ROWS_A_MESSAGE + rows, begin))
        self._schedule(0.0)

    async def turn(self, organization_id: str, rows: int) -> None:
        """Wait for the turn of a message of that many rows. Does not suspend while there is room in this one."""
        if not self._queues and self._has_room(ROWS_A_MESSAGE + rows):
            self._rows += ROWS_A_MESSAGE + rows
            self._schedule(0.0)
            return
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(organization_id, rows, partial(_give, come))
        await come

    def _has_room(self, rows: int) -> bool:
        return not self._rows or self._rows + rows <= ROWS_A_TURN

    def _schedule(self, pause_s: float) -> None:
        if self._has_turn:
            return
        self._has_turn = True
        loop = asyncio.get_running_loop()
        if pause_s:
            loop.call_later(pause_s, self._take_turn)
        else:
            loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._has_turn = False
        self._rows = 0
        while self._queues:
            organization_id = next(iter(self._queues))
            queue = self._queues[organization_id]
            if not self._has_room(queue[0].rows):
                break
            rows, begin = queue.popleft()
            self._rows += rows
            del self._queues[organization_id]
            if queue:
                self._queues[organization_id] = queue  # to the end
            begin()
        if self._queues:
            self._schedule(self._pause_s if self._company.has_several else 0.0)
        elif self._rows:
            self._schedule(0.0)  # the next turn of the loop has room again


class NoSmallTurns(SmallTurns):
    """For where there is no crowd: everything goes on at once."""

    def post(self, organization_id: str, rows: int, begin: Callable[[], None]) -> None:
        begin()

    async def turn(self, organization_id: str, rows: int) -> None:
        pass


def _give(come: "asyncio.Future[None]") -> None:
    if not come.done():
        come.set_result(None)

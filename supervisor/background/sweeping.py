"""What leaves the memory: what is idle, and what a crowd has left behind.

An order comes back within minutes, to be confirmed, so the last 10,000 stay. After a crowd that is tens of megabytes
of orders of which most never come back, beside what the database has cached of them. So what stays is what came in
five minutes at the pace of the last seconds: all that a steady shop comes back to, and little when a crowd has gone.
The last thousand stay in any case, so that a shop of three orders a second has all of its own of five minutes.

Turned down: to look at what an order's reservations have become. Most orders of a flood are active until they expire.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

LOOK_EVERY_S = 5.0
LOOKS_KEPT = 60  # of what came since the last look: five minutes
ORDERS_KEPT = 1_000  # 2 MB
LINES_KEPT = 5_000  # of these; as much
# Between two looks, at most: then the database's cache is not worth its memory.
TRANSACTIONS_OF_A_LULL, LINES_OF_A_LULL = 500, 5_000


class Swept(Protocol):
    """A directory of activations."""

    def passivate_idle(self) -> Iterator[None]:
        """Drop what was not used since the last time, in steps."""
        ...


class SweptOrders(Swept, Protocol):
    """The directory of orders."""

    @property
    def came(self) -> tuple[int, int]:
        """How many orders were added since the start, and how many lines."""
        ...

    def passivate_beyond(self, orders: int, lines: int) -> Iterator[None]:
        """Drop the least recent ones until there are no more than this, in steps."""
        ...


class SweepingStatistics(Struct, frozen=True):
    """How often something was let go after a crowd."""

    times: int


class Sweeping:
    """Lets go of what is not needed any more, a millisecond of it at a time.

    Args:
        orders: those that come and go with the crowd.
        others: what leaves when it is idle alone.
        last_lsn: the number of the last transaction.
        let_go: has the database give up its caches.
        idle_timeout_s: after this long without a use something is idle, in seconds.
        heartbeat_s: it looks no more often than this, in seconds: months of simulated time are to pass quickly.
    """

    def __init__(
        self,
        orders: SweptOrders,
        others: tuple[Swept, ...],
        last_lsn: Callable[[], int],
        let_go: Callable[[], Awaitable[bool]],
        idle_timeout_s: float,
        heartbeat_s: float = LOOK_EVERY_S,
    ) -> None:
        self._orders, self._others = orders, others
        self._last_lsn, self._let_go = last_lsn, let_go
        self._idle_timeout_s = idle_timeout_s
        self._pause_s = max(LOOK_EVERY_S, heartbeat_s)
        self._came = orders.came
        self._seen_lsn = self._let_go_lsn = last_lsn()
        self._times = 0

    def __repr__(self) -> str:
        return f"<Sweeping times={self._times}>"

    def statistics(self) -> SweepingStatistics:
        return SweepingStatistics(self._times)

    async def run(self) -> None:
        """Drop what is idle. Until cancelled."""
        while True:
            await anyio.sleep(self._idle_timeout_s)
            for kind in (*self._others, self._orders):
                await _in_steps(kind.passivate_idle())

    async def watch(self) -> None:
        """See when a crowd has gone. Until cancelled.

        Raises:
            StorageError: the database was asked, and failed.
        """
        while True:
            await anyio.sleep(self._pause_s)
            await self.look()

    async def look(self) -> None:
        """Let go of what a crowd has left, if one has."""
        before, self._came = self._came, self._orders.came
        orders, lines = self._came[0] - before[0], self._came[1] - before[1]
        kept = max(ORDERS_KEPT, orders * LOOKS_KEPT), max(LINES_KEPT, lines * LOOKS_KEPT)
        has_dropped = await _in_steps(self._orders.passivate_beyond(*kept))
        lsn, has_let_go = self._last_lsn(), False
        is_lull = lsn - self._seen_lsn <= TRANSACTIONS_OF_A_LULL and lines <= LINES_OF_A_LULL
        self._seen_lsn = lsn
        if is_lull and lsn != self._let_go_lsn:
            self._let_go_lsn = lsn
            has_let_go = await self._let_go()
        self._times += has_dropped or has_let_go


async def _in_steps(steps: Iterator[None]) -> bool:
    """Let others have their turn between the steps. Returns whether there was any."""
    is_any = next(steps, steps) is not steps  # the first alone needs no turn of its own
    for _ in steps:
        await checkpoint()
    return is_any

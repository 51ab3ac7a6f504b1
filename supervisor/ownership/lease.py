"""Nobody is answered from the memory of a server that another one has followed.

A batch proves its epoch, an answer from memory proves nothing: a process that was stopped, or that lost its
connection, may wake with memory that was right once. So an answer is given only while the last proof of ownership
(a batch, or a look at the epoch) was *asked for* less than `LEASE_S` ago, and otherwise waits for a new proof; a
successor serves nobody before that time has passed. The time is measured on the monotonic clock, which goes on
while a process is stopped. The first answer after a pause finds its proof too old, however it was woken.

Turned down: trusting the heartbeat, which answers wrongly until it beats; a proof for each read, which would cost
each of them a round trip where now one in a quarter of a second waits for it.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable

from actors.actor import StartSoon
from actors.reply import Reply
from storage.store import LEASE_S
from supervisor.transactions.journal import storage_down


class Lease:
    """Knows until when answers may be given.

    Args:
        check_ownership: looks whether the store still owns the database.
        monotonic_s: a clock that goes on while the process is stopped, in seconds.
        start_soon: starts a task of the incarnation, which a failed look ends.
        is_over: whether the incarnation has ended.
    """

    def __init__(
        self,
        check_ownership: Callable[[], Awaitable[None]],
        monotonic_s: Callable[[], float],
        start_soon: StartSoon,
        is_over: Callable[[], bool],
    ) -> None:
        self._check_ownership = check_ownership
        self._monotonic_s = monotonic_s
        self._start_soon = start_soon
        self._is_over = is_over
        self._until_s = -math.inf
        self._waiting: deque[Reply[None]] = deque()

    @property
    def holds(self) -> bool:
        """Whether an answer may be given now."""
        return self._monotonic_s() < self._until_s

    def prove(self, asked_at_s: float) -> None:
        """The database has confirmed that it was ours at that time, or later."""
        self._until_s = max(self._until_s, asked_at_s + LEASE_S)

    async def hold(self) -> None:
        """Return when what was read from memory before this call may be answered. Cancelling it changes nothing.

        Raises:
            Unavailable: the incarnation ended before that was certain.
        """
        if not self.holds:
            await self.next_proof().wait()

    def next_proof(self) -> Reply[None]:
        """Given at the next proof of ownership; fails as `hold` does."""
        reply: Reply[None] = Reply()
        if self._is_over():
            reply.fail(storage_down())
        else:
            self._waiting.append(reply)
            if len(self._waiting) == 1:
                self._start_soon(self._renew)
        return reply

    def fail(self, error: Exception) -> None:
        """Give this error to everyone who waits."""
        while self._waiting:
            self._waiting.popleft().fail(error)

    async def _renew(self) -> None:
        while waiting := len(self._waiting):
            asked_at_s = self._monotonic_s()
            await self._check_ownership()
            self.prove(asked_at_s)
            for _ in range(waiting):
                self._waiting.popleft().set(None)

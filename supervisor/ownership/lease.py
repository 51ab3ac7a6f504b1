"""The lease on answers: no caller is answered from the memory of a server that another one has followed.

A batch proves its epoch, an answer from memory proves nothing: a process that was stopped, or that lost its
connection, may wake with memory that was right once. So an answer is given only while the last proof of ownership
(a batch, or a look at the epoch) was *asked for* less than `LEASE_S` ago, and otherwise waits for a new proof; a
successor serves no call before that time has passed. The time is measured on the monotonic clock, which goes on
while a process is stopped. The first answer after a pause finds its proof too old, however it was woken.

Turned down: trusting the heartbeat, which answers wrongly until it beats; a proof for each read, which would cost
each of them a round trip where now one in a quarter of a second waits for it.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from actors.actor import StartSoon
from actors.outcomes import Refused
from actors.reply import Reply
from actors.unavailable import Unavailable, database_down
from storage.store import LEASE_S


class LeaseStatistics(Struct, frozen=True):
    """Answers that wait for a proof of ownership now, and the looks at the database that found it ours."""

    waiting: int
    looks: int


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
        self._is_renewing = False
        self._looks = 0

    def __repr__(self) -> str:
        return f"<Lease holds={self.holds} waiting={len(self._waiting)}>"

    def statistics(self) -> LeaseStatistics:
        return LeaseStatistics(len(self._waiting), self._looks)

    @property
    def holds(self) -> bool:
        """Whether an answer may be given now."""
        return self._monotonic_s() < self._until_s

    def prove(self, asked_at_s: float) -> None:
        """The database has confirmed that it was ours at that time, or later."""
        self._until_s = max(self._until_s, asked_at_s + LEASE_S)

    def give(self, reply: Reply[Any], value: Any, error: Exception | None) -> None:
        """Give a durable answer now if the lease holds, else after the next proof of ownership.

        Only an outcome needs the lease. That something failed is true for any owner of the database.
        """
        if self.holds or (error is not None and not isinstance(error, Refused)):
            reply.settle(value, error)
        else:
            proof = self.next_proof()
            proof.when_done(lambda: _give_after(proof, reply, value, error))

    def next_proof(self) -> Reply[None]:
        """Given at the next look at the epoch that finds it ours.

        It fails with `Unavailable` if the incarnation ends before that.
        """
        reply: Reply[None] = Reply()
        if self._is_over():
            reply.fail(database_down())
        else:
            self._waiting.append(reply)
            if not self._is_renewing:
                self._is_renewing = True
                self._start_soon(self._renew)
        return reply

    def fail(self, error: Exception) -> None:
        """Give this error to all that wait for a proof."""
        while self._waiting:
            self._waiting.popleft().fail(error)

    async def _renew(self) -> None:
        try:
            while waiting := len(self._waiting):
                asked_at_s = self._monotonic_s()
                await self._check_ownership()
                self._looks += 1
                self.prove(asked_at_s)
                for _ in range(waiting):
                    self._waiting.popleft().set(None)
        finally:
            self._is_renewing = False


def _give_after(proof: Reply[None], reply: Reply[Any], value: Any, error: Exception | None) -> None:
    if reply.is_done:
        return  # the incarnation has ended meanwhile, and has said so
    try:
        proof.result()
    except Unavailable as lost:
        reply.fail(lost)
    else:
        reply.settle(value, error)

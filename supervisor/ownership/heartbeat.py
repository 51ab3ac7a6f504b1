"""The heartbeat: whether the database is still there, still ours, and still answers.

One that fails ends the incarnation. One that hangs does not fail, and every call would queue behind it until its
deadline: so after a while without an answer calls are turned away, and taken again as soon as it answers.

A process that was stopped for that long (SIGSTOP, a machine that slept) finds at its next look that the database has
been asked for a long time. It has not been heard, so a stall is one that several looks in a row have found.
"""

from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

LOOKS_A_STALL = 4
LOOKS_MIN = 3  # in a row that find the same question unanswered


class HeartbeatStatistics(Struct, frozen=True):
    """Counts since the start: looks that were answered, and how often the database hung."""

    beats: int
    stalls: int


class Heartbeat:
    """Asks the database, and knows how long it has been asked in vain.

    Args:
        check_ownership: looks whether the store still owns the database.
        batch_began_s: since when a batch is being written; None if none is.
        monotonic_s: the clock of that, in seconds.
        heartbeat_s: the pause between two looks.
        stall_s: after this long without an answer it hangs, in seconds.
        on_stalled: told True when it hangs and False when it answers again.
    """

    def __init__(
        self,
        check_ownership: Callable[[], Awaitable[None]],
        batch_began_s: Callable[[], float | None],
        monotonic_s: Callable[[], float],
        heartbeat_s: float,
        stall_s: float,
        on_stalled: Callable[[bool], None],
    ) -> None:
        self._check_ownership = check_ownership
        self._batch_began_s = batch_began_s
        self._monotonic_s = monotonic_s
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._on_stalled = on_stalled
        self._beat_began_s: float | None = None
        self.is_stalled = False
        self._beats = 0
        self._stalls = 0

    def __repr__(self) -> str:
        return f"<Heartbeat stalled={self.is_stalled}>"

    def statistics(self) -> HeartbeatStatistics:
        return HeartbeatStatistics(self._beats, self._stalls)

    async def beat(self) -> None:
        """Notice a database that went away, or that has another owner, also between calls. Until cancelled.

        Raises:
            StorageError, OwnershipLost: it was noticed.
        """
        while True:
            await anyio.sleep(self._heartbeat_s)
            self._beat_began_s = self._monotonic_s()
            await self._check_ownership()
            self._beat_began_s = None
            self._beats += 1

    async def watch(self) -> None:
        """Notice a database that hangs, and one that does not any more. Until cancelled."""
        looks, looked_at_s = 0, None
        while True:
            await anyio.sleep(self._stall_s / LOOKS_A_STALL)
            began_s = [it for it in (self._batch_began_s(), self._beat_began_s) if it is not None]
            oldest_s = min(began_s, default=None)
            looks = looks + 1 if oldest_s == looked_at_s else 1
            looked_at_s = oldest_s
            is_late = oldest_s is not None and self._monotonic_s() - oldest_s >= self._stall_s
            is_stalled = is_late and looks >= LOOKS_MIN
            if is_stalled != self.is_stalled:
                self.is_stalled = is_stalled
                self._stalls += is_stalled
                self._on_stalled(is_stalled)

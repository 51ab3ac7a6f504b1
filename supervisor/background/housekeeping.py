"""Moves what has long been over out of the way, while the service runs.

The owner does it, behind the fence of its epoch, in small steps with rests between them: a step takes its turn among
the journal's batches, and the rests are so long that nine tenths of the database's time are left to those. Nothing
waits for it and nothing rests on it. What it takes away never changes again (`surely_kept_ms`), so an activation may
go on to answer with it until it is passivated; from then on it is as if it had never been.

Turned down: a program of its own beside the server (on SQLite it would be a second connection that commits, which
older versions do not survive; on Postgres it would need a fence of its own); doing it at the start (a start must be
short); one large delete at night (it would hold every batch up for minutes).
"""

import logging
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from storage.store import DatabaseGone, MovedOut, StorageError
from supervisor.clock import ServiceClock

log = logging.getLogger(__name__)

ROWS_A_STEP = 250  # a batch waits for a step: 500 rows took 8 to 20 ms on a busy machine
REST_MIN_S, REST_MAX_S = 0.01, 5.0
REST_STEPS = 9  # a rest is nine times as long as the step before it
RETRY_S = 10.0
DAY_MS = 24 * 60 * 60 * 1_000
MARGIN_MS = 60 * 60 * 1_000  # longer than any batch is under way


def surely_kept_ms(keep_days: int) -> int | None:
    """How long after its end a reservation is certain not to be moved out; None: for ever.

    Within this time it may be taken again: the batch that does so ends long before housekeeping could want it.
    """
    return max(0, keep_days * DAY_MS - MARGIN_MS) if keep_days else None


async def nothing_needed(before_ms: int) -> str:
    """There are no cursors."""
    return ""


class HousekeepingStatistics(Struct, frozen=True):
    """Counts since the start: steps that moved rows, the rows, and steps that failed; the cursor that it waits for."""

    steps: int
    rows_moved: int
    failures: int
    waits_for: str = ""


class Housekeeping:
    """Moves out what ended longer ago than it is kept.

    Args:
        clock: the service clock.
        move_out: moves out what ended before a time, at most the number of rows that it is given.
        report: told of a step that failed.
        keep_days: how long what is over is kept.
        idle_s: how long to sleep where nothing is to be done, in seconds.
        holding_back: the name of a cursor that still needs what is older than a time; empty: none does.
    """

    def __init__(
        self,
        clock: ServiceClock,
        move_out: Callable[[int, int], Awaitable[MovedOut]],
        report: Callable[[object, Exception], None],
        keep_days: int,
        idle_s: float,
        holding_back: Callable[[int], Awaitable[str]] = nothing_needed,
    ) -> None:
        self._holding_back = holding_back
        self._waits_for = ""
        self._clock = clock
        self._move_out = move_out
        self._report = report
        self._keep_ms = keep_days * DAY_MS
        self._idle_s = idle_s
        self._steps = self._rows_moved = self._failures = 0

    def __repr__(self) -> str:
        return f"<Housekeeping keep_days={self._keep_ms // DAY_MS} rows_moved={self._rows_moved}>"

    def statistics(self) -> HousekeepingStatistics:
        return HousekeepingStatistics(self._steps, self._rows_moved, self._failures, self._waits_for)

    async def run(self) -> None:
        """Tidy until cancelled.

        Raises:
            OwnershipLost: another server owns the database.
            DatabaseGone: the database was removed or replaced.
        """
        while True:
            rest_s = await self._step()
            await anyio.sleep(rest_s)

    async def _step(self) -> float:
        """One step. Returns how long to rest, in seconds."""
        begun_ms = self._clock.now_ms()
        before_ms = max(0, begun_ms - self._keep_ms)
        try:
            moved = await self._move_out(before_ms, ROWS_A_STEP)
            if not moved.rows:
                self._note(await self._holding_back(before_ms))
        except DatabaseGone:
            raise
        except StorageError as error:
            # The journal and the heartbeat say whether the database has gone away: they cannot do without it.
            self._failures += 1
            self._report(self, error)
            return RETRY_S
        if not moved.rows:
            return self._idle_s
        self._steps += 1
        self._rows_moved += moved.rows
        step_s = (self._clock.now_ms() - begun_ms) / 1_000
        return min(max(REST_MIN_S, REST_STEPS * step_s), REST_MAX_S)

    def _note(self, cursor: str) -> None:
        """Say so where a cursor keeps what would go otherwise."""
        if cursor and cursor != self._waits_for:
            log.warning(
                "history_kept_for_a_cursor", extra={"cursor": cursor, "drop_it_with": "stockkeeper events drop"}
            )
        self._waits_for = cursor

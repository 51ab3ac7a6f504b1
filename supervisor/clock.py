"""Service time: the one clock that reservations live by.

It starts at the wall clock, or at the last durable record's time if that is later, and then follows the
monotonic clock. A wall clock that jumps neither prolongs nor cuts a reservation, and time never runs backwards
across a restart.
"""

from collections.abc import Callable


class ServiceClock:
    """Milliseconds since 1970-01-01 UTC.

    Args:
        wall_ms: the wall clock, read at starts only.
        monotonic_s: a clock that never goes back, in seconds.
    """

    def __init__(self, wall_ms: Callable[[], int], monotonic_s: Callable[[], float]) -> None:
        self._wall_ms = wall_ms
        self._monotonic_s = monotonic_s
        self._start_ms = 0
        self._start_s = monotonic_s()

    def __repr__(self) -> str:
        return f"<ServiceClock now_ms={self.now_ms()}>"

    def start(self, last_at_ms: int) -> None:
        """Begin, or go on after a failure, not before the time of the last durable record."""
        self._start_ms = max(self._wall_ms(), last_at_ms, self.now_ms())
        self._start_s = self._monotonic_s()

    def now_ms(self) -> int:
        return self._start_ms + int((self._monotonic_s() - self._start_s) * 1_000)

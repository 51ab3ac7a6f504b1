"""How many lines of one kind the log takes: a token bucket for each, so that a flood of calls cannot fill the disk."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from msgspec import Struct

BURST_LINES = 100
LINES_A_SECOND = 10.0
NAMES_MAX = 1_000
REST = "others"  # all names beyond that


class LineBudgetStatistics(NamedTuple):
    """Lines that were not written since the start."""

    left_out: int


class _Bucket(Struct):
    tokens: float
    filled_at_s: float
    left_out: int = 0


class LineBudget:
    """Says which lines may be written.

    Args:
        burst: how many lines of a name may come at once, and
        a_second: how many of them in the long run.
        clock_s: a clock, in seconds.
    """

    def __init__(
        self,
        burst: int = BURST_LINES,
        a_second: float = LINES_A_SECOND,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self._burst = burst
        self._a_second = a_second
        self._clock_s = clock_s
        self._buckets: dict[str, _Bucket] = {}
        self._left_out = 0

    def __repr__(self) -> str:
        return f"<LineBudget names={len(self._buckets)} left_out={self._left_out}>"

    def statistics(self) -> LineBudgetStatistics:
        return LineBudgetStatistics(self._left_out)

    def take(self, name: str) -> int | None:
        """How many lines of this name were left out since the last one; None: this one is left out too."""
        now_s = self._clock_s()
        bucket = self._buckets.get(name)
        if bucket is None:
            name = name if len(self._buckets) < NAMES_MAX else REST
            bucket = self._buckets.setdefault(name, _Bucket(self._burst, now_s))
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.filled_at_s) * self._a_second)
        bucket.filled_at_s = now_s
        if bucket.tokens < 1:
            bucket.left_out += 1
            self._left_out += 1
            return None
        bucket.tokens -= 1
        left_out, bucket.left_out = bucket.left_out, 0
        return left_out

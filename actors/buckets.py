"""How large values were: counts by bounds, for histograms. There is no lock, and no object a value."""

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct


class BucketCounts(Struct, frozen=True):
    """What was added so far.

    Args:
        bounds: in order.
        counts: for each bound, how many values were at most that and more than the one before; last, how many were more
            than all of them.
        total: the sum of all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def values(self) -> int:
        """How many values were added."""
        return sum(self.counts)


class Buckets:
    """Counts values by their size.

    >>> sizes = Buckets((1, 10))
    >>> for value in (1, 2, 11):
    ...     sizes.add(value)
    >>> sizes.statistics()
    BucketCounts(bounds=(1, 10), counts=(1, 1, 1), total=14.0)
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def __repr__(self) -> str:
        return f"<Buckets values={sum(self._counts)} total={self._total:g}>"

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def statistics(self) -> BucketCounts:
        return BucketCounts(self._bounds, tuple(self._counts), self._total)

"""How often callers were refused, by kind."""

from collections import Counter

from msgspec import Struct

from actors.activity import CountedRefusal
from actors.outcomes import AdjustmentsRefused, Refused


class RefusalCountsStatistics(Struct, frozen=True):
    """Refusals since the core began."""

    refusals: int


class RefusalCounts:
    """Counts the refusals that are given. What is not refused costs nothing."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<RefusalCounts {self._counts.total()}>"

    def statistics(self) -> RefusalCountsStatistics:
        return RefusalCountsStatistics(self._counts.total())

    def note(self, error: Exception) -> None:
        """A call ends with this error."""
        if isinstance(error, Refused):
            refusal = error.refusal
            cause = refusal.rows[0].cause if isinstance(refusal, AdjustmentsRefused) else ""
            self._counts[cause or type(refusal).__name__] += 1

    def most_frequent(self) -> tuple[CountedRefusal, ...]:
        """All kinds, the most frequent first."""
        return tuple([CountedRefusal(name, count) for name, count in self._counts.most_common()])

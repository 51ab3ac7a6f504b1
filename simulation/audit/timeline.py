"""What a thing was at every place of the journal."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """A value and when it changed."""

    __slots__ = ("lsns", "values")

    def __init__(self) -> None:
        self.lsns: list[int] = []
        self.values: list[T] = []

    def __repr__(self) -> str:
        return f"<Timeline of {len(self.lsns)} values up to LSN {self.lsns[-1] if self.lsns else 0}>"

    def put(self, lsn: int, value: T) -> None:
        self.lsns.append(lsn)
        self.values.append(value)

    def at(self, lsn: int) -> T | None:
        """The value after that entry; None before the first."""
        place = bisect_right(self.lsns, lsn)
        return self.values[place - 1] if place else None

    @property
    def first_lsn(self) -> int:
        return self.lsns[0]


def between(lsns: Sequence[Sequence[int]], low: int, high: int) -> Iterator[int]:
    """`low`, then every change in `lsns` after it up to `high`, in order."""
    yield low
    changes: list[int] = []
    for some in lsns:
        changes.extend(some[bisect_right(some, low) : bisect_right(some, high)])
    yield from sorted(changes) if len(lsns) > 1 else changes

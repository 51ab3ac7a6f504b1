"""Long work in steps, so that others have their turn in between."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

ROWS_A_STEP = 500  # a few milliseconds of work


def steps(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items, `ROWS_A_STEP` at a time."""
    for begin in range(0, len(items), ROWS_A_STEP):
        yield items[begin : begin + ROWS_A_STEP]

"""Long work in steps, so that others have their turn in between."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

ROWS_A_STEP = 500  # a few milliseconds of work


def steps(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, `ROWS_A_STEP` at a time."""
    left = iter(items)
    while step := list(islice(left, ROWS_A_STEP)):
        yield step

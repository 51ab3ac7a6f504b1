"""Long work in chunks, so that others have their turn in between."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

ROWS_MAX = 500  # a few milliseconds of work


def chunked(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, `ROWS_MAX` at a time."""
    left = iter(items)
    while chunk := list(islice(left, ROWS_MAX)):
        yield chunk

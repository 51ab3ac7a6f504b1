"""Long work in chunks, so that others have their turn in between."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from actors.records import Transaction

T = TypeVar("T")

ROWS_MAX = 500  # a few milliseconds of work
LITTLE_ROWS = 100  # 0.5 ms of work for a database: a batch waits for it, and it does not wait for a large one


def chunked(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, `ROWS_MAX` at a time."""
    left = iter(items)
    while chunk := list(islice(left, ROWS_MAX)):
        yield chunk


def by_rows(batch: Sequence[Transaction]) -> Iterator[Sequence[Transaction]]:
    """Transactions that have at most `ROWS_MAX` rows together, or a large one, with what is little and follows it.

    That does not wait for the turn in which a large answer is made.
    """
    begin, rows = 0, 0
    for end, transaction in enumerate(batch):
        more = len(transaction.changes) + 1
        is_large = more > LITTLE_ROWS
        if end > begin and (is_large or rows + more > ROWS_MAX):
            yield batch[begin:end]
            begin, rows = end, 0
        if not is_large:
            rows += more
    yield batch[begin:]

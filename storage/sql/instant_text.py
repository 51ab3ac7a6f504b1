"""Instants as SQLite keeps them, which has no type for them: text such as `2026-07-28T09:30:00.125Z`.

It is readable and sorts in the order of time. Nothing here needs SQLAlchemy, which the process that writes batches does
not load.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)  # a transaction's time is written with each of its rows, and a batch has few of them
def ms_to_text(at_ms: int) -> str:
    """An instant as SQLite keeps it.

    >>> ms_to_text(1_790_000_000_125)
    '2026-09-21T14:13:20.125Z'
    """
    second, milliseconds = divmod(at_ms, 1000)
    return f"{_second_text(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4096)  # a reservation's times come again with each of its items
def text_to_ms(text: str) -> int:
    """An instant that SQLite kept, in milliseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND

"""Instants as the database shows them to a person; the core counts milliseconds.

SQLite has no type for them: text such as `2026-07-28T09:30:00.125Z` is readable and sorts in the order of time.
Postgres gets a `timestamptz`.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import TIMESTAMP, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_999  # the end of the year 9999, where both formats end
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


def ms_to_datetime(at_ms: int) -> datetime:
    """An instant as Postgres takes it."""
    return EPOCH + at_ms * MILLISECOND


def datetime_to_ms(at: datetime) -> int:
    """An instant that Postgres kept, in milliseconds."""
    return (at - EPOCH) // MILLISECOND


class Instant(TypeDecorator[int]):
    """A column of instants: integer milliseconds in Python, 0 where the column is NULL.

    An instant after the year 9999 is taken for its end.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        at_ms = min(value, LAST_MS)
        return ms_to_datetime(at_ms) if dialect.name == "postgresql" else ms_to_text(at_ms)

    def process_result_value(self, value: Any, dialect: Dialect) -> int:
        if value is None:
            return 0
        return datetime_to_ms(value) if dialect.name == "postgresql" else text_to_ms(value)

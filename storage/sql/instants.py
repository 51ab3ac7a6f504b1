"""Instants as the database shows them to a person; the core counts milliseconds.

SQLite gets a text (`storage.sql.instant_text`), Postgres a `timestamptz`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import TIMESTAMP, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from storage.sql.instant_text import EPOCH, MILLISECOND, ms_to_text, text_to_ms

LAST_MS = 253_402_300_799_999  # the end of the year 9999, where both formats end


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

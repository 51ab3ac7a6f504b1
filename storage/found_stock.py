"""Where a page of found rows ends: one rule for every adapter."""

from collections.abc import Iterable

from msgspec import Struct

from actors.queries import FindStock
from actors.records import StockKey, StockRecord
from actors.stock_alerts import alert_of, status_of


class FoundStock(Struct, frozen=True):
    """A page of rows, and the key that the next one begins after; None if this is the last."""

    records: tuple[StockRecord, ...]
    next_key: StockKey | None


def is_wanted(record: StockRecord, query: FindStock) -> bool:
    """Whether a row is one that the query is about."""
    return query.status in (None, status_of(record)) and query.alert_level in (None, alert_of(record))


def cut_found(looked_at: Iterable[tuple[int, StockRecord]], query: FindStock) -> FoundStock:
    """The page that a query asks for.

    Args:
        looked_at: rows in key order with their places among all that the page may look at, counted from 1; those that
            are not wanted may be left out but for the last that may be looked at.
    """
    found: list[StockRecord] = []
    for place, record in looked_at:
        if is_wanted(record, query):
            if len(found) == query.limit:
                return FoundStock(tuple(found), found[-1].key)
            found.append(record)
        if place == query.looks_max:
            return FoundStock(tuple(found), found[-1].key if len(found) == query.limit else record.key)
    return FoundStock(tuple(found), None)


def prefix_end(prefix: str) -> str:
    """The first text, by code points, that is greater than all that begin so; empty if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no text

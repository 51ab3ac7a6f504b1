"""How many there are of what is too many to be counted at once: reservations by state, and rows that are low."""

from typing import Literal

from msgspec import Struct

Counted = Literal["reservations", "low_stock"]
CountKey = tuple[str, str, str]
"""Where a count goes on: a reservation's organization, state and id, or a row's organization, variant and warehouse."""


class RowCount(Struct, frozen=True):
    """Of an organization's reservations those in a state, or of its rows those with an alert level."""

    organization_id: str
    name: str
    count: int


class RowCounts(Struct, frozen=True, tag=True):
    """A part of a count, and where the next one begins; None: this was the last."""

    counts: tuple[RowCount, ...]
    next_key: CountKey | None

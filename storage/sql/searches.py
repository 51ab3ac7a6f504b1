"""Searches take turns: one statement of one search at a time, the organizations by turns.

A statement of a search takes the database some milliseconds. Where SQLite has one connection, two hundred that are
asked for together would stand before the next batch and every other read. So one is asked for when the last is over:
what else there is waits for one at most.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from anyio import Lock
from msgspec import Struct, field


class SearchesStatistics(NamedTuple):
    """Searches that have or wait for a turn, and of how many organizations."""

    searches: int
    organizations: int


class _Own(Struct):
    """The searches of one organization: one of them waits for the others' turns."""

    first: Lock = field(default_factory=lambda: Lock(fast_acquire=True))
    searches: int = 0


class Searches:
    """Who is searching."""

    def __init__(self) -> None:
        self._one = Lock(fast_acquire=True)
        self._own: dict[str, _Own] = {}

    def __repr__(self) -> str:
        return f"<Searches {self.statistics()}>"

    def statistics(self) -> SearchesStatistics:
        return SearchesStatistics(sum(own.searches for own in self._own.values()), len(self._own))

    @asynccontextmanager
    async def turn(self, organization_id: str) -> AsyncIterator[None]:
        """For one statement."""
        own = self._own.setdefault(organization_id, _Own())
        own.searches += 1
        try:
            async with own.first, self._one:
                yield
        finally:
            own.searches -= 1
            if not own.searches:
                del self._own[organization_id]

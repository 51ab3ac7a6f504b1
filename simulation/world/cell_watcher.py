"""A watcher of one organization, which goes on by its token whatever cell answers, and now and then by an older one."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, NamedTuple

from actors.changes import Change, ChangesPage, Point
from actors.queries import Query, ReadChanges
from actors.unavailable import Unavailable

ROWS_A_PAGE = 1_000  # as many as one order can have: an import of a world is smaller
Ask = Callable[[Query[Any]], Awaitable[ChangesPage]]


class _HeardUntil(NamedTuple):
    """How many changes were heard at a place."""

    heard: int
    place: Point
    database_id: str


class CellWatcher:
    """What `rpc/services/change_stream.py` does for a caller.

    Args:
        organization_id: that it watches, from its first change on.
        ask: asks a router.
        random: decides when it goes on by an older token, as one does that has lost what it heard.
        unknown: called with a sentence when its token is not known.
    """

    def __init__(self, organization_id: str, ask: Ask, random: Random, unknown: Callable[[str], None]) -> None:
        self.organization_id = organization_id
        self.heard: list[Change] = []
        self._ask = ask
        self._random = random
        self._unknown = unknown
        self._tokens: list[_HeardUntil] = []

    def __repr__(self) -> str:
        return f"<CellWatcher of {self.organization_id} heard={len(self.heard)} {self._tokens[-1:]}>"

    def statistics(self) -> int:
        """Changes that it has heard of."""
        return len(self.heard)

    async def begin(self) -> None:
        """Begin where nothing has happened yet. Raises `Unavailable`."""
        end = await self._ask(ReadChanges(self.organization_id))
        self._tokens = [_HeardUntil(0, Point(0), end.database_id)]

    async def hear(self, *, is_calm: bool) -> bool:
        """Go on by one page. Returns whether there may be more."""
        if not is_calm and self._random.random() < 0.1:
            self._forget()
        _, place, database_id = self._tokens[-1]
        try:
            page = await self._ask(ReadChanges(self.organization_id, place, ROWS_A_PAGE, 0, database_id))
        except Unavailable:
            return True
        if not is_calm and self._random.random() < 0.2:
            return True  # the answer is lost
        if not page.is_known:
            self._unknown(f"the token {place} of {database_id} is not known to {page.database_id}")
        if page.database_id == database_id:
            self.heard += page.changes
        is_end = (page.upto, page.database_id) == (place, database_id)
        self._tokens.append(_HeardUntil(len(self.heard), page.upto, page.database_id))
        return not is_end

    def _forget(self) -> None:
        del self._tokens[self._random.randrange(len(self._tokens)) + 1 :]
        del self.heard[self._tokens[-1].heard :]

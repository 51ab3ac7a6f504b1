"""The pages of watches: read once for all that wait at the same place, and handed out a few at a time.

Most watches of an organization are at its end and wait. One read waits for all of them, *ahead*: a watch that comes to
the end later joins it. That is right without any look at what happens meanwhile. The page behind a place P tells all
that happened up to its end; so it has all that happened behind a later place Q, and a watch at Q leaves out what is
before. Where the page ends before Q, that one asks again.

A watch that is behind reads at its own place, and those at the same place share that read too. Such a read waits for a
turn, like any list: an organization with a thousand watches at a thousand places has one page under way while others
call (`rpc/fair_turns.py`). What is read ahead needs none, since of each organization there is one.

Pages of a snapshot are never shared: one that was asked for before the snapshot began would show what was before it.

What is read is told message by message, as fast as the caller takes it. A thousand callers that take nothing would keep
a thousand pages meanwhile. So of each organization the newest `KEPT_MAX` are kept: a watch whose page was dropped reads
again from where it is.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar
from weakref import ReferenceType, ref

import anyio
from msgspec.structs import replace

from actors.changes import WHOLE, Change, ChangesPage, Point
from actors.queries import ReadChanges
from actors.reply import Reply
from rpc.fair_turns import PAGE_BYTES, FairTurns, NoTurns
from rpc.inventory_port import Inventory
from rpc.small_turns import NoSmallTurns, SmallTurns

MANY = 100  # changes, or rows: behind a page that has them there is probably more
KEPT_MAX = 32  # pages of an organization that are told at one time: 10 to 15 MB, where all are full

T = TypeVar("T")
Key = tuple[str, str, Point | None]


class Kept(Generic[T]):
    """What a page has, until it is dropped."""

    def __init__(self, told: Sequence[T]) -> None:
        self.count = len(told)
        self._told: Sequence[T] | None = told

    def __repr__(self) -> str:
        return f"<Kept {self.count} dropped={self.is_dropped}>"

    @property
    def is_dropped(self) -> bool:
        return self._told is None

    def at(self, number: int) -> T | None:
        """None: it was dropped."""
        return None if self._told is None else self._told[number]

    def drop(self) -> None:
        """Let it go."""
        self._told = None


class WatchPagesStatistics(NamedTuple):
    """Reads under way, watches that wait for them, and pages that are being told."""

    reads: int
    waiting: int
    kept: int


class WatchPage(NamedTuple):
    """A page that several may be told of: as the core gave it but for its changes, which are let go when need be."""

    head: ChangesPage
    changes: Kept[Change]
    is_many: bool  # there is probably more


class SharedRead:
    """A page that was asked for, and who waits for it."""

    def __init__(self, key: Key, query: ReadChanges) -> None:
        self.key = key
        self.query = query
        self.reply: Reply[ChangesPage] = Reply()
        self.page: WatchPage | None = None
        self.is_queued = False  # for its turn
        self.waiting: dict[anyio.Event, None] = {}

    def __repr__(self) -> str:
        return f"<SharedRead behind {self.query.after} for {len(self.waiting)}>"

    @property
    def is_ahead(self) -> bool:
        return self.key[2] is None

    @property
    def rows(self) -> int:
        """How many the first message has that is made of it; 0 where there is none."""
        first = self.page.changes.at(0) if self.page is not None and self.page.changes.count else None
        return len(first.rows) if first is not None else 0

    def answers(self, query: ReadChanges) -> bool:
        """Whether its page will have all that happened behind the query's place."""
        own, place = self.query.after, query.after
        assert own is not None
        assert place is not None
        return place == own or (place > own and place.position == WHOLE)


class WatchPages:
    """Reads for the watches of a server.

    Args:
        inventory: the core.
        turns: of what is large; None: there is no crowd.
        small: of what is small, and comes in crowds; None: it does not.
    """

    def __init__(self, inventory: Inventory, turns: FairTurns | None = None, small: SmallTurns | None = None) -> None:
        self._inventory = inventory
        self._turns = turns or NoTurns()
        self._small = small or NoSmallTurns()
        self._reads: dict[Key, SharedRead] = {}  # without a place: the one ahead
        self._kept: dict[str, dict[ReferenceType[Kept[Any]], None]] = {}  # by organization, the newest last

    def __repr__(self) -> str:
        return f"<WatchPages {self.statistics()}>"

    def statistics(self) -> WatchPagesStatistics:
        waiting = sum(len(read.waiting) for read in self._reads.values())
        return WatchPagesStatistics(len(self._reads), waiting, sum(map(len, self._kept.values())))

    async def next(self, query: ReadChanges, *, is_behind: bool) -> WatchPage:
        """What happened behind the query's place, and perhaps before it. Where nothing did, it waits as the query says.

        Args:
            is_behind: there is more to read as far as the watch knows. Then it does not wait.

        Raises:
            Unavailable: not now, or too much waits.
        """
        has_to_read = is_behind
        while True:
            read = self._behind(query) if has_to_read else self._ahead(query)
            page = await self._given(read)
            if not _tells(page.head, read.query, query):
                has_to_read = True  # what it joined ends before its own place, or is no longer here
            elif has_to_read and not is_behind and _is_nothing(page, query):
                has_to_read = False
            else:
                return page

    def keep(self, organization_id: str, told: Sequence[T]) -> Kept[T]:
        """Keep something until it is forgotten, or until too much else is kept of this organization."""
        kept = Kept(told)
        of_one = self._kept.setdefault(organization_id, {})
        of_one[ref(kept, partial(self._forget, organization_id))] = None
        if len(of_one) > KEPT_MAX:
            oldest = next(iter(of_one))
            del of_one[oldest]
            if (one := oldest()) is not None:
                one.drop()
        return kept

    def _forget(self, organization_id: str, kept: "ReferenceType[Kept[Any]]") -> None:
        of_one = self._kept.get(organization_id, {})
        of_one.pop(kept, None)
        if not of_one:
            self._kept.pop(organization_id, None)

    async def turn(self, organization_id: str, rows: int = 0) -> None:
        """Wait for the turn of a message of that many rows."""
        await self._small.turn(organization_id, rows)

    @asynccontextmanager
    async def large(self, organization_id: str) -> AsyncIterator[None]:
        """A turn for a page of a list, as long as the block.

        Raises:
            Unavailable: too much waits.
        """
        await self._turns.turn(organization_id, PAGE_BYTES)
        try:
            yield
        finally:
            self._turns.end(organization_id, PAGE_BYTES)

    def _ahead(self, query: ReadChanges) -> SharedRead:
        """The read that waits for what happens next, or another if that one does not answer this."""
        key = (query.organization_id, query.database_id, None)
        read = self._reads.get(key)
        if read is None:
            return self._begun(key, query)
        return read if read.answers(query) else self._behind(query)

    def _behind(self, query: ReadChanges) -> SharedRead:
        key = (query.organization_id, query.database_id, query.after)
        return self._reads.get(key) or self._begun(key, replace(query, wait_ms=0))

    def _begun(self, key: Key, query: ReadChanges) -> SharedRead:
        read = self._reads[key] = SharedRead(key, query)
        if read.is_ahead:
            self._ask(read)
        else:
            try:
                self._turns.post(query.organization_id, PAGE_BYTES, partial(self._ask, read))
            except Exception:
                del self._reads[key]
                raise
            read.is_queued = True
        return read

    def _ask(self, read: SharedRead) -> None:
        """It is the read's turn."""
        if read.is_queued and not read.waiting:  # all have gone
            del self._reads[read.key]
            self._turns.end(read.query.organization_id, PAGE_BYTES)
            return
        try:
            read.reply = self._inventory.answer(read.query)
        except Exception as error:  # noqa: BLE001 - for those who wait
            read.reply.fail(error)
        read.reply.when_done(partial(self._done, read))

    def _done(self, read: SharedRead) -> None:
        """The page is there, or will not come. This may run on the journal's stack: those who wait go on later."""
        del self._reads[read.key]
        organization_id = read.query.organization_id
        if not read.is_ahead:
            self._turns.end(organization_id, PAGE_BYTES)
        if (page := _page_of(read.reply)) is not None:
            kept = self.keep(organization_id, page.changes)
            read.page = WatchPage(replace(page, changes=()), kept, _is_many(page))
        for come in read.waiting:
            self._small.post(organization_id, read.rows, come.set)

    async def _given(self, read: SharedRead) -> WatchPage:
        organization_id = read.query.organization_id
        if read.reply.is_done:  # all was at hand
            await self._small.turn(organization_id, read.rows)
        else:
            come = anyio.Event()
            read.waiting[come] = None
            try:
                await come.wait()
            finally:
                read.waiting.pop(come, None)
        return read.page or _raised(read.reply)


def _page_of(reply: Reply[ChangesPage]) -> ChangesPage | None:
    try:
        return reply.result()
    except Exception:  # noqa: BLE001 - those who wait are told
        return None


def _raised(reply: Reply[ChangesPage]) -> NoReturn:
    reply.result()
    raise AssertionError(reply)


def _is_many(page: ChangesPage) -> bool:
    rows = sum([len(change.rows) for change in page.changes])
    return len(page.changes) >= MANY or rows >= MANY or page.upto.position != WHOLE


def _tells(page: ChangesPage, read: ReadChanges, query: ReadChanges) -> bool:
    """Whether a page has all that happened behind the query's place, up to where it ends."""
    place = query.after
    if place is None or place == read.after:
        return True
    return page.is_known and page.database_id == query.database_id and page.upto >= place


def _is_nothing(page: WatchPage, query: ReadChanges) -> bool:
    return not page.changes.count and page.head.is_known and page.head.database_id == query.database_id

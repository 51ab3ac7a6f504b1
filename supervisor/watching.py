"""What happened since: the turn of a reader that goes on from a place in the ledger, and waits where there is nothing.

Why there is no gap between what was read and what comes: a place is an LSN, and the ledger is read from behind it. What
is read is what the database has, up to an LSN that was durable before the read began, so all of it was seen; the next
read begins behind exactly that. Whether a reader is behind or waits for the next batch, it is one and the same read, so
there is no change from one source to another where something could fall between.

Why nothing is told that a crash could take back: the database shows what was committed and nothing else, and an answer
waits besides until memory has heard as much (`StoreReader.published`).

Why a slow reader never slows the service: nothing is kept for it. It asks for the next page when it has taken the last
one, and is the further behind the slower it is.

Turned down: a queue for each reader, filled by the journal (the slow ones fill memory, or lose what then has to be
fetched from the ledger anyway: two sources, and a seam between them).
"""

import anyio
from msgspec.structs import replace

from actors.changes import WHOLE, Changes, ChangesPage, Point
from actors.feed_entries import FeedRows
from actors.history_feed import FeedPage, FeedPart
from actors.organization_stays import place_here
from actors.queries import ReadChanges, ReadFeed
from actors.turn import Doing, Turn
from storage.store import Store
from supervisor.held_organizations import HeldOrganizations
from supervisor.news import ALL, News
from supervisor.store_reader import StoreReader
from supervisor.transactions.folding import Folding
from supervisor.transactions.journal import Journal

READS_MAX = 4  # pages under way: what stands before others in the database's queue is 1 ms or so each


class Watching:
    """Makes the turns of readers.

    Args:
        store: what has the ledger.
        journal: knows what is durable.
        news: tells that something has become so.
        folding: says when all rows of a large import are in the ledger.
        database_id: whose LSNs these are.
        held: knows where organizations have been.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        news: News,
        folding: Folding,
        database_id: str,
        held: HeldOrganizations,
    ) -> None:
        self._store = store
        self._journal = journal
        self._news = news
        self._folding = folding
        self._database_id = database_id
        self._held = held
        self._readers = anyio.Semaphore(READS_MAX)

    def __repr__(self) -> str:
        return f"<Watching {self._database_id} {self._news}>"

    def changes(self, query: ReadChanges, reader: StoreReader) -> Turn[ChangesPage]:
        """The page behind the query's place. Raises `Unavailable`."""
        after = query.after
        if after is not None and query.database_id:
            place = self._place_here(query, after)
            if place != after or query.database_id != self._database_id or not query.rows_max:
                known = Changes((), place or after)
                return replace(self._page(known, 0, 0), is_known=place is not None)
        if after is None or after.lsn > self._journal.durable_lsn:
            return self._page(Changes((), None), self._journal.durable_lsn, 0)
        is_between = after.position == WHOLE  # and not within a transaction, of which there is more
        if query.wait_ms and is_between and self._news.is_quiet_since(query.organization_id, after.lsn):
            event = self._news.expect(query.organization_id)
            yield Doing(lambda: self._news.wait(query.organization_id, event, query.wait_ms / 1_000))
        durable_lsn = self._journal.durable_lsn
        begin = after
        found, first_lsn = yield from self._folding.unfolded(
            query.organization_id,
            lambda: reader.published(self._read_changes(query.organization_id, begin, query.rows_max)),
        )
        return self._page(found, durable_lsn, first_lsn)

    async def _read_changes(self, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
        """As the store's. Others' reads have their turn in between, however many readers are woken at once."""
        async with self._readers:
            return await self._store.read_changes(organization_id, after, rows_max)

    def _place_here(self, query: ReadChanges, place: Point) -> Point | None:
        """Where the history of the query's organization is, here, as far as a reader of that database has heard of it;
        None: it was never there.
        """
        stays = self._held.stays_of(query.organization_id)
        if stays:
            return place_here(stays, query.database_id, place)
        is_ours = query.database_id == self._database_id and place.lsn <= self._journal.durable_lsn
        return place if is_ours else None

    def feed(self, query: ReadFeed, reader: StoreReader) -> Turn[FeedPage]:
        """The same of all organizations. Raises `Unavailable`."""
        after = query.after
        if query.from_ms:
            first_lsn = yield Doing(lambda: reader.published(self._store.lsn_at(query.from_ms)))
            after = Point(first_lsn - 1)
        if after is None or after.lsn > self._journal.durable_lsn:
            end = Point(self._journal.durable_lsn)
            return self._feed_page(FeedPart(FeedRows(), end, None), self._journal.durable_lsn, 0)
        if query.wait_ms and after == Point(self._journal.durable_lsn, WHOLE):
            event = self._news.expect(ALL)
            yield Doing(lambda: self._news.wait(ALL, event, query.wait_ms / 1_000))
        durable_lsn = self._journal.durable_lsn
        begin = after
        found, kept_lsn = yield from self._folding.unfolded(
            None, lambda: reader.published(self._read_feed(begin, query.rows_max))
        )
        return self._feed_page(found, durable_lsn, kept_lsn)

    async def _read_feed(self, after: Point, rows_max: int) -> tuple[FeedPart, int]:
        async with self._readers:
            return await self._store.read_feed(after, rows_max)

    def _feed_page(self, found: FeedPart, durable_lsn: int, first_lsn: int) -> FeedPage:
        upto = found.upto or Point(durable_lsn)
        return FeedPage(found.rows, found.after, upto, self._journal.durable_lsn, first_lsn, self._database_id)

    def _page(self, found: Changes, durable_lsn: int, first_lsn: int) -> ChangesPage:
        upto = found.upto
        if upto is None:
            newest = found.changes[-1].lsn if found.changes else 0
            upto = Point(max(durable_lsn, newest))
        return ChangesPage(found.changes, upto, self._journal.durable_lsn, first_lsn, self._database_id)

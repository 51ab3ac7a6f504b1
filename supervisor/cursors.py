"""Which relay has which cursor, and that two of one name never publish at the same time.

A relay that takes a cursor gets a *fence*, one more than the last relay had, and a *lease*: from each moment at which
it asks for the cursor, moves it, or only says that it is still there, it may publish for `LEASE_S`. It measures that by
its own clock, from before it asks.

Why two never publish: a cursor is given to another relay only `LEASE_S` after this server last heard of the one that
has it, or after that one gave it up. What the server heard, the relay had sent before; so the relay's time is over.
From then on the fence is another one, and whatever the first relay still says is refused. After a restart, or a
takeover by another server, nothing was heard yet, and the wait is counted from the start: an earlier server answered no
call after that (`supervisor/ownership/lease.py`), so no relay has a lease that began later. The relay's clock and the
server's need not agree; they have to run equally fast for three seconds.

What is left open: bytes that a relay's process had given to its kernel, or that it writes when it wakes from a stop
within one step of its event loop, may reach the broker late. They are repetitions of what its successor sends, with the
same ids.

The place of a cursor is durable before the relay hears so. It moves only forward, but for a relay that begins anew from
an earlier place and sends again. Writing it is no entry of the journal: what was passed on is no part of the inventory,
and a reservation never waits for it. There is one owner of the database, so that the records can be kept in memory; a
write that fails ends the incarnation like any other failure of storage, and the next one reads them.

There are few relays, and a cursor is kept for ever: so there are `CURSORS_MAX` at most. How long something has waited
behind one is looked for in the feed once, and known until the cursor moves: a list of all costs no read.

Turned down: a lock in the database for each relay (a connection for each, on Postgres alone); letting the newest relay
drive out the one before it (two that are both kept alive would take turns for ever).
"""

from collections.abc import Callable

import anyio
from msgspec import Struct
from msgspec.structs import replace

from actors.changes import Point
from actors.history_feed import CursorAnswer, CursorList, CursorRecord, CursorView
from actors.queries import DropCursor, MoveCursor, TakeCursor
from storage.store import Store
from supervisor.transactions.journal import Journal

LEASE_S = 3.0
CURSORS_MAX = 100  # of a database: one for each broker that a relay passes the feed on to


class Word(Struct):
    """What a relay last said: when, in seconds, and how it fares."""

    heard_s: float
    rate: float = 0.0
    problem: str = ""


class CursorStatistics(Struct, frozen=True):
    """Counts of this incarnation: cursors, and how often one was taken, moved and refused."""

    cursors: int
    taken: int
    moved: int
    refused: int


class Cursors:
    """The cursors of one incarnation.

    Args:
        store: keeps them.
        journal: knows what is durable.
        now_ms: service time.
        monotonic_s: a clock in seconds that goes on while the process is stopped.
        database_id: whose places they are.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        database_id: str,
    ) -> None:
        self._store = store
        self._journal = journal
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._database_id = database_id
        self._began_s = monotonic_s()
        self._lock = anyio.Lock()
        self._records: dict[str, CursorRecord] | None = None
        self._words: dict[str, Word] = {}
        self._waiting: dict[str, tuple[Point, int]] = {}  # since when something has, behind which place
        self._looking = anyio.Lock()  # those who ask for the list at one moment need one look
        self._taken = self._moved = self._refused = 0

    def __repr__(self) -> str:
        return f"<Cursors {self.statistics()}>"

    def statistics(self) -> CursorStatistics:
        return CursorStatistics(len(self._records or ()), self._taken, self._moved, self._refused)

    async def take(self, query: TakeCursor) -> CursorAnswer:
        """Give the cursor to a relay, unless another has it, or there are too many. Raises `StorageError`."""
        async with self._lock:
            cursors = await self._known()
            known = cursors.get(query.name)
            if known is not None and self._is_held(known):
                return self._answer(None)
            if known is None and len(cursors) >= CURSORS_MAX:
                return self._answer(None, is_known=False)
            begin = await self._begin(query, known)
            taken = CursorRecord(query.name, 1, begin, is_released=False)
            if known is not None:
                taken = replace(known, fence=known.fence + 1, point=begin, is_released=False)
            await self._write(taken)
            self._words[query.name] = Word(self._monotonic_s())
            self._taken += 1
            return self._answer(taken)

    async def move(self, query: MoveCursor) -> CursorAnswer:
        """Hear of the relay that has the cursor, and move it. Raises `StorageError`."""
        heard_s = self._monotonic_s()
        async with self._lock:
            known = (await self._known()).get(query.name)
            if known is None or known.fence != query.fence or known.is_released:
                self._refused += 1
                return CursorAnswer(None, is_known=known is not None, database_id=self._database_id)
            self._words[query.name] = Word(heard_s, query.rate, query.problem)
            if query.point is not None or query.is_release:
                known = await self._move(known, query)
            return self._answer(known)

    async def _move(self, known: CursorRecord, query: MoveCursor) -> CursorRecord:
        moved = replace(
            known,
            point=max(known.point, query.point or known.point),
            published=known.published + query.published,
            unroutable=known.unroutable + query.unroutable,
            moved_at_ms=self._now_ms(),
            is_released=query.is_release,
        )
        await self._write(moved)
        self._moved += 1
        return moved

    async def drop(self, query: DropCursor) -> CursorAnswer:
        """Forget a cursor that no relay has. Raises `StorageError`."""
        async with self._lock:
            known = (await self._known()).get(query.name)
            if known is None or self._is_held(known):
                return CursorAnswer(None, is_known=known is not None, database_id=self._database_id)
            await self._store.drop_cursor(query.name)
            del (await self._known())[query.name]
            self._words.pop(query.name, None)
            self._waiting.pop(query.name, None)
            return self._answer(known)

    async def every(self) -> CursorList:
        """All cursors, and how their relays fare. Raises `StorageError`."""
        async with self._looking:
            records = list((await self._known()).values())
            return CursorList(tuple([await self._view(one) for one in records]), self._database_id)

    async def holding_back(self, before_ms: int) -> str:
        """The name of a cursor that still needs something older than this; empty: none does. Raises `StorageError`."""
        for one in list((await self._known()).values()):
            if one.point.lsn < self._journal.durable_lsn:
                since_ms = await self._waiting_since_ms(one)
                if since_ms and since_ms < before_ms:
                    return one.name
        return ""

    async def _view(self, one: CursorRecord) -> CursorView:
        word = self._words.get(one.name, Word(self._began_s))
        is_held = self._is_held(one)
        behind = max(0, self._journal.durable_lsn - one.point.lsn)
        since_ms = await self._waiting_since_ms(one) if behind else 0
        return CursorView(one, is_held, behind, since_ms, word.rate if is_held else 0.0, word.problem)

    async def _waiting_since_ms(self, one: CursorRecord) -> int:
        """When the first transaction behind a cursor happened; 0: there is none that is told."""
        point, since_ms = self._waiting.get(one.name, (one.point, 0))
        if point != one.point or not since_ms:
            since_ms = await self._first_behind_ms(one.point)
            self._waiting[one.name] = one.point, since_ms
        return since_ms

    async def _first_behind_ms(self, point: Point) -> int:
        while True:
            feed, _ = await self._store.read_feed(point, rows_max=1)
            for entry in feed.entries():
                return entry.change.at_ms
            if feed.upto is None:
                return 0
            point = feed.upto

    async def _begin(self, query: TakeCursor, known: CursorRecord | None) -> Point:
        if query.begin is not None:
            return query.begin
        if query.begin_ms:
            return Point(await self._store.lsn_at(query.begin_ms) - 1)
        return Point(self._journal.durable_lsn) if known is None else known.point

    def _is_held(self, one: CursorRecord) -> bool:
        if one.is_released:
            return False
        word = self._words.get(one.name)
        heard_s = self._began_s if word is None else word.heard_s
        return self._monotonic_s() - heard_s < LEASE_S

    async def _known(self) -> dict[str, CursorRecord]:
        if self._records is None:
            found = {one.name: one for one in await self._store.load_cursors()}
            self._records = found if self._records is None else self._records  # another may have looked meanwhile
        return self._records

    async def _write(self, one: CursorRecord) -> None:
        await self._store.write_cursor(one)
        (await self._known())[one.name] = one

    def _answer(self, cursor: CursorRecord | None, *, is_known: bool = True) -> CursorAnswer:
        if cursor is None:
            self._refused += 1
        return CursorAnswer(cursor, int(LEASE_S * 1_000), is_known, self._database_id)

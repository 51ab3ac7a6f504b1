"""Turns for large requests: one after another, the organizations by turns, and few of each under way.

A basket of 1,000 lines takes some 10 ms to check, plan and decide, and as much to write. Sixty that arrive together
would take it in one go, before a small request of another organization that came right after, and would stand before
it in the journal. So large requests queue, and small ones pass by. In each turn of the event loop one of them is begun,
or a few that are together no larger; no more are begun while those under way are too large together.

Whose is next goes by what was begun before, in bytes: an organization with a hundred requests gets as much as one with
a single, and so does a source, a key or an address (`rpc.call_source`), with a hundred organizations. A request has
what was begun of its organization or of its source before it, whichever is more, and the least is next. That is
start-time fair queueing (Goyal, Vin and Cheng, 1996), but for two owners of each request: who comes anew begins where
the others are. Of one source alone, as behind a proxy, all have the same, and then the organization decides.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from anyio.lowlevel import checkpoint
from msgspec import Struct

from actors.unavailable import too_many
from rpc.company import Company
from rpc.network_bounds import DEFAULT_BOUNDS
from rpc.pace import CORE_PACE, Pace
from rpc.shares import may_have

LARGE_BYTES = 4 * 1024  # from here on a request queues
STEP_BYTES = 12 * 1024  # what a step of an import counts as
PAGE_BYTES = 12 * 1024  # what a call for a list counts as, since its answer is large
TURN_BYTES = 24 * 1024  # 500 lines or so
# Two baskets of 1,000 lines or so, of one organization: a batch of the journal that has more takes longer to write than
# others should wait. Lines may be as short as 10 bytes.
BEGUN_BYTES_MAX = 48 * 1024
BEGUN_BYTES_MAX_OF_ONE = 16 * 1024  # alone; in company one request, so that what comes meanwhile is written next

UNNAMED = "\n"  # for those that do not say theirs: it is no id, and has turns as any other

log = logging.getLogger(__name__)


class LargeTurn(NamedTuple):
    """What a large request has from the moment that it is begun."""

    turns: "FairTurns"
    organization_id: str
    size_bytes: int
    source: str = ""

    def end(self) -> None:
        """It is done, whether or not it is answered. Once."""
        self.turns.end(self.organization_id, self.size_bytes, self.source)

    def answer(self, give: Callable[[], None]) -> None:
        """Have its answer made and given, when it is the answer's turn."""
        self.turns.answer(give)


class FairTurnsStatistics(NamedTuple):
    """What waits for its turn."""

    requests: int
    size_bytes: int
    begun_bytes: int


class _Waiting(NamedTuple):
    size_bytes: int
    begin: Callable[[], None]


class _Owner(Struct):
    """What an organization, or a source, has: it is known for as long as something of it waits or was begun.

    Args:
        given_bytes: what was begun of it, counted from where the others were when it came.
        waiting_bytes, begun_bytes: of its requests that wait, and of those that were begun and are not done.
    """

    given_bytes: int
    waiting_bytes: int = 0
    begun_bytes: int = 0


class _Queue(NamedTuple):
    """The requests of an organization that wait, from one source; there is one at least."""

    organization: _Owner
    source: _Owner | None
    requests: deque[_Waiting]

    @property
    def given_bytes(self) -> tuple[int, int]:
        """The less, the sooner it is next."""
        own = self.organization.given_bytes
        return (own if self.source is None else max(own, self.source.given_bytes)), own


class FairTurns:
    """Belongs to the running asyncio loop once something is posted.

    Args:
        waiting_bytes_max: how much may wait; no organization and no source gets all of it.
        company: knows whether an organization, or a source, is alone.
        pace: how long the event loop is left to others in between.
    """

    def __init__(
        self,
        waiting_bytes_max: int = DEFAULT_BOUNDS.waiting_bytes_max,
        company: Company | None = None,
        pace: Pace = CORE_PACE,
    ) -> None:
        self._pause_s = pace.pause_s
        self._paused_until_s = 0.0
        self._waiting_bytes_max = waiting_bytes_max
        self._company = company or Company()
        self._queues: dict[tuple[str, str], _Queue] = {}  # by organization and source
        self._organizations: dict[str, _Owner] = {}
        self._sources: dict[str, _Owner] = {}
        # What those had whose turn it was last, before it: who comes anew begins there.
        self._organization_floor_bytes = 0
        self._source_floor_bytes = 0
        self._size_bytes = 0
        self._begun_bytes = 0
        self._has_turn = False  # is about to come

    def __repr__(self) -> str:
        return f"<FairTurns {self._size_bytes} bytes wait, {self._begun_bytes} were begun>"

    def statistics(self) -> FairTurnsStatistics:
        requests = sum(len(queue.requests) for queue in self._queues.values())
        return FairTurnsStatistics(requests, self._size_bytes, self._begun_bytes)

    def post(self, organization_id: str, size_bytes: int, begin: Callable[[], None], source: str = "") -> None:
        """Have `begin`, which must not raise, called when it is the request's turn. Then `end` must be called.

        Args:
            source: where it comes from; empty where that is not counted.

        Raises:
            Unavailable: too much waits.
        """
        self._company.note(organization_id, source)
        organization = self._organizations.get(organization_id) or _Owner(self._organization_floor_bytes)
        its_source = (self._sources.get(source) or _Owner(self._source_floor_bytes)) if source else None
        for owner in (organization, its_source):
            if owner is not None and not may_have(
                size_bytes, owner.waiting_bytes, self._size_bytes, self._waiting_bytes_max
            ):
                raise too_many("large requests")
        queue = self._queues.get((organization_id, source))
        if queue is None:
            queue = self._queues[organization_id, source] = _Queue(organization, its_source, deque())
        self._organizations[organization_id] = organization
        if not organization.waiting_bytes:  # so that it has nothing saved up
            organization.given_bytes = max(organization.given_bytes, self._organization_floor_bytes)
        if its_source is not None:
            self._sources[source] = its_source
            if not its_source.waiting_bytes:
                its_source.given_bytes = max(its_source.given_bytes, self._source_floor_bytes)
        queue.requests.append(_Waiting(size_bytes, begin))
        queue.organization.waiting_bytes += size_bytes
        if queue.source is not None:
            queue.source.waiting_bytes += size_bytes
        self._size_bytes += size_bytes
        self._schedule()

    def end(self, organization_id: str, size_bytes: int, source: str = "") -> None:
        """A request that was begun, or a part of it, is done."""
        self._begun_bytes -= size_bytes
        _end_one(self._organizations, organization_id, size_bytes)
        if source:
            _end_one(self._sources, source, size_bytes)
        # Not here: this may run on the journal's stack, which has more to do before it writes the next batch.
        asyncio.get_running_loop().call_soon(self._go_on)

    def answer(self, give: Callable[[], None]) -> None:
        """Call `give`, which makes a large answer: at once, or after the small ones that became durable with it.

        To make one for 1,000 lines takes 1.3 ms, for which those would wait, and their way out too.
        """
        if self._company.has_several:
            asyncio.get_running_loop().call_later(self._pause_s / 2, give)
        else:
            give()

    async def turn(self, organization_id: str, size_bytes: int, source: str = "") -> None:
        """Wait for a turn. Then `end` must be called; not if it is cancelled.

        Raises:
            Unavailable: too much waits.
        """
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            if come.cancelled():
                self.end(organization_id, size_bytes, source)
            else:
                come.set_result(None)

        self.post(organization_id, size_bytes, begin, source)
        try:
            await come
        except asyncio.CancelledError:
            if come.done() and not come.cancelled():  # it came at the same moment
                self.end(organization_id, size_bytes, source)
            raise

    async def part(self, size_bytes: int) -> None:
        """Wait for the turn of a part of a large message, whosever it is."""
        assert size_bytes > 0  # or `end` could not know whether something is begun
        await self.turn("", size_bytes)
        self.end("", size_bytes)

    @asynccontextmanager
    async def step(self, organization_id: str, source: str = "") -> AsyncIterator[None]:
        """A turn for a step of something large of an organization, as long as the block. All have them in one queue.

        Args:
            source: where the organization calls from.

        Raises:
            Unavailable: too much waits.
        """
        self._company.note(organization_id, source)
        await self.turn("", STEP_BYTES)
        try:
            yield
        finally:
            self.end("", STEP_BYTES)

    def _schedule(self) -> None:
        if not self._has_turn and self._size_bytes and self._begun_bytes < BEGUN_BYTES_MAX:
            self._has_turn = True
            loop = asyncio.get_running_loop()
            if self._paused_until_s > loop.time() and self._company.has_several:
                loop.call_at(self._paused_until_s, self._take_turn)
            else:
                loop.call_soon(self._take_turn)

    def _go_on(self) -> None:
        self._paused_until_s = asyncio.get_running_loop().time() + self._pause_s
        self._schedule()

    def _take_turn(self) -> None:
        self._has_turn = False
        size_bytes = 0
        try:
            while self._begun_bytes < BEGUN_BYTES_MAX and (key := self._next()) is not None:
                if size_bytes and size_bytes + self._queues[key].requests[0].size_bytes > TURN_BYTES:
                    break
                size_bytes += self._begin(key)
        except Exception:
            log.exception("turn_failed")
        if size_bytes:  # otherwise all that waits waits for an `end`
            self._go_on()

    def _next(self) -> tuple[str, str] | None:
        """Whose turn it is; None if none may begin more."""
        most = 1 if self._company.has_several else BEGUN_BYTES_MAX_OF_ONE
        of_sources = 1 if self._company.has_several_sources else BEGUN_BYTES_MAX
        found: tuple[str, str] | None = None
        least = (0, 0)
        for key, queue in self._queues.items():
            if queue.organization.begun_bytes >= most:
                continue
            if queue.source is not None and queue.source.begun_bytes >= of_sources:
                continue
            given_bytes = queue.given_bytes
            if found is None or given_bytes < least:
                found, least = key, given_bytes
        return found

    def _begin(self, key: tuple[str, str]) -> int:
        queue = self._queues[key]
        size_bytes, begin = queue.requests.popleft()
        if not queue.requests:
            del self._queues[key]
        self._organization_floor_bytes = queue.organization.given_bytes
        if queue.source is not None:
            self._source_floor_bytes = queue.source.given_bytes
        for owner in (queue.organization, queue.source):
            if owner is not None:
                owner.given_bytes += size_bytes
                owner.waiting_bytes -= size_bytes
                owner.begun_bytes += size_bytes
        self._size_bytes -= size_bytes
        self._begun_bytes += size_bytes
        begin()
        return size_bytes


def _end_one(owners: dict[str, _Owner], name: str, size_bytes: int) -> None:
    owner = owners[name]
    owner.begun_bytes -= size_bytes
    if not owner.begun_bytes and not owner.waiting_bytes:
        del owners[name]


class NoTurns(FairTurns):
    """For where there is no crowd: every request begins at once."""

    def post(self, organization_id: str, size_bytes: int, begin: Callable[[], None], source: str = "") -> None:
        begin()

    def end(self, organization_id: str, size_bytes: int, source: str = "") -> None:
        pass

    async def turn(self, organization_id: str, size_bytes: int, source: str = "") -> None:
        await checkpoint()


def organization_of(raw: bytes) -> str:
    """What an encoded request says first, if that is its organization, as it is in all that our clients send.

    It is only believed for whose turn it is. Empty if it is not there.
    """
    if len(raw) < 2 or raw[0] != 0x0A or raw[1] > 0x7F:  # field 1, a string of up to 127 bytes
        return ""
    return raw[2 : 2 + raw[1]].decode(errors="replace")

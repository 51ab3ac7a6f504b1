"""Turns for large requests: one after another, the organizations by turns, and few of each under way.

A basket of 1,000 lines takes some 10 ms to check, plan and decide, and as much to write. Sixty that arrive together
would take it in one go, before a small request of another organization that came right after, and would stand before
it in the journal. So large requests queue, and small ones pass by. In each turn of the event loop one of them is begun,
or a few that are together no larger; no more are begun while those under way are too large together. Whose
is next is chosen by deficit round robin over their size (Shreedhar and Varghese, 1995): an organization with a
hundred requests gets as much as one with a single.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from anyio.lowlevel import checkpoint
from msgspec import Struct, field

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

    def end(self) -> None:
        """It is done, whether or not it is answered. Once."""
        self.turns.end(self.organization_id, self.size_bytes)

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


class _Queue(Struct):
    """The requests of one organization that wait, and how large those are that were begun."""

    requests: deque[_Waiting] = field(default_factory=deque)
    size_bytes: int = 0
    deficit: int = 0
    begun_bytes: int = 0

    def is_ready(self, begun_bytes_max: int) -> bool:
        """Whether one of them may be begun, as far as the others of the organization go."""
        return bool(self.requests) and self.begun_bytes < begun_bytes_max


class FairTurns:
    """Belongs to the running asyncio loop once something is posted.

    Args:
        waiting_bytes_max: how much may wait; no organization gets all of it.
        company: knows whether an organization is alone.
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
        self._queues: dict[str, _Queue] = {}  # the first is next; each has something that waits or was begun
        self._size_bytes = 0
        self._begun_bytes = 0
        self._has_turn = False  # is about to come

    def __repr__(self) -> str:
        return f"<FairTurns {self._size_bytes} bytes wait, {self._begun_bytes} were begun>"

    def statistics(self) -> FairTurnsStatistics:
        requests = sum(len(queue.requests) for queue in self._queues.values())
        return FairTurnsStatistics(requests, self._size_bytes, self._begun_bytes)

    def post(self, organization_id: str, size_bytes: int, begin: Callable[[], None]) -> None:
        """Have `begin`, which must not raise, called when it is the request's turn. Then `end` must be called.

        Raises:
            Unavailable: too much waits.
        """
        self._company.note(organization_id)
        queue = self._queues.get(organization_id)
        has = queue.size_bytes if queue is not None else 0
        if not may_have(size_bytes, has, self._size_bytes, self._waiting_bytes_max):
            raise too_many("large requests")
        if queue is None:
            queue = self._queues[organization_id] = _Queue()
        queue.requests.append(_Waiting(size_bytes, begin))
        queue.size_bytes += size_bytes
        self._size_bytes += size_bytes
        self._schedule()

    def end(self, organization_id: str, size_bytes: int) -> None:
        """A request that was begun, or a part of it, is done."""
        queue = self._queues[organization_id]
        queue.begun_bytes -= size_bytes
        self._begun_bytes -= size_bytes
        self._forget(organization_id, queue)
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

    async def turn(self, organization_id: str, size_bytes: int) -> None:
        """Wait for a turn. Then `end` must be called; not if it is cancelled.

        Raises:
            Unavailable: too much waits.
        """
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            if come.cancelled():
                self.end(organization_id, size_bytes)
            else:
                come.set_result(None)

        self.post(organization_id, size_bytes, begin)
        try:
            await come
        except asyncio.CancelledError:
            if come.done() and not come.cancelled():  # it came at the same moment
                self.end(organization_id, size_bytes)
            raise

    async def part(self, size_bytes: int) -> None:
        """Wait for the turn of a part of a large message, whosever it is."""
        assert size_bytes > 0  # or `end` could not know whether something is begun
        await self.turn("", size_bytes)
        self.end("", size_bytes)

    @asynccontextmanager
    async def step(self, organization_id: str) -> AsyncIterator[None]:
        """A turn for a step of something large of an organization, as long as the block. All have them in one queue.

        Raises:
            Unavailable: too much waits.
        """
        self._company.note(organization_id)
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
            while self._begun_bytes < BEGUN_BYTES_MAX and (found := self._next()) is not None:
                organization_id, queue = found
                if size_bytes and size_bytes + queue.requests[0].size_bytes > TURN_BYTES:
                    break
                size_bytes += self._begin(organization_id, queue)
        except Exception:
            log.exception("turn_failed")
        if size_bytes:  # otherwise all that waits waits for an `end`
            self._go_on()

    def _next(self) -> tuple[str, _Queue] | None:
        """Whose turn it is; None if no organization may begin more."""
        begun_bytes_max = 1 if self._company.has_several else BEGUN_BYTES_MAX_OF_ONE
        if not any(queue.is_ready(begun_bytes_max) for queue in self._queues.values()):
            return None
        while True:
            organization_id, queue = next(iter(self._queues.items()))
            if queue.is_ready(begun_bytes_max):
                if queue.deficit >= queue.requests[0].size_bytes:
                    return organization_id, queue
                queue.deficit += TURN_BYTES
            del self._queues[organization_id]
            self._queues[organization_id] = queue  # to the end

    def _begin(self, organization_id: str, queue: _Queue) -> int:
        size_bytes, begin = queue.requests.popleft()
        queue.deficit -= size_bytes
        queue.size_bytes -= size_bytes
        queue.begun_bytes += size_bytes
        self._size_bytes -= size_bytes
        self._begun_bytes += size_bytes
        if not queue.requests:
            queue.deficit = 0
        begin()
        return size_bytes

    def _forget(self, organization_id: str, queue: _Queue) -> None:
        if not queue.requests and not queue.begun_bytes:
            del self._queues[organization_id]


class NoTurns(FairTurns):
    """For where there is no crowd: every request begins at once."""

    def post(self, organization_id: str, size_bytes: int, begin: Callable[[], None]) -> None:
        begin()

    def end(self, organization_id: str, size_bytes: int) -> None:
        pass

    async def turn(self, organization_id: str, size_bytes: int) -> None:
        await checkpoint()


def organization_of(raw: bytes) -> str:
    """What an encoded request says first, if that is its organization, as it is in all that our clients send.

    It is only believed for whose turn it is. Empty if it is not there.
    """
    if len(raw) < 2 or raw[0] != 0x0A or raw[1] > 0x7F:  # field 1, a string of up to 127 bytes
        return ""
    return raw[2 : 2 + raw[1]].decode(errors="replace")

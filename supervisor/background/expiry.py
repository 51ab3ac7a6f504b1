"""Gives back the stock of reservations whose time is over.

The database knows what is due, so nothing about waiting reservations is kept in memory and a restart needs no
recovery: the first look finds whatever became due meanwhile. Each due order gets an `Expire` in its mailbox,
where it meets confirm and release; the order's actor decides. Thousands at once go in capped batches: the orders
of one are read together, so that each is asked and decides on this stack, and other work gets its turn between a few of
them. While one batch is written the next one is read. Others' requests stand behind two batches at most in the journal.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from actors.commands import Expire
from actors.outcomes import ActorCrashed, ExpiryHandled, Fact
from actors.records import OrderKey
from actors.reply import Reply
from actors.unavailable import MOVING, ROW_DAMAGED, Unavailable
from storage.store import Due
from supervisor.clock import ServiceClock

log = logging.getLogger(__name__)

BATCH_ORDERS_MAX = 250
ASKED_AT_ONCE = 25  # in one turn of the event loop, 2 ms or so
LOOK_ORDERS_MAX = 5_000
RETRY_MS = 500  # for an order that met a bug
TOLD_AGAIN_MS = 60_000  # the log is told once a minute how many expired
PAUSE_S = 0.1  # between looks while there is something to do: "within a second" leaves room


class ExpiryStatistics(Struct, frozen=True):
    """Reservations that expired since the start; orders asked now, and orders that are to be asked again."""

    expired: int
    under_way: int
    failed: int


class Expiry:
    """Looks for due reservations when the soonest is due.

    Args:
        clock: the service clock.
        due: active reservations due by a time, soonest first, at most the number that it is given.
        next_expiry_ms: when the soonest active reservation is due, None if there is none.
        bring: reads the histories of orders that are not in memory, all together.
        ask: posts an `Expire` to an order's mailbox.
        idle_s: the longest sleep, in seconds, so that a mistake here heals by itself.
    """

    def __init__(
        self,
        clock: ServiceClock,
        due: Callable[[int, int], Awaitable[Sequence[Due]]],
        next_expiry_ms: Callable[[], Awaitable[int | None]],
        bring: Callable[[Sequence[OrderKey]], Awaitable[None]],
        ask: Callable[[OrderKey, Expire, Reply[Fact]], None],
        idle_s: float,
    ) -> None:
        self._clock = clock
        self._due = due
        self._next_expiry_ms = next_expiry_ms
        self._bring = bring
        self._ask = ask
        self._idle_ms = int(idle_s * 1_000)
        self._wakes_at_ms = 0
        self._wake = anyio.Event()
        self._failed: dict[OrderKey, int] = {}  # and when to try them again
        self._under_way: dict[OrderKey, Reply[Fact]] = {}
        self._expired = 0
        self._told = 0  # of these, to the log
        self._told_at_ms = -TOLD_AGAIN_MS

    def __repr__(self) -> str:
        return f"<Expiry expired={self._expired} under_way={len(self._under_way)} failed={len(self._failed)}>"

    def statistics(self) -> ExpiryStatistics:
        return ExpiryStatistics(self._expired, len(self._under_way), len(self._failed))

    def note(self, expires_at_ms: int) -> None:
        """A reservation was made that is due then. Wakes the loop if it would sleep longer."""
        if expires_at_ms < self._wakes_at_ms:
            self._wakes_at_ms = expires_at_ms
            self._wake.set()

    async def run(self) -> None:
        """Look, expire and sleep until cancelled.

        Raises:
            StorageError: the database could not be asked.
        """
        before: Sequence[Reply[Fact]] = ()
        while True:
            # Whatever is noted from here on may be missing from what the database says, and wakes the loop.
            self._wakes_at_ms = self._clock.now_ms() + self._idle_ms
            self._wake = anyio.Event()
            # Orders that failed, or wait for a row, are still due, and must not stand in the way of those behind them.
            now_ms = self._clock.now_ms()
            known = len(self._failed) + len(self._under_way)
            found = await self._due(now_ms, min(BATCH_ORDERS_MAX + known, LOOK_ORDERS_MAX))
            due = [one for one in found if one.order not in self._under_way]
            self._failed = {one.order: self._failed[one.order] for one in due if one.order in self._failed}
            if due:
                first = [one for one in due if one.order not in self._failed]
                again = [one for one in due if self._failed.get(one.order, now_ms + 1) <= now_ms]
                ready = (first + again)[:BATCH_ORDERS_MAX]
                asked = await self._expire(ready)
                if len(ready) == BATCH_ORDERS_MAX:
                    await _settled(before)  # while this batch is written, the next one is read
                else:
                    await _settled(asked)
                    await anyio.sleep(PAUSE_S)
                before = asked
                continue
            if self._under_way:
                await anyio.sleep(PAUSE_S)
                continue
            self._tell()
            soonest_ms = await self._next_expiry_ms()
            if soonest_ms is not None:
                self._wakes_at_ms = min(self._wakes_at_ms, soonest_ms)
            await self._sleep()

    def _tell(self) -> None:
        now_ms = self._clock.now_ms()
        if self._expired > self._told and now_ms - self._told_at_ms >= TOLD_AGAIN_MS:
            log.info("reservations_expired", extra={"count": self._expired - self._told})
            self._told, self._told_at_ms = self._expired, now_ms

    async def _sleep(self) -> None:
        while (left_ms := self._wakes_at_ms - self._clock.now_ms()) > 0:
            with anyio.move_on_after(left_ms / 1_000):
                await self._wake.wait()
                self._wake = anyio.Event()

    @property
    def under_way(self) -> Sequence[Reply[Fact]]:
        """Of what has fallen due, and is not over yet."""
        return list(self._under_way.values())

    async def _expire(self, due: Sequence[Due]) -> Sequence[Reply[Fact]]:
        """Ask these orders. Returns their replies."""
        await self._bring([one.order for one in due])
        replies: list[Reply[Fact]] = []
        for place, one in enumerate(due, 1):
            reply: Reply[Fact] = Reply()
            try:
                self._ask(one.order, Expire(one.order.organization_id, one.order.order_id), reply)
            except Unavailable as error:
                self._failed[one.order] = self._again_at_ms(error)
                continue
            self._under_way[one.order] = reply
            reply.when_done(partial(self._settle, one.order, reply))
            replies.append(reply)
            if place % ASKED_AT_ONCE == 0:
                await checkpoint()
        return replies

    def _settle(self, order: OrderKey, reply: Reply[Fact]) -> None:
        self._under_way.pop(order, None)
        try:
            fact = reply.result()
        except Unavailable as error:
            self._failed[order] = self._again_at_ms(error)
        except ActorCrashed:
            self._failed[order] = self._clock.now_ms() + RETRY_MS
        else:
            self._failed.pop(order, None)
            assert isinstance(fact, ExpiryHandled)
            self._expired += fact.expired

    def _again_at_ms(self, error: Unavailable) -> int:
        """When to try again: at the next look, but where what is in the way lasts."""
        lasts = error.reason in (ROW_DAMAGED, MOVING)
        return self._clock.now_ms() + error.retry_after_ms if lasts else 0


async def _settled(replies: Sequence[Reply[Fact]]) -> None:
    """Wait for them a moment: one may have to wait for a row that an import holds."""
    with anyio.move_on_after(PAUSE_S):
        for reply in replies:
            with suppress(Unavailable, ActorCrashed):
                await reply.wait()

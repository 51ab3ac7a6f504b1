"""Passes on what happened: reads the feed, makes events, publishes them, and only then moves its cursor.

Why nothing is lost: the cursor is moved to a place when the broker has confirmed all events up to it, and a relay
begins at its cursor. Why nothing is invented: what it reads is durable. What is sent twice, after a loss of anything,
has the same ids.

Why the order holds: there is one stretch of messages at a time, in the order of the feed, and none of the next is sent
before all of this one are confirmed; after a loss the whole stretch is sent again, and nothing behind it was ever sent.
A consumer that drops what it has heard by its id hears each row and each reservation in order. One stretch is also the
bound on what is in flight. Where a queue refuses some messages of a stretch and takes later ones (a length limit with
`reject-publish`), that queue alone hears them late.

Why two relays of one name never publish: `supervisor/cursors.py` argues it. Here it means that nothing is sent without
a lease, that a stretch under way is cut when it ends, and that it is counted from before it was asked for.

The broker may be away for as long as it likes: the relay keeps its cursor, says what is wrong, and tries again. So may
the server. Neither keeps anything for the relay but its place.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
from msgspec import Struct

from actors.changes import Point
from actors.history_feed import FeedPage
from events.broker_port import Broker, BrokerLost
from events.envelope import EventsFormat, Outgoing
from events.fact_events import events_of
from events.feed_port import CursorLost, FeedAway, HistoryFeed, Progress
from events.relay_lease import LeaseOver, RelayLease
from events.wire_forms import outgoing

log = logging.getLogger(__name__)

PAUSE_MIN_S, PAUSE_MAX_S = 0.1, 5.0
STANDBY_S = 1.0
RENEWALS = 4  # in the time of a lease: some may fail
WAIT_MS = 10_000
LITTLE_BYTES, MUCH_BYTES = 5_000, 200_000  # of a page: a dozen transactions, and some hundreds
CROWD = 5  # times as long to wait for more where more comes
STOP_S = 2.0
PROBLEM_CHARACTERS_MAX = 500


T = TypeVar("T")


class RelayOptions(Struct, frozen=True):
    """How a relay works.

    Args:
        name: of its cursor.
        form: how events are written.
        begin: a token or a time to begin anew from; empty: where the cursor stands.
        in_flight_max: how many messages may be unconfirmed.
        rows_max: how many rows a page of the feed has.
        move_s: the cursor is moved at most so often, in seconds: each move is a write of the database.
        gather_s: how long to wait for more where there is little, in seconds: each page is a read.
    """

    name: str = "relay"
    form: EventsFormat = "erp"
    begin: str = ""
    in_flight_max: int = 1_000
    rows_max: int = 2_000
    move_s: float = 0.5
    gather_s: float = 0.05


class RelayStatistics(Struct, frozen=True):
    """Counts since the start: events that were confirmed, what nothing was bound for among them, and lost brokers."""

    published: int
    unroutable: int
    losses: int


class Stretch(Struct, frozen=True):
    """Messages that are sent together. With all of them confirmed, everything up to `point` is; None: not yet."""

    messages: tuple[Outgoing, ...]
    point: Point | None


def stretches(page: FeedPage, form: EventsFormat, in_flight_max: int) -> Iterator[Stretch]:
    """The events of a page, as many at a time as may be in flight. The last one ends where the page does."""
    waiting: list[Outgoing] = []
    entries = page.entries()
    last = len(entries) - 1
    for place, entry in enumerate(entries):
        waiting += [outgoing(event, form) for event in events_of(entry, page.database_id)]
        while len(waiting) > in_flight_max:
            yield Stretch(tuple(waiting[:in_flight_max]), None)
            del waiting[:in_flight_max]
        is_over = place < last and entries[place + 1].change.lsn > entry.change.lsn
        if is_over and len(waiting) > in_flight_max // 2:
            yield Stretch(tuple(waiting), Point(entry.change.lsn))
            waiting = []
    yield Stretch(tuple(waiting), page.upto)


class Relay:
    """One relay. `run` it once.

    Args:
        feed: the inventory.
        broker: where the events go. It need not be there.
    """

    def __init__(self, feed: HistoryFeed, broker: Broker, options: RelayOptions) -> None:
        self._feed = feed
        self._broker = broker
        self._options = options
        self._published = self._unroutable = self._losses = 0
        self._told = (0, 0)  # of these, what the inventory knows
        self._moved_s = 0.0
        self._rate = 0.0
        self._problem = ""
        self._is_open = False
        self._begin = options.begin

    def __repr__(self) -> str:
        return f"<Relay {self._options.name} to {self._broker.name} {self.statistics()}>"

    def statistics(self) -> RelayStatistics:
        return RelayStatistics(self._published, self._unroutable, self._losses)

    async def run(self) -> None:
        """Pass on until cancelled; then the cursor is given up.

        Raises:
            FeedRefused: the inventory does not have what is asked for.
        """
        try:
            while True:
                await self._serve(await self._take())
        finally:
            with anyio.CancelScope(shield=True):
                await self._broker.close()

    async def _take(self) -> RelayLease:
        """Have the cursor, however long that takes."""
        is_told = False
        while True:
            asked_s = anyio.current_time()
            try:
                held = await self._asked(lambda: self._feed.take(self._options.name, self._begin))
            except CursorLost:
                if not is_told:
                    log.info("standing_by", extra={"cursor": self._options.name})
                is_told = True
                await anyio.sleep(STANDBY_S)
                continue
            if anyio.current_time() - asked_s < held.lease_s:  # else it was asked for too long ago to be of use
                self._begin = ""
                log.info("relaying", extra={"cursor": held.name, "lsn": held.point.lsn, "fence": held.fence})
                return RelayLease(held, asked_s)

    async def _serve(self, lease: RelayLease) -> None:
        """Pass on for as long as the cursor is this relay's."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew, lease, tasks.cancel_scope)
                tasks.start_soon(self._pass_on, lease, tasks.cancel_scope)
        except BaseException:
            await self._release(lease)
            raise
        log.warning("cursor_lost", extra={"cursor": lease.held.name, "fence": lease.held.fence})

    async def _release(self, lease: RelayLease) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_S):
            try:
                await self._say(lease, Progress(lease.point, is_release=True))
            except (FeedAway, CursorLost) as error:
                log.warning("cursor_not_given_up", extra={"cursor": lease.held.name, "why": str(error)})

    async def _renew(self, lease: RelayLease, scope: anyio.CancelScope) -> None:
        """Say again and again that this relay is there, also while the broker is not."""
        while True:
            await anyio.sleep(lease.held.lease_s / RENEWALS)
            try:
                with anyio.move_on_after(lease.held.lease_s):
                    await self._say(lease, Progress())
            except CursorLost:
                scope.cancel()
                return
            except FeedAway:
                pass  # told by the one that reads; without a lease nothing is sent

    async def _say(self, lease: RelayLease, progress: Progress) -> None:
        asked_s, now = anyio.current_time(), (self._published, self._unroutable)
        told = Progress(
            progress.point,
            now[0] - self._told[0],
            now[1] - self._told[1],
            self._rate,
            self._problem[:PROBLEM_CHARACTERS_MAX],
            progress.is_release,
        )
        if progress.point is None and not progress.is_release:
            told = Progress(rate=told.rate, problem=told.problem)  # counts are kept with a place
        await self._feed.move(lease.held, told)
        lease.renew(asked_s)
        if told.point is not None:
            self._told = now

    async def _pass_on(self, lease: RelayLease, scope: anyio.CancelScope) -> None:
        try:
            place = moved = lease.point
            self._moved_s = anyio.current_time()
            while True:
                wait_ms = WAIT_MS if place == moved else int(self._options.move_s * 1_000)
                page = await self._read(place, wait_ms)
                for stretch in stretches(page, self._options.form, self._options.in_flight_max):
                    await self._publish(lease, stretch)
                place = page.upto
                if place != moved and (page.rows.is_empty or self._is_due):
                    await self._move(lease)
                    moved = place
                await self._gather(page.rows.bytes_long)
        except CursorLost:
            scope.cancel()

    async def _gather(self, page_bytes: int) -> None:
        """Let more happen: a page costs the server some 2 ms, whatever is on it. After a full one there is more."""
        if page_bytes < MUCH_BYTES:
            await anyio.sleep(self._options.gather_s * (1 if page_bytes < LITTLE_BYTES else CROWD))

    @property
    def _is_due(self) -> bool:
        return anyio.current_time() - self._moved_s >= self._options.move_s

    async def _read(self, place: Point, wait_ms: int) -> FeedPage:
        return await self._asked(lambda: self._feed.read(place, self._options.rows_max, wait_ms))

    async def _move(self, lease: RelayLease) -> None:
        now_s = anyio.current_time()
        since_s, published = max(now_s - self._moved_s, 0.001), self._published - self._told[0]
        self._rate = round(published / since_s, 1)
        self._moved_s = now_s
        await self._asked(lambda: self._say(lease, Progress(lease.point)))

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the inventory answers, however long it is away."""
        pause_s = PAUSE_MIN_S
        while True:
            try:
                return await ask()
            except FeedAway as error:
                if pause_s == PAUSE_MIN_S:
                    log.warning("inventory_away", extra={"why": str(error)})
                await anyio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _publish(self, lease: RelayLease, stretch: Stretch) -> None:
        """Send a stretch, again and again, until the broker has confirmed it."""
        pause_s = PAUSE_MIN_S
        while stretch.messages:
            try:
                await self._open()
                unroutable = await lease.publish(lambda: self._broker.publish(stretch.messages))
            except (BrokerLost, LeaseOver) as error:
                self._note_loss(error, is_first=pause_s == PAUSE_MIN_S)
                await self._broker.close()
                await anyio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
                continue
            self._published += len(stretch.messages)
            self._unroutable += unroutable
            break
        if stretch.point is not None:
            lease.point = stretch.point

    async def _open(self) -> None:
        if not self._is_open:
            await self._broker.open()
            if self._problem:
                log.info("broker_is_back", extra={"broker": self._broker.name})
            self._is_open, self._problem = True, ""

    def _note_loss(self, error: Exception, *, is_first: bool) -> None:
        self._is_open = False
        self._losses += 1
        self._problem = str(error) or "the lease ended while events were being published"
        if is_first:
            log.warning("broker_lost", extra={"broker": self._broker.name, "why": self._problem})

"""Watches that wait at one place share a read, miss nothing by it, and keep no more than a few pages."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.changes import Change, ChangesPage, Point
from actors.queries import ListReservations, ListStock, ReadChanges
from actors.reply import Reply
from actors.unavailable import Unavailable, database_down
from actors.views import ReservationPage, StockPage
from rpc.fair_turns import FairTurns
from rpc.messages.watch_tokens import watch_token
from rpc.services.change_stream import watch
from rpc.services.watch_pages import KEPT_MAX, WatchPages
from rpc.small_turns import SmallTurns
from tests.rpc.fake_inventory import a_reservation
from tests.rpc.test_history_messages import NOW, a_change

pytestmark = pytest.mark.anyio

Stream = Any
SNAPSHOT: Any = {"from": pb.WatchChangesRequest.FROM_SNAPSHOT}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class History:
    """An inventory in which something happens when the test says so, and which answers reads when it is let.

    Args:
        answers_itself: whether it does that without being let.
    """

    serving = True

    def __init__(self, durable_lsn: int = 0, *, answers_itself: bool = True) -> None:
        self.changes: list[Change] = [a_change(lsn) for lsn in range(1, durable_lsn + 1)]
        self.durable_lsn = durable_lsn
        self.reservations: list[Any] = []
        self.reads: list[ReadChanges] = []
        self.waiting: list[tuple[ReadChanges, Reply[Any]]] = []
        self.asked: list[tuple[ReadChanges, Reply[Any]]] = []
        self.lists = 0
        self._answers_itself = answers_itself

    async def ask(self, command: Any) -> Any: ...
    def submit(self, command: Any) -> Any: ...

    def answer(self, query: Any) -> Any:
        reply: Reply[Any] = Reply()
        if isinstance(query, ListStock):
            reply.set(StockPage((), None))
        elif isinstance(query, ListReservations):
            self.lists += 1
            ids = [one.reservation_id for one in self.reservations]
            begin = ids.index(query.before) + 1 if query.before else 0
            found = self.reservations[begin : begin + query.limit] if query.state == "active" else []
            more = begin + query.limit < len(ids) and bool(found)
            reply.set(ReservationPage(tuple(found), found[-1].reservation_id if more else ""))
        elif query.after is None or not query.rows_max:
            reply.set(ChangesPage((), query.after or Point(self.durable_lsn), self.durable_lsn, 1, "database"))
        elif query.wait_ms and query.after.lsn >= self.durable_lsn:
            self.waiting.append((query, reply))
        else:
            self.reads.append(query)
            self._read(query, reply)
        return reply

    def _read(self, query: ReadChanges, reply: Reply[Any]) -> None:
        self.asked.append((query, reply))
        if self._answers_itself:
            self.let()

    def let(self) -> None:
        """Answer what is asked."""
        asked, self.asked = self.asked, []
        for query, reply in asked:
            assert query.after is not None
            found = [one for one in self.changes if one.lsn > query.after.lsn][:10]
            upto = found[-1].lsn if len(found) == 10 else self.durable_lsn
            reply.set(ChangesPage(tuple(found), Point(upto), self.durable_lsn, 1, "database"))

    def happen(self) -> None:
        self.durable_lsn += 1
        self.changes.append(a_change(self.durable_lsn))
        waiting, self.waiting = self.waiting, []
        for query, reply in waiting:
            self.reads.append(query)
            self._read(query, reply)

    def fail(self) -> None:
        for _, reply in self.waiting:
            reply.fail(database_down())
        self.waiting = []


def begin(history: History, pages: WatchPages, **fields: Any) -> Stream:
    return watch(history, pb.WatchChangesRequest(organization_id="org", **fields), pages)


def behind(history: History, pages: WatchPages, lsn: int) -> Stream:
    return begin(history, pages, token=watch_token("org", "database", Point(lsn)))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


async def lsns(stream: Stream, count: int) -> list[int]:
    return [(await anext(stream)).lsn for _ in range(count)]


async def test_all_watches_at_the_end_are_woken_by_one_read() -> None:
    history = History(3)
    pages = WatchPages(history, small=SmallTurns())
    streams = [begin(history, pages, **NOW) for _ in range(50)]
    assert {(await anext(stream)).lsn for stream in streams} == {3}
    heard = [asyncio.ensure_future(lsns(stream, 2)) for stream in streams]
    await until(lambda: pages.statistics().waiting == 50)
    history.happen()
    await until(lambda: pages.statistics().waiting == 50)
    history.happen()
    async with asyncio.timeout(30):
        assert await asyncio.gather(*heard) == [[4, 5]] * 50
    assert len(history.reads) == 2


async def test_one_that_comes_later_joins_the_read_that_waits_and_hears_only_what_is_behind_its_place() -> None:
    history = History(3)
    pages = WatchPages(history, small=SmallTurns())
    first = begin(history, pages, **NOW)
    await anext(first)
    early = asyncio.ensure_future(lsns(first, 2))
    await until(lambda: pages.statistics().waiting == 1)
    history.durable_lsn += 1  # something that the waiting read has not been told of yet
    history.changes.append(a_change(4))
    second = begin(history, pages, **NOW)
    assert (await anext(second)).lsn == 4
    late = asyncio.ensure_future(lsns(second, 1))
    await until(lambda: pages.statistics().waiting == 2)
    history.happen()
    async with asyncio.timeout(30):
        assert (await early, await late) == ([4, 5], [5])
    assert len(history.reads) == 1


async def test_one_whose_place_is_behind_what_it_joined_tells_reads_for_itself() -> None:
    history = History(3, answers_itself=False)
    pages = WatchPages(history, small=SmallTurns())
    first = begin(history, pages, **NOW)
    await anext(first)
    early = asyncio.ensure_future(lsns(first, 1))
    await until(lambda: pages.statistics().waiting == 1)
    history.happen()
    asked, history.asked = history.asked, []
    history.happen()
    second = begin(history, pages, **NOW)
    assert (await anext(second)).lsn == 5
    late = asyncio.ensure_future(lsns(second, 1))
    await until(lambda: pages.statistics().waiting == 2)
    for _, reply in asked:  # was read before the second thing happened
        reply.set(ChangesPage((a_change(4),), Point(4), 5, 1, "database"))
    async with asyncio.timeout(30):
        assert await early == [4]
    await until(lambda: bool(history.asked))
    history.let()
    await until(lambda: bool(history.waiting))
    history.happen()
    history.let()
    async with asyncio.timeout(30):
        assert await late == [6]


async def test_those_that_are_behind_have_one_read_under_way_at_a_time() -> None:
    history = History(40, answers_itself=False)
    turns = FairTurns()
    turns._company.note("org")
    turns._company.note("other")
    pages = WatchPages(history, turns, SmallTurns())
    streams = [behind(history, pages, lsn) for lsn in range(20) for _ in range(2)]
    heard = [asyncio.ensure_future(lsns(stream, 6)) for stream in streams]
    most = 0
    async with asyncio.timeout(30):
        while not all(one.done() for one in heard):
            most = max(most, len(history.asked))
            history.let()
            await asyncio.sleep(0)
    assert most == 1
    assert [one.result() for one in heard] == [[lsn, *range(lsn + 1, lsn + 6)] for lsn in range(20) for _ in range(2)]
    assert len(history.reads) == 20


async def test_nothing_is_read_for_watches_that_have_gone() -> None:
    history = History(40, answers_itself=False)
    turns = FairTurns()
    pages = WatchPages(history, turns, SmallTurns())
    streams = [behind(history, pages, lsn) for lsn in range(20)]
    for stream in streams:
        await anext(stream)
    heard = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await until(lambda: pages.statistics().waiting == 20 and bool(history.asked))
    begun = len(history.asked)
    for one in heard:
        one.cancel()
    await asyncio.gather(*heard, return_exceptions=True)
    history.let()
    await until(lambda: not turns.statistics().requests)
    assert len(history.reads) == begun < 5
    assert turns.statistics() == (0, 0, 0)
    assert pages.statistics()[:2] == (0, 0)


async def test_where_the_service_fails_all_that_wait_are_told() -> None:
    history = History(3)
    pages = WatchPages(history, small=SmallTurns())
    streams = [begin(history, pages, **NOW) for _ in range(5)]
    for stream in streams:
        await anext(stream)
    heard = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await until(lambda: pages.statistics().waiting == 5)
    heard.pop().cancel()  # and one that has gone does not matter
    history.fail()
    async with asyncio.timeout(30):
        told = await asyncio.gather(*heard, return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 4
    assert pages.statistics() == (0, 0, 0)


async def test_a_watch_whose_page_was_dropped_goes_on_where_it_was() -> None:
    history = History(300)
    pages = WatchPages(history, small=SmallTurns())
    streams = [behind(history, pages, lsn) for lsn in range(3 * KEPT_MAX)]
    for lsn, stream in enumerate(streams):
        assert await lsns(stream, 2) == [lsn, lsn + 1]
    assert pages.statistics().kept == KEPT_MAX
    for lsn, stream in enumerate(streams):
        assert await lsns(stream, 12) == list(range(lsn + 2, lsn + 14))
        await stream.aclose()
    del stream, streams
    assert pages.statistics().kept == 0


async def test_a_snapshot_whose_page_was_dropped_has_every_reservation_once() -> None:
    history = History(1)
    history.reservations = [replace(a_reservation(), reservation_id=f"r{number}") for number in range(20)]
    pages = WatchPages(history, small=SmallTurns())
    streams = [begin(history, pages, **SNAPSHOT) for _ in range(KEPT_MAX + 5)]
    told: list[list[str]] = []
    for stream in streams:
        assert (await anext(stream)).kind == "snapshot"
        told.append([(await anext(stream)).reservation.reservation_id for _ in range(5)])
    for one, stream in zip(told, streams, strict=True):
        one += [(await anext(stream)).reservation.reservation_id for _ in range(15)]
        assert (await anext(stream)).snapshot_done
    assert told == [[f"r{number}" for number in range(20)]] * len(streams)
    assert history.lists > 2 * len(streams)

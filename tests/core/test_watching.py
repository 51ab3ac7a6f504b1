"""Those who follow what happens: told when it is durable, woken at once, and let go at the end."""

from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from actors.changes import ChangesPage, Point
from actors.commands import Confirm, Line, Reserve
from actors.queries import ReadChanges
from actors.records import RowChange, StockRecord, Transaction
from actors.unavailable import Unavailable
from storage.memory_store import MemoryStore
from supervisor.news import ROWS_LOOKED_AT_MAX, News
from supervisor.supervisor import Supervisor
from supervisor.watching import READS_MAX
from tests.core.conftest import ORGANIZATION, World, bring, reserve

pytestmark = pytest.mark.anyio


async def read(core: Supervisor, after: Point | None, *, wait_ms: int = 0, of: str = ORGANIZATION) -> ChangesPage:
    return await core.answer(ReadChanges(of, after, wait_ms=wait_ms)).wait()


async def test_what_happened_is_told_from_any_place_and_then_what_happens_next(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        made = await reserve(core, "order", ("a", "w", 2))
        await core.ask(Confirm(ORGANIZATION, made.reservation_id, "order"))
        page = await read(core, Point(0))
        assert [change.kind for change in page.changes] == ["import", "reserve", "confirm"]
        assert page.upto == Point(page.durable_lsn) == (await read(core, None)).upto
        assert [change.kind for change in (await read(core, Point(1))).changes] == ["reserve", "confirm"]
        assert (await read(core, page.upto)).changes == ()


async def test_a_waiting_reader_is_woken_by_its_own_organization_alone(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        end = (await read(core, None)).upto
        mine = core.answer(ReadChanges(ORGANIZATION, end, wait_ms=60_000))
        others = core.answer(ReadChanges("others", end, wait_ms=60_000))
        await anyio.wait_all_tasks_blocked()
        await reserve(core, "order", ("a", "w", 2))
        with anyio.fail_after(30):
            assert [change.kind for change in (await mine.wait()).changes] == ["reserve"]
        assert not others.is_done


async def test_a_reader_of_a_quiet_organization_waits_while_others_are_busy(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        place = (await read(core, None)).upto
        await reserve(core, "order", ("a", "w", 2))
        waiting = core.answer(ReadChanges("quiet", place, wait_ms=60_000))
        behind = core.answer(ReadChanges(ORGANIZATION, place, wait_ms=60_000))
        with anyio.fail_after(30):
            assert [change.kind for change in (await behind.wait()).changes] == ["reserve"]
        await anyio.wait_all_tasks_blocked()
        assert not waiting.is_done


async def test_after_a_restart_a_reader_hears_of_what_happened_before_it(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
    async with world.core() as core:
        assert [change.kind for change in (await read(core, Point(0), wait_ms=60_000)).changes] == ["import"]


async def test_few_pages_are_read_at_one_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most, right = 0, 0, MemoryStore.read_changes

    async def read_changes(store: MemoryStore, organization_id: str, after: Point, rows_max: int) -> object:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await anyio.lowlevel.checkpoint()
            return await right(store, organization_id, after, rows_max)
        finally:
            under_way -= 1

    monkeypatch.setattr(MemoryStore, "read_changes", read_changes)
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        readers = [core.answer(ReadChanges(ORGANIZATION, Point(0))) for _ in range(3 * READS_MAX)]
        assert all([len((await one.wait()).changes) == 1 for one in readers])
        assert most == READS_MAX


def test_news_takes_an_organization_that_it_forgot_for_as_busy_as_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.news.ORGANIZATIONS_MAX", 2)
    news = News(3)
    assert news.is_quiet_since("a", 3)
    assert not news.is_quiet_since("a", 2)
    for lsn, organization in ((4, "a"), (5, "b"), (6, "a"), (7, "c")):
        record = StockRecord(organization, "v", "w", "stock")
        news.publish([Transaction(lsn, 0, "receive", (RowChange(record, record),))])
    quiet_since = {one: min(lsn for lsn in range(9) if news.is_quiet_since(one, lsn)) for one in ("a", "b", "c", "d")}
    assert quiet_since == {"a": 6, "b": 5, "c": 7, "d": 5}
    changes = tuple([RowChange(record, record)] * (ROWS_LOOKED_AT_MAX + 1))
    news.publish([Transaction(8, 0, "import", changes)])
    assert not any(news.is_quiet_since(one, 7) for one in ("a", "b", "c", "d"))


async def test_a_wait_is_over_when_its_time_is(world: World) -> None:
    async with world.core() as core:
        end = (await read(core, None)).upto
        assert (await read(core, end, wait_ms=5)).changes == ()


async def test_a_stop_ends_every_wait(world: World) -> None:
    async with world.core() as core:
        end = (await read(core, None)).upto
        waiting = core.answer(ReadChanges(ORGANIZATION, end, wait_ms=600_000))
        await anyio.wait_all_tasks_blocked()
        core.stop()
        with anyio.fail_after(30):
            with suppress(Unavailable):
                assert (await waiting.wait()).changes == ()


async def test_a_reader_that_asks_for_what_is_not_there_yet_is_told_where_the_history_ends(world: World) -> None:
    async with world.core() as core:
        page = await read(core, Point(1_000))
        assert (page.changes, page.upto) == ((), Point(0))


async def test_news_forgets_readers_that_left(world: World) -> None:
    news = News()
    event = news.expect("o")
    await news.wait("o", event, 0.001)
    assert news.statistics().waiting == 0
    news.end()
    assert news.expect("o").is_set()


async def test_undecided_and_undurable_reservations_are_not_told(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        end = (await read(core, None)).upto
        reply = core.submit(Reserve(ORGANIZATION, "order", (Line("a", "w", 1),), 15))
        page = await read(core, end)
        assert len(page.changes) == (page.upto.lsn > end.lsn)
        assert page.upto.lsn <= world.disk.last_lsn
        await reply.wait()

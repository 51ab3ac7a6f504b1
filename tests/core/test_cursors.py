"""A cursor has one relay at a time, whatever relays, servers and clocks do; and the feed tells all organizations."""

import anyio
import pytest

from actors.changes import Point
from actors.history_feed import CursorAnswer, CursorRecord, FeedPage
from actors.queries import DropCursor, ListCursors, MoveCursor, ReadFeed, TakeCursor
from storage.memory_store import MemoryStore
from supervisor.cursors import CURSORS_MAX, LEASE_S
from supervisor.supervisor import Supervisor
from tests.core.conftest import World, bring, reserve

pytestmark = pytest.mark.anyio


async def take(core: Supervisor, name: str = "relay", begin: Point | None = None, begin_ms: int = 0) -> CursorAnswer:
    return await core.answer(TakeCursor("", name, begin, begin_ms)).wait()


async def move(core: Supervisor, cursor: CursorRecord | None, lsn: int = 0, *, release: bool = False) -> CursorAnswer:
    assert cursor is not None
    point = Point(lsn) if lsn else None
    return await core.answer(MoveCursor("", cursor.name, cursor.fence, point, 3, 1, 2.5, "", release)).wait()


async def read(core: Supervisor, after: Point | None, *, wait_ms: int = 0, from_ms: int = 0) -> FeedPage:
    return await core.answer(ReadFeed("", after, from_ms, wait_ms=wait_ms)).wait()


@pytest.fixture
def world(world: World) -> World:
    world.monotonic_s = world.time
    return world


async def test_a_new_cursor_begins_at_the_end_and_one_that_was_there_where_it_stood(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        first = (await take(core)).cursor
        assert first is not None
        assert (first.point, first.fence, first.is_released) == (Point(1), 1, False)
        await reserve(core, "order", ("a", "w", 2))
        moved = (await move(core, first, 2, release=True)).cursor
        again = (await take(core)).cursor
        assert moved is not None
        assert again is not None
        assert (again.point, again.fence, again.published, again.unroutable) == (Point(2), 2, 3, 1)
        at = (await move(core, again, release=True)).cursor
        assert at is not None
        begun = (await take(core, begin=Point(1))).cursor
        assert begun is not None
        assert begun.point == Point(1)


async def test_a_relay_that_is_heard_of_keeps_its_cursor_and_one_that_is_not_loses_it(world: World) -> None:
    async with world.core() as core:
        first = await take(core)
        assert first.lease_ms == LEASE_S * 1_000
        world.time.now_s += LEASE_S - 0.1
        assert (await take(core)).cursor is None
        assert (await move(core, first.cursor)).cursor == first.cursor  # a sign of life
        world.time.now_s += LEASE_S - 0.1
        assert (await take(core)).cursor is None
        world.time.now_s += 0.2
        second = await take(core)
        assert second.cursor is not None
        assert second.cursor.fence == 2
        lost = await move(core, first.cursor, 7)
        assert (lost.cursor, lost.is_known) == (None, True)
        assert (await move(core, second.cursor)).cursor == second.cursor  # and what the first said changed nothing


async def test_a_cursor_does_not_go_back(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        cursor = (await take(core)).cursor
        await move(core, cursor, 9)
        moved = (await move(core, cursor, 4)).cursor
        assert moved is not None
        assert moved.point == Point(9)


async def test_after_a_restart_a_relay_keeps_its_cursor_for_as_long_as_it_may_publish(world: World) -> None:
    async with world.core() as core:
        first = (await take(core)).cursor
    async with world.core() as core:
        world.time.now_s += LEASE_S - 0.1
        assert (await take(core)).cursor is None
        world.time.now_s += 0.2
        assert (await take(core)).cursor is not None
        assert (await move(core, first)).cursor is None


async def test_a_cursor_that_no_relay_has_can_be_forgotten(world: World) -> None:
    async with world.core() as core:
        cursor = (await take(core)).cursor
        held = await core.answer(DropCursor("", "relay")).wait()
        assert (held.cursor, held.is_known) == (None, True)
        await move(core, cursor, release=True)
        assert (await core.answer(DropCursor("", "relay")).wait()).cursor is not None
        unknown = await core.answer(DropCursor("", "relay")).wait()
        assert (unknown.cursor, unknown.is_known) == (None, False)
        assert (await move(core, cursor)).is_known is False
        assert (await core.answer(ListCursors("")).wait()).cursors == ()


async def test_how_far_a_relay_is_behind_is_told(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        cursor = (await take(core)).cursor
        world.wall_ms += 1_000
        await reserve(core, "order", ("a", "w", 2))
        await reserve(core, "other", ("a", "w", 2))
        await move(core, cursor)
        [view] = (await core.answer(ListCursors("")).wait()).cursors
        assert (view.is_held, view.behind, view.rate) == (True, 2, 2.5)
        assert view.waiting_since_ms > 0
        await move(core, cursor, 3)
        [view] = (await core.answer(ListCursors("")).wait()).cursors
        assert (view.behind, view.waiting_since_ms) == (0, 0)
        assert core.statistics() is not None


async def test_the_number_of_cursors_is_bounded_and_those_there_are_go_on(world: World) -> None:
    async with world.core() as core:
        first = (await take(core, "relay")).cursor
        assert first is not None
        for number in range(1, CURSORS_MAX):
            assert (await take(core, f"relay-{number}")).cursor is not None
        refused = await take(core, "one-more")
        assert (refused.cursor, refused.is_known) == (None, False)
        assert len((await core.answer(ListCursors("")).wait()).cursors) == CURSORS_MAX == 100  # as docs/events.md says
        assert (await move(core, first, release=True)).cursor is not None
        assert (await take(core, first.name)).cursor is not None
        world.time.now_s += LEASE_S
        await core.answer(DropCursor("", "relay-1")).wait()
        assert (await take(core, "one-more")).cursor is not None


async def test_a_list_of_cursors_looks_once_behind_each_that_has_not_moved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, right = list[Point](), MemoryStore.read_feed

    async def read_feed(store: MemoryStore, after: Point, rows_max: int) -> object:
        looks.append(after)
        return await right(store, after, rows_max)

    monkeypatch.setattr(MemoryStore, "read_feed", read_feed)
    async with world.core() as core:
        cursor = (await take(core)).cursor
        await take(core, "other")
        await bring(core, {("a", "w"): 5})
        await reserve(core, "order", ("a", "w", 2))
        lists = [core.answer(ListCursors("")) for _ in range(20)]
        views = [(await one.wait()).cursors for one in lists]
        assert len(looks) == 2
        assert all(view == views[0] for view in views)
        await move(core, cursor, 1)
        await core.answer(ListCursors("")).wait()
        assert looks == [Point(0), Point(0), Point(1)]


async def test_the_feed_wakes_its_reader_at_a_change_in_any_organization(world: World) -> None:
    async with world.core() as core:
        end = (await read(core, None)).upto
        waiting = core.answer(ReadFeed("", end, wait_ms=60_000))
        await anyio.wait_all_tasks_blocked()
        await bring(core, {("a", "w"): 5})
        with anyio.fail_after(30):
            page = await waiting.wait()
        assert [(one.organization_id, one.change.kind) for one in page.entries()] == [("org_1", "import")]
        assert page.upto == Point(1)


async def test_the_feed_begins_at_a_time(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w"): 5})
        await reserve(core, "order", ("a", "w", 2))
        page = await read(core, None, from_ms=1)
        assert [one.change.kind for one in page.entries()] == ["import", "reserve"]
        later = await read(core, None, from_ms=world.disk.last_at_ms + 1)
        assert later.entries() == ()

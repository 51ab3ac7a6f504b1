"""The calls of relays: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import error_details
from stockkeeper_client.v1 import events_pb2 as pb
from stockkeeper_client.v1.events_pb2_grpc import EventsServiceStub

from actors.changes import Point
from actors.feed_entries import FeedRows, entries_told, rows_of
from actors.history_feed import CursorAnswer, CursorList, CursorRecord, CursorView, FeedPage
from actors.queries import DropCursor, ListCursors, MoveCursor, ReadFeed, TakeCursor
from rpc.messages import feed_messages
from rpc.messages.rules import Invalid
from rpc.messages.watch_tokens import watch_token
from storage.feed_told import entries_of
from tests.rpc.fake_inventory import AT_MS, FakeInventory
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio

RECORD = CursorRecord("relay", 3, Point(7, 2), 10, 1, AT_MS, is_released=False)
CURSOR = pb.Cursor(
    name="relay",
    fence=3,
    place=pb.FeedPlace(lsn=7, position=2),
    token=watch_token("", "d", Point(7, 2)),
    published=10,
    unroutable=1,
    moved_at="2026-01-31T12:00:00.123Z",
)
TOKEN = watch_token("", "d", Point(5))


@pytest.fixture
def relay(channel: grpc.aio.Channel) -> EventsServiceStub:
    return EventsServiceStub(channel)


async def reason(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return str(error_details(refused.value).reason)


async def test_the_feed_is_read_from_a_place_a_token_and_a_time(relay: EventsServiceStub, fake: FakeInventory) -> None:
    entries = tuple(entry for one in Scribe().reserve_after_receiving() for entry in entries_of(one))
    fake.view = FeedPage(rows_of(entries), Point(6, 1), Point(8), 9, 1, "d")
    request = pb.ReadFeedRequest(after=pb.FeedPlace(lsn=6, position=1), wait_ms=5, rows_max=7)
    page = await relay.ReadFeed(request)
    assert page.after == pb.FeedPlace(lsn=6, position=1)
    assert entries_told(FeedRows(page.entries, page.lines), Point(0), None) == entries
    assert (page.upto, page.token) == (pb.FeedPlace(lsn=8, position=2**31 - 1), watch_token("", "d", Point(8)))
    assert (page.durable_lsn, page.database_id) == (9, "d")
    await relay.ReadFeed(pb.ReadFeedRequest(token=TOKEN))
    await relay.ReadFeed(pb.ReadFeedRequest(from_time="2026-01-31T12:00:00.123Z"))
    await relay.ReadFeed(pb.ReadFeedRequest())
    assert fake.asked == [
        ReadFeed("", Point(6, 1), 0, 7, 5),
        ReadFeed("", Point(5), 0, 1_000, 0),
        ReadFeed("", None, AT_MS, 1_000, 0),
        ReadFeed("", None, 0, 1_000, 0),
    ]


async def test_what_is_not_kept_is_said_and_a_token_of_another_database_refused(
    relay: EventsServiceStub, fake: FakeInventory
) -> None:
    fake.view = FeedPage(FeedRows(), Point(5), Point(8), 9, 7, "d")
    assert await reason(relay.ReadFeed(pb.ReadFeedRequest(token=TOKEN))) == "HISTORY_NOT_KEPT"
    fake.view = FeedPage(FeedRows(), Point(5), Point(8), 9, 1, "e")
    assert await reason(relay.ReadFeed(pb.ReadFeedRequest(token=TOKEN))) == "TOKEN_UNKNOWN"
    assert await reason(relay.TakeCursor(pb.TakeCursorRequest(name="relay", from_token=TOKEN))) == "TOKEN_UNKNOWN"
    assert not any(isinstance(asked, TakeCursor) for asked in fake.asked)


async def test_a_cursor_is_taken_moved_listed_and_dropped(relay: EventsServiceStub, fake: FakeInventory) -> None:
    fake.view = CursorAnswer(RECORD, 3_000, database_id="d")
    taken = await relay.TakeCursor(pb.TakeCursorRequest(name="relay", from_time="2026-01-31T12:00:00.123Z"))
    assert (taken.cursor, taken.lease_ms, taken.database_id) == (CURSOR, 3_000, "d")
    move = pb.MoveCursorRequest(name="relay", fence=3, place=pb.FeedPlace(lsn=7, position=2), published=2, rate=1.5)
    assert (await relay.MoveCursor(move)).cursor == CURSOR
    await relay.MoveCursor(pb.MoveCursorRequest(name="relay", fence=3, problem="no broker", release=True))
    assert (await relay.DropCursor(pb.DropCursorRequest(name="relay"))).message == "The cursor relay is forgotten"
    fake.view = CursorList((CursorView(RECORD, True, 4, AT_MS, 2.5, "no broker"),), "d")
    [state] = (await relay.ListCursors(pb.ListCursorsRequest())).cursors
    assert (state.cursor, state.held, state.behind, state.rate, state.problem) == (CURSOR, True, 4, 2.5, "no broker")
    assert state.waiting_since == "2026-01-31T12:00:00.123Z"
    assert fake.asked == [
        TakeCursor("", "relay", None, AT_MS),
        MoveCursor("", "relay", 3, Point(7, 2), 2, 0, 1.5),
        MoveCursor("", "relay", 3, problem="no broker", is_release=True),
        DropCursor("", "relay"),
        ListCursors(""),
    ]


async def test_a_relay_that_has_no_cursor_is_told_why(relay: EventsServiceStub, fake: FakeInventory) -> None:
    fake.view = CursorAnswer(None, database_id="d")
    for call in (
        relay.TakeCursor(pb.TakeCursorRequest(name="relay")),
        relay.MoveCursor(pb.MoveCursorRequest(name="relay")),
        relay.DropCursor(pb.DropCursorRequest(name="relay")),
    ):
        assert await reason(call) == "CURSOR_NOT_HELD"
    fake.view = CursorAnswer(None, is_known=False, database_id="d")
    assert await reason(relay.MoveCursor(pb.MoveCursorRequest(name="relay"))) == "CURSOR_UNKNOWN"
    assert await reason(relay.DropCursor(pb.DropCursorRequest(name="relay"))) == "CURSOR_UNKNOWN"
    assert await reason(relay.TakeCursor(pb.TakeCursorRequest(name="relay"))) == "TOO_MANY_CURSORS"


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.ReadFeedRequest(token="nonsense", wait_ms=-1, rows_max=10_001), ["token", "wait_ms", "rows_max"]),
        (pb.ReadFeedRequest(after=pb.FeedPlace(lsn=-1), from_time="noon"), ["after", "from_time", "after"]),
        (pb.TakeCursorRequest(from_token="x", from_time="x"), ["name", "from_token", "from_time", "from_time"]),
        (
            pb.MoveCursorRequest(fence=-1, place=pb.FeedPlace(position=-1), published=-1, rate=-1, problem="\n"),
            ["name", "place", "fence", "published", "problem", "rate"],
        ),
        (pb.DropCursorRequest(name="x" * 129), ["name"]),
    ],
)
def test_all_that_is_wrong_is_named(request_: Any, fields: list[str]) -> None:
    read: dict[Any, Any] = {
        pb.ReadFeedRequest: feed_messages.read_feed,
        pb.TakeCursorRequest: feed_messages.take_cursor,
        pb.MoveCursorRequest: feed_messages.move_cursor,
        pb.DropCursorRequest: feed_messages.drop_cursor,
    }
    with pytest.raises(Invalid) as invalid:
        read[type(request_)](request_)
    assert [one.field for one in invalid.value.violations] == fields

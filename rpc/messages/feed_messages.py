"""What relays ask becomes queries, and what they are told becomes messages."""

from stockkeeper_client.v1 import events_pb2 as pb

from actors.changes import WHOLE, Point
from actors.history_feed import CursorAnswer, CursorList, CursorRecord, CursorView, FeedPage
from actors.queries import DropCursor, ListCursors, MoveCursor, ReadFeed, TakeCursor
from rpc.messages.field_checks import check_id, raise_if_any
from rpc.messages.history_messages import TIME_RULE, milliseconds
from rpc.messages.problems import CursorNotHeld, CursorUnknown, HistoryNotKept, TooManyCursors
from rpc.messages.responses import timestamp
from rpc.messages.rules import NOTE_RULE, Invalid, Violation, is_note
from rpc.messages.watch_tokens import WatchToken, read_watch_token, watch_token

ROWS_DEFAULT, ROWS_MAX = 1_000, 10_000
WAIT_MS_MAX = 60_000
FEED_TOKEN_RULE = "must be a token of the feed, as ListCursors shows it"
ALL = ""  # whose changes the feed's tokens are of


def read_feed(request: pb.ReadFeedRequest) -> tuple[ReadFeed, WatchToken | None]:
    """Raises `Invalid`, as all of `rpc.messages.validation` do. A token must be of the database that answers."""
    faults: list[Violation] = []
    after = _place(faults, "after", request.after) if request.HasField("after") else None
    token = _token(faults, "token", request.token)
    from_ms = _moment(faults, "from_time", request.from_time)
    if sum((after is not None, bool(request.token), bool(request.from_time))) > 1:
        faults.append(Violation("after", "must be absent where another field says from where"))
    if not 0 <= request.wait_ms <= WAIT_MS_MAX:
        faults.append(Violation("wait_ms", f"must be 0 to {WAIT_MS_MAX}"))
    if not 0 <= request.rows_max <= ROWS_MAX:
        faults.append(Violation("rows_max", f"must be 0 to {ROWS_MAX}"))
    raise_if_any(faults)
    if token is not None:
        after = Point(token.lsn, token.position)
    return ReadFeed("", after, from_ms, request.rows_max or ROWS_DEFAULT, request.wait_ms), token


def take_cursor(request: pb.TakeCursorRequest) -> tuple[TakeCursor, WatchToken | None]:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    check_id(faults, "name", request.name)
    token = _token(faults, "from_token", request.from_token)
    begin_ms = _moment(faults, "from_time", request.from_time)
    if request.from_token and request.from_time:
        faults.append(Violation("from_time", "must be empty where a token says from where"))
    raise_if_any(faults)
    begin = None if token is None else Point(token.lsn, token.position)
    return TakeCursor("", request.name, begin, begin_ms), token


def move_cursor(request: pb.MoveCursorRequest) -> MoveCursor:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    check_id(faults, "name", request.name)
    point = _place(faults, "place", request.place) if request.HasField("place") else None
    counts = [field for field in ("fence", "published", "unroutable") if getattr(request, field) < 0]
    faults += [Violation(field, "must not be negative") for field in counts]
    if not is_note(request.problem):
        faults.append(Violation("problem", NOTE_RULE))
    if not 0 <= request.rate < float("inf"):
        faults.append(Violation("rate", "must be a number, and not negative"))
    raise_if_any(faults)
    added = request.published, request.unroutable
    return MoveCursor("", request.name, request.fence, point, *added, request.rate, request.problem, request.release)


def drop_cursor(request: pb.DropCursorRequest) -> DropCursor:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    check_id(faults, "name", request.name)
    raise_if_any(faults)
    return DropCursor("", request.name)


def list_cursors(request: pb.ListCursorsRequest) -> ListCursors:
    """There is nothing in it."""
    return ListCursors("")


def _place(faults: list[Violation], field: str, place: pb.FeedPlace) -> Point:
    if place.lsn < 0 or place.position < 0:
        faults.append(Violation(field, "must not be negative"))
    return Point(place.lsn, place.position)


def _token(faults: list[Violation], field: str, text: str) -> WatchToken | None:
    try:
        return read_watch_token(text, ALL) if text else None
    except ValueError:
        faults.append(Violation(field, FEED_TOKEN_RULE))
        return None


def _moment(faults: list[Violation], field: str, text: str) -> int:
    try:
        return milliseconds(text) if text else 0
    except ValueError:
        faults.append(Violation(field, TIME_RULE))
        return 0


def check_database(token: WatchToken | None, database_id: str, durable_lsn: int) -> None:
    """Raises `Invalid` if a token is of another database, or of a later state of this one."""
    if token is not None and (token.database_id != database_id or token.lsn > durable_lsn):
        raise Invalid([Violation("token", "is of another database, or of a later state of this one")], "TOKEN_UNKNOWN")


# ---- answers ----------------------------------------------------------------------------------------------------


def feed_page(query: ReadFeed, token: WatchToken | None, page: FeedPage) -> pb.ReadFeedResponse:
    """Raises `Invalid` and `HistoryNotKept`."""
    check_database(token, page.database_id, page.durable_lsn)
    after = query.after
    needed_lsn = 0 if after is None else after.lsn + (after.position == WHOLE)
    if after is not None and needed_lsn < page.first_lsn and needed_lsn <= page.durable_lsn:
        raise HistoryNotKept(f"What happened before LSN {page.first_lsn} is not kept: begin later")
    return pb.ReadFeedResponse(
        entries=page.rows.entries,
        lines=page.rows.lines,
        after=_message_of(page.after),
        upto=_message_of(page.upto),
        token=watch_token(ALL, page.database_id, page.upto),
        durable_lsn=page.durable_lsn,
        database_id=page.database_id,
    )


def cursor_taken(answer: CursorAnswer) -> pb.TakeCursorResponse:
    """Raises `CursorNotHeld` and `TooManyCursors`."""
    if answer.cursor is None:
        raise CursorNotHeld("Another relay has this cursor") if answer.is_known else TooManyCursors()
    cursor = _cursor(answer.cursor, answer.database_id)
    return pb.TakeCursorResponse(cursor=cursor, lease_ms=answer.lease_ms, database_id=answer.database_id)


def cursor_moved(answer: CursorAnswer) -> pb.MoveCursorResponse:
    """Raises `CursorNotHeld` and `CursorUnknown`."""
    if answer.cursor is None:
        raise CursorNotHeld("Another relay has this cursor now") if answer.is_known else CursorUnknown()
    return pb.MoveCursorResponse(cursor=_cursor(answer.cursor, answer.database_id), lease_ms=answer.lease_ms)


def cursor_dropped(answer: CursorAnswer) -> pb.DropCursorResponse:
    """Raises `CursorNotHeld` and `CursorUnknown`."""
    if answer.cursor is None:
        raise CursorNotHeld("A relay has this cursor: stop it first") if answer.is_known else CursorUnknown()
    return pb.DropCursorResponse(message=f"The cursor {answer.cursor.name} is forgotten")


def cursor_list(answer: CursorList) -> pb.ListCursorsResponse:
    return pb.ListCursorsResponse(cursors=[_state(one, answer.database_id) for one in answer.cursors])


def _state(one: CursorView, database_id: str) -> pb.CursorState:
    return pb.CursorState(
        cursor=_cursor(one.record, database_id),
        held=one.is_held,
        behind=one.behind,
        waiting_since=timestamp(one.waiting_since_ms) if one.waiting_since_ms else "",
        rate=one.rate,
        problem=one.problem,
    )


def _cursor(one: CursorRecord, database_id: str) -> pb.Cursor:
    return pb.Cursor(
        name=one.name,
        fence=one.fence,
        place=_message_of(one.point),
        token=watch_token(ALL, database_id, one.point),
        published=one.published,
        unroutable=one.unroutable,
        moved_at=timestamp(one.moved_at_ms) if one.moved_at_ms else "",
    )


def _message_of(point: Point) -> pb.FeedPlace:
    return pb.FeedPlace(lsn=point.lsn, position=point.position)

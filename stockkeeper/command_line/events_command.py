"""`stockkeeper events`: what is passed on to other services, and how far it has come."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

import anyio
from cyclopts import Parameter
from stockkeeper_client.v1.events_pb2 import CursorState

from actors.history_feed import FeedPage
from events.broker_port import BrokerLost
from events.brokers import check_format, redrive_for
from events.envelope import EventsFormat
from events.fact_events import events_of
from events.feed_port import CursorLost, FeedAway, FeedRefused
from events.server_feed import ServerFeed
from events.wire_forms import body_of
from stockkeeper.broker_url import broker_url
from stockkeeper.command_line.output import Column, counted, fail, flush, print_list, say
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, Target
from stockkeeper.config import ConfigurationError
from stockkeeper.server_address import ServerAddress

Action = Literal["status", "tail", "drop", "redrive"]

WAIT_MS = 10_000
ROWS_MAX = 1_000
CURSOR_COLUMNS = (
    Column("Name"),
    Column("State"),
    Column("Behind", justify="right"),
    Column("Lag", justify="right"),
    Column("Per second", need=2, justify="right"),
    Column("Published", need=3, justify="right"),
    Column("Unroutable", need=4, justify="right"),
    Column("Last moved", need=5),
    Column("Problem", width_min=10),
    Column("Token", need=6),
)


def events(
    action: Action,
    name: str = "",
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")] = "",
    events_format: EventsFormat = "erp",
    broker: Annotated[str, Parameter(env_var="RABBITMQ_URL")] = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Look after the events that go out and come in.

    status shows how far relays have come and what is wrong now, tail shows events as they happen, drop forgets a
    relay's cursor, and redrive sends what the consumer could not do to where it came from.

    Parameters
    ----------
    action
        status, tail, drop or redrive.
    name
        The cursor that is to be forgotten, or shown alone.
    from_
        Show events from a time, as 2026-01-31T12:00:00Z, or from a token on; by default from now.
    events_format
        How events are shown: erp or cloudevents.
    broker
        Where what is sent again is kept: amqp://user:password@host/ or nats://host.
    """
    if action == "redrive":
        return _redrive(broker_url(broker))
    server = ServerAddress(target)
    if action == "drop" and not name:
        raise ConfigurationError("Say which cursor is to be forgotten: stockkeeper events drop NAME.")
    if action == "tail":
        _check_format(events_format)
        return _with_feed(server, lambda feed: _tail(feed, from_, events_format))
    if action == "drop":
        return _with_feed(server, lambda feed: _drop(feed, name))
    return _with_feed(server, lambda feed: _status(feed, name, as_json=json))


def _check_format(form: EventsFormat) -> None:
    try:
        check_format(form)
    except ValueError as error:
        raise ConfigurationError(f"The events cannot be shown so: {error}.") from error


def _with_feed(server: ServerAddress, run: Callable[[ServerFeed], Awaitable[int]]) -> int:
    async def connected() -> int:
        feed = server.feed()
        try:
            return await run(feed)
        finally:
            await feed.close()

    try:
        return anyio.run(connected)
    except FeedAway as error:
        return fail(f"No answer from the server. {error}")
    except (FeedRefused, CursorLost) as error:
        return fail(f"{error}.")


def _redrive(url: str) -> int:
    if not url:
        raise ConfigurationError(
            "Say where it is kept: stockkeeper events redrive --broker amqp://host/ or nats://host."
        )
    try:
        again = redrive_for(url)
    except ValueError as error:
        raise ConfigurationError(f"Nothing can be sent again: {error}.") from error
    try:
        say(f"{counted(anyio.run(again, url), 'event')} sent again.")
    except BrokerLost as error:
        return fail(f"{error}.")
    return 0


async def _tail(feed: ServerFeed, begin: str, form: EventsFormat) -> int:
    page = await feed.begin(begin)
    while True:
        for line in lines_of(page, form):
            say(line)
        flush()
        page = await feed.read(page.upto, ROWS_MAX, WAIT_MS)


def lines_of(page: FeedPage, form: EventsFormat) -> list[str]:
    """The events of a page, one a line, as they stand on a broker."""
    told = [event for entry in page.entries() for event in events_of(entry, page.database_id)]
    return [body_of(event, form).decode() for event in told]


async def _drop(feed: ServerFeed, name: str) -> int:
    say(f"{(await feed.drop(name)).message}.")
    return 0


async def _status(feed: ServerFeed, name: str, *, as_json: bool) -> int:
    answer = await feed.cursors()

    async def wanted() -> AsyncIterator[CursorState]:
        for one in answer.cursors:
            if name in ("", one.cursor.name):
                yield one

    found = wanted()
    sentence = f"There is no cursor {name}." if name else "No relay has ever been here."
    shown = await print_list(found, CURSOR_COLUMNS, _cells, len(answer.cursors), as_json=as_json, if_empty=sentence)
    return 0 if shown or not name else 1


def _cells(one: CursorState) -> tuple[str, ...]:
    cursor = one.cursor
    figures = (str(one.behind), _lag(one.waiting_since), f"{one.rate:.1f}", str(cursor.published))
    state = "relaying" if one.held else "no relay"
    return (cursor.name, state, *figures, str(cursor.unroutable), cursor.moved_at, one.problem, cursor.token)


def _lag(waiting_since: str) -> str:
    """How long the first event waits that is not passed on."""
    if not waiting_since:
        return "0 s"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(waiting_since)).total_seconds()
    return f"{max(0, round(seconds))} s"

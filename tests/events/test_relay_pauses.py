"""A broker that is away for an hour, in virtual time: nothing is lost, nothing is hurried, and its lag is told."""

from collections.abc import Sequence

import anyio
import trio
from trio.testing import MockClock

from actors.changes import Point
from actors.history_feed import FeedPage
from events.broker_port import BrokerLost
from events.envelope import Outgoing
from events.feed_port import Held, Progress
from events.relay import Relay, RelayOptions, stretches
from storage.feed_told import read_feed
from tests.events.told_history import DATABASE, all_events, history

HOUR_S = 3_600.0
END_S = HOUR_S + 60.0
IN_FLIGHT_MAX = 7
OPTIONS = RelayOptions("relay", "erp", in_flight_max=IN_FLIGHT_MAX, rows_max=5)


class ToldFeed:
    """An inventory in which all has happened, and what its relay says of itself."""

    def __init__(self) -> None:
        self.journal = history()
        self.said: list[tuple[float, Progress]] = []

    async def take(self, name: str, _: str) -> Held:
        return Held(name, 1, Point(0), 3.0, DATABASE)

    async def move(self, _: Held, progress: Progress) -> None:
        self.said.append((anyio.current_time(), progress))

    async def read(self, after: Point, rows_max: int, wait_ms: int) -> FeedPage:
        part = read_feed(self.journal, after, rows_max)
        if part.upto is None:
            await anyio.sleep(wait_ms / 1_000)
        return FeedPage(part.rows, after, part.upto or after, len(self.journal), 1, DATABASE)


class AwayBroker:
    """One that cannot be reached before the hour is over."""

    name = "the broker"

    def __init__(self) -> None:
        self.tried_s: list[float] = []
        self.sent: list[tuple[Outgoing, ...]] = []

    async def open(self) -> None:
        self.tried_s.append(anyio.current_time())
        if self.tried_s[-1] - self.tried_s[0] < HOUR_S:
            raise BrokerLost("the broker is away")

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        self.sent.append(tuple(messages))
        return 1  # for one of them nothing is bound

    async def close(self) -> None:
        pass


def test_a_broker_that_is_away_for_an_hour_is_asked_every_five_seconds_and_then_gets_everything() -> None:
    feed, broker = ToldFeed(), AwayBroker()

    async def main() -> None:
        with anyio.move_on_after(END_S):
            await Relay(feed, broker, OPTIONS).run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    pauses = [round(later - earlier, 3) for earlier, later in zip(broker.tried_s, broker.tried_s[1:], strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    away = [progress for at_s, progress in feed.said if at_s < broker.tried_s[-1]]
    assert len(away) > HOUR_S / 3  # it says that it is there all the time, or another would take the cursor
    assert all(progress.point is None for progress in away)  # and that nothing is passed on
    assert {progress.problem for progress in away[1:]} == {"the broker is away"}
    told = [message.message_id for stretch in broker.sent for message in stretch]
    assert told == [event.event_id for event in all_events()]
    assert max(len(stretch) for stretch in broker.sent) <= IN_FLIGHT_MAX
    moves = [progress for _, progress in feed.said if progress.point is not None]
    assert sum(progress.published for progress in moves) == len(told)
    assert sum(progress.unroutable for progress in moves) == len(broker.sent)
    assert max(progress.rate for progress in moves) > 0
    last = moves[-1]
    assert (last.point, last.problem, last.is_release) == (Point(len(feed.journal)), "", True)


def test_no_more_is_unconfirmed_at_once_than_may_be() -> None:
    part = read_feed(history(), Point(0), 1_000)
    page = FeedPage(part.rows, Point(0), part.upto or Point(0), 0, 1, DATABASE)
    for in_flight_max in (1, 2, 7, 1_000):
        found = list(stretches(page, "erp", in_flight_max))
        assert max(len(stretch.messages) for stretch in found) <= in_flight_max
        assert sum(len(stretch.messages) for stretch in found) == len(all_events())
        assert found[-1].point == page.upto

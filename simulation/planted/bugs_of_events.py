"""Planted bugs of relays, each of which loses events, invents some, or lets two relays publish."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from msgspec.structs import replace

import events.fact_events
import events.relay
import storage.feed_told
from actors.changes import Point
from actors.feed_entries import FeedEntry
from actors.history_feed import FeedPage
from actors.queries import MoveCursor
from events.broker_port import BrokerLost
from events.relay import Relay, Stretch
from events.relay_lease import LeaseOver, RelayLease
from simulation.audit.passed_on import ALONE, INVENTED, MISSING, ORDER, SAME_ID
from simulation.planted.planting import Patches, bug
from simulation.world.relayed_run import SimulatedBroker
from supervisor.cursors import Cursors


@bug("the cursor is moved before the broker has confirmed", MISSING, relayed=True)
def cursor_moved_before_the_confirm() -> Patches:
    right = Relay._publish

    async def publish(self: Relay, lease: RelayLease, stretch: Stretch) -> None:
        if stretch.point is not None:
            lease.point = stretch.point
            await self._move(lease)
        await right(self, lease, stretch)

    return [(Relay, "_publish", publish)]


@bug("an event has another id each time it is made", SAME_ID, relayed=True)
def event_id_made_anew() -> Patches:
    numbers = count(1)
    return [(events.fact_events, "fact_id", lambda database_id, place: f"{place}-{next(numbers)}")]


def _without(kind: str) -> Patches:
    right = events.fact_events.events_of

    def events_of(entry: FeedEntry, database_id: str) -> Any:
        return [] if entry.change.kind == kind else right(entry, database_id)

    return [(events.relay, "events_of", events_of)]


@bug("imports have no events", MISSING, relayed=True)
def imports_have_no_events() -> Patches:
    return _without("import")


@bug("reservations that run out have no events", MISSING, relayed=True)
def expiries_have_no_events() -> Patches:
    return _without("expire")


@bug("what was being sent when the broker was lost is taken for sent", MISSING, relayed=True)
def lost_stretch_taken_for_sent() -> Patches:
    async def publish(self: Relay, lease: RelayLease, stretch: Stretch) -> None:
        if stretch.messages:
            try:
                await self._open()
                await lease.publish(lambda: self._broker.publish(stretch.messages))
            except (BrokerLost, LeaseOver) as error:
                self._note_loss(error, is_first=True)
                await self._broker.close()
        if stretch.point is not None:
            lease.point = stretch.point

    return [(Relay, "_publish", publish)]


@bug("after a loss only the second half of a stretch is sent again", MISSING, relayed=True)
def second_half_sent_again() -> Patches:
    right = SimulatedBroker.publish

    async def publish(self: SimulatedBroker, messages: Any) -> int:
        again = getattr(self, "was_lost", False)
        try:
            return await right(self, messages[len(messages) // 2 :] if again else messages)
        except BrokerLost:
            self.was_lost = True  # type: ignore[attr-defined]
            raise

    return [(SimulatedBroker, "publish", publish)]


@bug("events of a page are sent by their names", ORDER, relayed=True)
def page_sorted_by_name() -> Patches:
    right = events.relay.stretches

    def stretches(page: FeedPage, form: Any, in_flight_max: int) -> Iterator[Stretch]:
        messages = [one for stretch in right(page, form, in_flight_max) for one in stretch.messages]
        yield Stretch(tuple(sorted(messages, key=lambda one: one.name)), page.upto)

    return [(events.relay, "stretches", stretches)]


@bug("a relay takes a cursor that another one has, and that one does not notice", ALONE, relayed=True)
def two_relays_publish() -> Patches:
    right = Cursors.move

    async def move(self: Cursors, query: MoveCursor) -> Any:
        known = (await self._known()).get(query.name)
        return await right(self, query if known is None else replace(query, fence=known.fence))

    return [(Cursors, "_is_held", lambda self, one: False), (Cursors, "move", move)]


@bug("a relay goes on to publish when its lease is over", ALONE, relayed=True)
def lease_not_looked_at() -> Patches:
    async def publish(self: RelayLease, send: Callable[[], Any]) -> int:
        sent: int = await send()
        return sent

    return [(RelayLease, "publish", publish)]


@bug("of an import that is told in parts only the first is told", MISSING, relayed=True)
def rest_of_an_import_forgotten() -> Patches:
    right = storage.feed_told._part

    def part(entries: Any, rows_max: int) -> Any:
        parts, _ = right(entries, rows_max)
        return parts, Point(entries[0].change.lsn)

    return [(storage.feed_told, "_part", part)]


@bug("the feed shows what was not durable when it was read as read", MISSING, relayed=True)
def feed_ends_too_late() -> Patches:
    from supervisor.watching import Watching

    right = Watching._feed_page

    def feed_page(self: Watching, found: Any, durable_lsn: int, first_lsn: int) -> FeedPage:
        page = right(self, found, durable_lsn, first_lsn)
        return page if page.upto < Point(durable_lsn) else replace(page, upto=Point(self._journal.last_lsn))

    return [(Watching, "_feed_page", feed_page)]


@bug("a shipment tells what it gave back as shipped", INVENTED, relayed=True)
def given_back_told_as_shipped() -> Patches:
    return [(events.fact_events, "_gone", lambda row: row.before.reserved - row.after.reserved)]

"""Hears what others say, and does it: see `events/deeds.py` for what, and for why nothing is lost or done twice.

An event is acknowledged when its outcome is durable and its answers are confirmed. What fails is tried again: for as
long as it takes while the inventory is away, otherwise after 1, 2 and 4 seconds. What can never succeed goes where a
person finds it, with the reason, and the next event is not kept waiting.

Events of one order, or of one variant, are dealt with one after the other, in the order in which they come; others
beside each other, as many as the prefetch allows.
"""

import logging

import anyio
from msgspec import Struct

from events.broker_port import BrokerLost
from events.deeds import Deeds
from events.envelope import EventsFormat, OutEvent
from events.inbox_port import Delivery, Inbox
from events.incoming import Heard, Rejected, read_event
from events.stock_port import StockAway, StockFailed, StockRefuses
from events.wire_forms import outgoing

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 4.0)
REASON_CHARACTERS_MAX = 500


def pause_s(tries: int) -> float:
    """How long to wait after a try, by the number of those before it: of the inventory, and of the broker."""
    return PAUSES_S[min(tries, len(PAUSES_S) - 1)]


class ConsumerStatistics(Struct, frozen=True):
    """Counts since the start: events that were done, ignored and buried, tries that failed, and lost brokers."""

    done: int
    ignored: int
    buried: int
    failures: int
    losses: int


class Consumer:
    """One consumer. `run` it once.

    Args:
        inbox: where events come from. It need not be there.
        deeds: does what they say.
        form: how answers are written.
    """

    def __init__(self, inbox: Inbox, deeds: Deeds, form: EventsFormat = "erp") -> None:
        self._inbox = inbox
        self._deeds = deeds
        self._form = form
        self._tails: dict[tuple[str, str], anyio.Event] = {}
        self._done = self._ignored = self._buried = self._failures = self._losses = 0

    def __repr__(self) -> str:
        return f"<Consumer from {self._inbox.name} {self.statistics()}>"

    def statistics(self) -> ConsumerStatistics:
        return ConsumerStatistics(self._done, self._ignored, self._buried, self._failures, self._losses)

    async def run(self) -> None:
        """Listen until cancelled."""
        tries = 0
        try:
            while True:
                done = self._done
                await self._listen()
                self._losses += 1
                await self._inbox.close()
                tries = 0 if self._done > done else tries
                await anyio.sleep(pause_s(tries))
                tries += 1
        finally:
            with anyio.CancelScope(shield=True):
                await self._inbox.close()

    async def _listen(self) -> None:
        """Until the broker is lost. What was under way then is cut off, and comes again."""
        self._tails.clear()
        try:
            await self._inbox.open()
        except BrokerLost as error:
            log.warning("broker_lost", extra={"broker": self._inbox.name, "why": str(error)})
            return
        log.info("listening", extra={"broker": self._inbox.name})
        async with anyio.create_task_group() as tasks:
            try:
                while True:
                    self._begin(await self._inbox.receive(), tasks)
            except BrokerLost as error:
                self._cut(error, tasks.cancel_scope)

    def _cut(self, error: BrokerLost, scope: anyio.CancelScope) -> None:
        log.warning("broker_lost", extra={"broker": self._inbox.name, "why": str(error)})
        scope.cancel()

    def _begin(self, delivery: Delivery, tasks: anyio.abc.TaskGroup) -> None:
        """Have it dealt with behind what came earlier of the same subject."""
        heard: Heard | Rejected | None
        try:
            heard = read_event(delivery.body, delivery.routing_key, delivery.came_ms)
        except Rejected as rejected:
            heard = rejected
        subject = (heard.organization_id, heard.subject) if isinstance(heard, Heard) else ("", "")
        earlier, mine = self._tails.get(subject), anyio.Event()
        if isinstance(heard, Heard):
            self._tails[subject] = mine
        tasks.start_soon(self._deal, delivery, heard, earlier, mine, tasks.cancel_scope)

    async def _deal(
        self,
        delivery: Delivery,
        heard: Heard | Rejected | None,
        earlier: anyio.Event | None,
        mine: anyio.Event,
        scope: anyio.CancelScope,
    ) -> None:
        try:
            if earlier is not None and isinstance(heard, Heard):
                await earlier.wait()
            await self._end(delivery, await self._outcome(heard))
        except BrokerLost as error:
            self._cut(error, scope)
            return
        mine.set()
        if isinstance(heard, Heard) and self._tails.get((heard.organization_id, heard.subject)) is mine:
            del self._tails[heard.organization_id, heard.subject]

    async def _outcome(self, heard: Heard | Rejected | None) -> list[OutEvent] | Rejected | None:
        """Its answers; or why it can never succeed; None: it is not listened to."""
        if not isinstance(heard, Heard):
            return heard
        try:
            return await self._done_at_last(heard)
        except Rejected as rejected:
            return rejected
        except Exception as error:  # a bug must not keep the next event waiting
            log.exception("event_met_a_bug", extra={"event_name": heard.name})
            return Rejected(f"a bug met it: {error!r}")

    async def _end(self, delivery: Delivery, outcome: list[OutEvent] | Rejected | None) -> None:
        if isinstance(outcome, Rejected):
            await self._inbox.bury(delivery, str(outcome)[:REASON_CHARACTERS_MAX])
            log.warning("event_buried", extra={"event_name": delivery.routing_key, "why": str(outcome)})
            self._buried += 1
            return
        if outcome:
            await self._inbox.publish([outgoing(answer, self._form) for answer in outcome])
        await self._inbox.acknowledge(delivery)
        if outcome is None:
            self._ignored += 1
        else:
            self._done += 1

    async def _done_at_last(self, heard: Heard) -> list[OutEvent]:
        """Try again for as long as there is hope. Raises `Rejected`."""
        failures = tries = 0
        while True:
            again_s = 0.0
            try:
                return await self._deeds.do(heard)
            except StockRefuses as error:
                raise Rejected(str(error)) from error
            except StockFailed as error:
                if failures == len(PAUSES_S):
                    raise Rejected(f"it failed {failures + 1} times: {error}") from error
                failures += 1
                log.info("event_tried_again", extra={"event_name": heard.name, "why": str(error)})
            except StockAway as error:
                again_s = error.again_s
                log.info("event_tried_again", extra={"event_name": heard.name, "why": str(error)})
            self._failures += 1
            await anyio.sleep(max(again_s, pause_s(tries)))
            tries += 1

"""Planted bugs of the consumer, each of which loses an event, does it twice, or says what is not so."""

from itertools import count
from typing import Any

import anyio

import events.deeds
import events.incoming
from events.broker_port import BrokerLost
from events.consumer import PAUSES_S, Consumer
from events.deeds import Deeds
from events.envelope import OutEvent
from events.inbox_port import Delivery
from events.incoming import Heard, Rejected
from events.stock_port import StockAway, StockFailed, StockRefuses
from events.wire_forms import outgoing
from simulation.audit.done_once import GIVEN_UP, IN_ORDER, LOST, SAME_ANSWER, TWICE
from simulation.planted.planting import Patches, bug


@bug("an event is acknowledged before it is done", LOST, consumed=True)
def acknowledged_before_the_commit() -> Patches:
    right = Consumer._deal

    async def deal(
        self: Consumer, delivery: Delivery, heard: Any, earlier: Any, mine: Any, scope: anyio.CancelScope
    ) -> None:
        try:
            await self._inbox.acknowledge(delivery)
        except BrokerLost as error:
            self._cut(error, scope)
            return
        await right(self, delivery, heard, earlier, mine, scope)

    return [(Consumer, "_deal", deal)]


@bug("an event is done under another key each time it comes", TWICE, consumed=True)
def event_key_made_anew() -> Patches:
    numbers = count(1)
    return [(events.incoming, "key_of", lambda event_id: f"{event_id}-{next(numbers)}")]


@bug("a refusal is answered after its event was acknowledged", LOST, consumed=True)
def answered_after_the_acknowledgement() -> Patches:
    right = Consumer._end

    async def end(self: Consumer, delivery: Delivery, outcome: list[OutEvent] | Rejected | None) -> None:
        if not isinstance(outcome, list):
            return await right(self, delivery, outcome)
        await self._inbox.acknowledge(delivery)
        if outcome:
            await self._inbox.publish([outgoing(answer, self._form) for answer in outcome])
        self._done += 1

    return [(Consumer, "_end", end)]


@bug("an event is given up after some seconds without the inventory", GIVEN_UP, consumed=True)
def given_up_while_the_inventory_is_away() -> Patches:
    async def done_at_last(self: Consumer, heard: Heard) -> list[OutEvent]:
        for pause_s in (*PAUSES_S, None):
            try:
                return await self._deeds.do(heard)
            except StockRefuses as error:
                raise Rejected(str(error)) from error
            except (StockAway, StockFailed) as error:
                if pause_s is None:
                    raise Rejected(str(error)) from error
                await anyio.sleep(pause_s)
        raise AssertionError("the last pause is none")

    return [(Consumer, "_done_at_last", done_at_last)]


@bug("a cancellation that comes again cancels what the order has by then", TWICE, consumed=True)
def another_reservation_cancelled() -> Patches:
    async def cancelled(self: Deeds, heard: Heard, said: Any) -> list[OutEvent]:
        found = await self._stock.reservations(heard.organization_id, said.order_id)
        if not found:
            raise Rejected(f"order {said.order_id} has no reservation")
        newest = found[0].reservation_id
        reason = said.cancellation_reason
        await self._stock.release(heard.organization_id, newest, reason, f"{heard.key}/{newest}")
        return []

    right = Deeds.__init__

    def init(self: Deeds, stock: Any) -> None:
        right(self, stock)
        does: Any = dict(self._does)
        does[events.incoming.OrderCancelled] = lambda heard, said: cancelled(self, heard, said)
        self._does = does

    return [(Deeds, "__init__", init)]


@bug("events of one order are dealt with beside each other", IN_ORDER, consumed=True)
def orders_events_mixed() -> Patches:
    right = Consumer._deal

    async def deal(
        self: Consumer, delivery: Delivery, heard: Any, earlier: Any, mine: Any, scope: anyio.CancelScope
    ) -> None:
        await right(self, delivery, heard, None, mine, scope)

    return [(Consumer, "_deal", deal)]


@bug("an answer has another id each time it is made", SAME_ANSWER, consumed=True)
def answer_id_made_anew() -> Patches:
    numbers = count(1)
    return [(events.deeds, "answer_id", lambda asked, name: f"{asked}-{next(numbers)}")]


@bug("an event that was begun counts as done when it comes again", LOST, consumed=True)
def begun_taken_for_done() -> Patches:
    right = Consumer._outcome
    begun: set[str] = set()

    async def outcome(self: Consumer, heard: Any) -> Any:
        if isinstance(heard, Heard):
            if heard.event_id in begun:
                return []
            begun.add(heard.event_id)
        return await right(self, heard)

    return [(Consumer, "_outcome", outcome)]

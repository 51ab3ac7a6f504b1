"""When an event is tried again, and when it is given up, in virtual time."""

import json
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Any, cast

import anyio
import trio
from trio.testing import MockClock

from events.consumer import Consumer
from events.deeds import Deeds
from events.stock_port import StockAway, StockFailed, StockPort, StockRefuses
from simulation.world.simulated_post import SimulatedInbox, SimulatedPost

PLACED = {"order_id": "o", "items": [{"variant_id": "mug", "quantity": 1}]}


class Failing:
    """An inventory that fails in these ways, one after the other, and then reserves."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.tried_s: list[float] = []

    def correlated(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    async def reserve(self, *_: object) -> None:
        self.tried_s.append(anyio.current_time())
        if self._errors:
            raise self._errors.pop(0)


def tried(stock: Failing, *, until_s: float = 100.0) -> tuple[list[int], list[str]]:
    """At which seconds an order was tried, and why it was buried."""
    post = SimulatedPost()

    async def main() -> None:
        envelope = {"event_id": "e", "event": "order.placed", "organization_id": "shop", "data": PLACED}
        post.post(json.dumps(envelope).encode(), "order.placed")
        inbox = SimulatedInbox(post, Random(1), lambda: None, lambda: None)
        with anyio.move_on_after(until_s):
            await Consumer(inbox, Deeds(cast(StockPort, cast(Any, stock)))).run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    if post.queue:
        assert not post.buried
        return [round(one - stock.tried_s[0]) for one in stock.tried_s], ["it waits"]
    return [round(one - stock.tried_s[0]) for one in stock.tried_s], [one.reason for one in post.buried]


def test_a_failure_is_tried_again_after_1_2_and_4_seconds_and_then_buried() -> None:
    failed = StockFailed("a bug")
    assert tried(Failing(failed, failed, failed)) == ([0, 1, 3, 7], [])
    assert tried(Failing(*[failed] * 9)) == ([0, 1, 3, 7], ["it failed 4 times: a bug"])


def test_while_the_inventory_is_away_an_event_waits_for_as_long_as_it_takes() -> None:
    away = StockAway("no answer")
    assert tried(Failing(*[away] * 6)) == ([0, 1, 3, 7, 11, 15, 19], [])
    failed = StockFailed("a bug")
    assert tried(Failing(away, away, away, failed)) == ([0, 1, 3, 7, 11], [])
    found, why = tried(Failing(*[away] * 8, failed, failed, away, failed), until_s=1_000)
    assert (len(found), why) == (13, [])  # its failures are counted, and what is no answer is none
    assert tried(Failing(*[away] * 900))[1] == ["it waits"]


def test_a_refusal_is_buried_when_it_is_first_met() -> None:
    assert tried(Failing(StockRefuses("NOT_SO", "it is otherwise"))) == ([0], ["NOT_SO: it is otherwise"])

"""When an event is tried again, and when it is given up, in virtual time."""

import json
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Any, cast

import anyio
import grpc
import grpc.aio
import pytest
import trio
from trio.testing import MockClock

from actors.unavailable import too_often
from events.broker_port import BrokerLost
from events.consumer import Consumer
from events.deeds import Deeds
from events.inbox_port import Delivery
from events.server_stock import _translated
from events.stock_port import StockAway, StockFailed, StockPort, StockRefuses
from rpc.messages.problems import describe
from rpc.messages.status import Problem, to_status
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


def test_what_is_asked_too_often_waits_for_as_long_as_the_inventory_says() -> None:
    often = StockAway("RATE_LIMITED: too often", 30.0)
    assert tried(Failing(often, often)) == ([0, 30, 60], [])
    assert tried(Failing(*[StockAway("RATE_LIMITED: too often", 0.5)] * 5)) == ([0, 1, 3, 7, 11, 15], [])


def told(code: grpc.StatusCode, problem: Problem | None = None) -> Exception:
    """What the consumer makes of a server's status."""
    trailers = grpc.aio.Metadata(*(() if problem is None else to_status(problem).trailing_metadata))
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, "no")
    with pytest.raises(Exception, match="no") as raised, _translated():
        raise error
    return raised.value


def test_what_a_server_says_is_away_or_failed_or_refused() -> None:
    problem = describe(too_often(60, 30_500))
    assert problem is not None
    away = told(problem.code, problem)
    assert isinstance(away, StockAway)
    assert (str(away), away.again_s) == ("RATE_LIMITED: no", 30.5)
    kinds = {code: type(told(code)) for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
    assert {code for code, kind in kinds.items() if kind is StockAway} == {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,  # a key is mended, and no event is lost for it
        grpc.StatusCode.PERMISSION_DENIED,
    }
    assert {code for code, kind in kinds.items() if kind is StockFailed} == {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }


class GoneInbox(SimulatedInbox):
    """A broker that refuses connections so often, and whose connections then break with the first word."""

    def __init__(self, post: SimulatedPost, refusals: int) -> None:
        super().__init__(post, Random(1), lambda: None, lambda: None)
        self._refusals = refusals
        self.opened_s: list[float] = []

    async def open(self) -> None:
        self.opened_s.append(anyio.current_time())
        if len(self.opened_s) <= self._refusals:
            raise BrokerLost("no answer")
        await super().open()

    async def acknowledge(self, delivery: Delivery) -> None:
        await super().acknowledge(delivery)
        self._lose()


def test_a_broker_is_tried_again_after_1_2_and_4_seconds_and_from_1_on_once_something_was_done() -> None:
    post = SimulatedPost()
    inbox = GoneInbox(post, 5)

    async def main() -> None:
        for number in range(2):
            envelope = {"event_id": f"e{number}", "event": "order.placed", "organization_id": "shop", "data": PLACED}
            post.post(json.dumps(envelope).encode(), "order.placed")
        with anyio.move_on_after(60):
            await Consumer(inbox, Deeds(cast(StockPort, cast(Any, Failing())))).run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert [round(one - inbox.opened_s[0]) for one in inbox.opened_s][:7] == [0, 1, 3, 7, 11, 15, 16]

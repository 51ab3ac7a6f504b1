"""Both inboxes do what the port says, against the real brokers."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

import aio_pika
import anyio
import nats
import pytest

import events.nats_inbox
from events.broker_port import BrokerLost
from events.brokers import BrokerOptions, inbox_for, redrive_for
from events.inbox_port import GRAVES, ORDERS, Delivery, Inbox
from tests.events.heard import Heard, until_heard
from tests.events.others import Others, others_on, said
from tests.events.real_brokers import BrokerProcess
from tests.events.test_brokers import messages

pytestmark = pytest.mark.anyio

PLACED = "order.placed"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stage(NamedTuple):
    kind: str
    broker: BrokerProcess
    others: Others

    def inbox(self, prefetch: int = 0, *, declare: bool = True) -> Inbox:
        return inbox_for(self.broker.url, BrokerOptions(declare=declare), prefetch)


@pytest.fixture(params=["rabbit", "nats"])
async def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(events.nats_inbox, "ACK_WAIT_S", 0.9)
    broker = request.getfixturevalue("rabbit" if request.param == "rabbit" else "nats_server")
    async with others_on(request.param, broker) as others:
        yield Stage(request.param, broker, others)


async def next_of(inbox: Inbox) -> Delivery:
    with anyio.fail_after(20):
        return await inbox.receive()


async def nothing_comes(inbox: Inbox, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        raise AssertionError(await inbox.receive())


async def test_what_is_not_acknowledged_comes_again_in_its_order_and_no_more_than_the_prefetch(stage: Stage) -> None:
    inbox = stage.inbox(prefetch=3)
    await inbox.open()
    began_ms = int(time.time() * 1_000)
    for number in range(6):
        await stage.others.say(PLACED, {}, f"e{number}")
    first = [await next_of(inbox) for _ in range(3)]
    assert [one.body for one in first] == [said(PLACED, {}, f"e{number}") for number in range(3)]
    assert {(one.routing_key, one.exchange) for one in first} == {(PLACED, ORDERS.exchange)}
    assert all(began_ms <= one.came_ms <= time.time() * 1_000 for one in first)
    await nothing_comes(inbox, 2.0)  # nor does what is held for longer than NATS waits for a word of it
    await inbox.acknowledge(first[0])
    assert (await next_of(inbox)).body == said(PLACED, {}, "e3")
    await inbox.close()
    await inbox.close()
    await inbox.open()
    again = [await next_of(inbox) for _ in range(3)]
    assert [one.body for one in again] == [said(PLACED, {}, f"e{number}") for number in (1, 2, 3)]
    if stage.kind == "nats":
        assert [one.came_ms for one in again[:2]] == [one.came_ms for one in first[1:]]
    for one in again:
        await inbox.acknowledge(one)
    for number in (4, 5):
        one = await next_of(inbox)
        assert one.body == said(PLACED, {}, f"e{number}")
        await inbox.acknowledge(one)
    await nothing_comes(inbox, 0.2)
    await inbox.close()


async def test_what_a_killed_consumer_had_comes_before_what_is_new(stage: Stage) -> None:
    killed, inbox = stage.inbox(), stage.inbox()
    await killed.open()
    for number in range(2):
        await stage.others.say(PLACED, {}, f"e{number}")
    for _ in range(2):
        await next_of(killed)
    getattr(killed, "_held", {}).clear()  # one that is killed gives nothing back
    await killed.close()
    await stage.others.say(PLACED, {}, "e2")
    await inbox.open()
    again = [await next_of(inbox) for _ in range(3)]
    assert [one.body for one in again] == [said(PLACED, {}, f"e{number}") for number in range(3)]
    await inbox.close()


async def test_what_is_buried_has_a_reason_and_comes_again_when_it_is_redriven(stage: Stage) -> None:
    inbox = stage.inbox()
    await inbox.open()
    await stage.others.say("pos.return.processed", {}, "e1")
    await stage.others.say("catalog.variant.deleted", {}, "e2", body=b"\xff" * 1_000_000)
    for _ in range(2):
        await inbox.bury(await next_of(inbox), "no such thing: ünknown\nvariant")
    await nothing_comes(inbox, 0.2)
    assert await stage.others.waiting(GRAVES) == 2
    assert await stage.others.bounds() == (24 * 60 * 60, 10_000)
    assert await redrive_for(stage.broker.url)(stage.broker.url) == 2
    assert await redrive_for(stage.broker.url)(stage.broker.url) == 0
    found = {one.routing_key: one for one in (await next_of(inbox), await next_of(inbox))}
    assert found["pos.return.processed"].body == said("pos.return.processed", {}, "e1")
    assert len(found["catalog.variant.deleted"].body) == 1_000_000
    await inbox.acknowledge(found["catalog.variant.deleted"])
    await inbox.bury(found["pos.return.processed"], "again")
    assert await stage.others.buried() == [("e1", "again")]
    await inbox.close()


async def test_an_answer_is_published_and_a_broker_that_goes_is_lost_and_comes_again(stage: Stage) -> None:
    inbox = stage.inbox()
    await inbox.open()
    await stage.others.say(PLACED, {}, "e1")
    one = await next_of(inbox)
    await inbox.publish(messages(2, "inventory.reservation.failed"))
    stage.broker.kill()
    with pytest.raises(BrokerLost):
        await next_of(inbox)
    with pytest.raises(BrokerLost), anyio.fail_after(20):
        await inbox.publish(messages(1, first=5))
    with pytest.raises(BrokerLost), anyio.fail_after(20):
        await inbox.acknowledge(one)
    with pytest.raises(BrokerLost):
        await inbox.open()
    await inbox.close()
    stage.broker.start()
    await inbox.open()
    again = await next_of(inbox)
    assert again.body == one.body
    await inbox.acknowledge(again)
    await inbox.close()
    heard = Heard()
    await until_heard(stage.kind, stage.broker.url, heard, 2)
    assert list(heard.events) == ["id-0", "id-1"]


async def test_what_the_others_know_has_their_names_and_ten_and_twenty_are_under_way(stage: Stage) -> None:
    inbox = stage.inbox()
    await inbox.open()
    await (names_on_rabbit if stage.kind == "rabbit" else names_on_nats)(stage.broker.url)
    for number in range(11):
        await stage.others.say("catalog.variant.created", {}, f"c{number}")
    for number in range(21):
        await stage.others.say(PLACED, {}, f"o{number}")
    came = [await next_of(inbox) for _ in range(30)]
    assert Counter(one.exchange for one in came) == {"catalog_events": 10, "order_events": 20}
    await nothing_comes(inbox, 0.5)
    for one in came:
        await inbox.acknowledge(one)
    await inbox.close()
    inbox = stage.inbox(declare=False)  # what is there can be used without being made
    await inbox.open()
    rest = [await next_of(inbox) for _ in range(2)]
    assert {one.exchange for one in rest} == {"catalog_events", "order_events"}
    await inbox.bury(rest[0], "it is the last")
    assert [reason for _, reason in await stage.others.buried()] == ["it is the last"]
    await inbox.close()


async def names_on_rabbit(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for exchange in ("catalog_events", "order_events", "inventory_dlq", "inventory_events"):
            await channel.get_exchange(exchange)
        for queue in ("inventory_catalog_consumer", "inventory_order_consumer", "inventory_failed_events"):
            await channel.get_queue(queue)


async def names_on_nats(url: str) -> None:
    client = await nats.connect(url, allow_reconnect=False)
    stream = client.jetstream()
    names = {"catalog_events": "inventory_catalog_consumer", "order_events": "inventory_order_consumer"}
    for name, consumer in names.items():
        await stream.consumer_info(name, consumer)
    assert (await stream.stream_info("inventory_failed_events")).config.subjects == ["inventory_dlq.>"]
    assert (await stream.stream_info("inventory_events")).config.subjects == ["inventory.>"]
    await client.close()


async def test_of_what_is_not_declared_is_said_that_it_is_not_there(stage: Stage) -> None:
    inbox = stage.inbox(declare=False)
    with pytest.raises(BrokerLost, match=r"no queue|not found"):
        await inbox.open()
    await inbox.close()

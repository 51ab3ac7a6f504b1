"""Both adapters do what the port says, against the real brokers."""

import aio_pika
import anyio
import nats
import pytest
from msgspec.structs import replace

from events.broker_port import Broker, BrokerLost
from events.brokers import BrokerOptions, broker_for, default_format
from events.envelope import Outgoing
from tests.events.heard import Heard, bind_rabbit, hear, until_heard
from tests.events.real_brokers import BrokerProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["rabbit", "nats"])
def real(request: pytest.FixtureRequest) -> tuple[str, BrokerProcess]:
    return request.param, request.getfixturevalue("rabbit" if request.param == "rabbit" else "nats_server")


def messages(count: int, event: str = "inventory.stock.updated", *, first: int = 0) -> list[Outgoing]:
    return [
        Outgoing(f"id-{number}", event, "org_1", "application/json", b'{"event_id":"id-%d"}' % number)
        for number in range(first, first + count)
    ]


async def opened(url: str) -> Broker:
    broker = broker_for(url, BrokerOptions())
    await broker.open()
    return broker


async def test_what_is_published_is_confirmed_kept_and_in_order(real: tuple[str, BrokerProcess]) -> None:
    kind, server = real
    broker = await opened(server.url)
    if kind == "rabbit":
        await bind_rabbit(server.url)
    assert await broker.publish(messages(700)) == 0
    await broker.close()
    server.kill()
    server.start()  # with what it had
    heard = Heard()
    await until_heard(kind, server.url, heard, 700)
    assert list(heard.events) == [f"id-{number}" for number in range(700)]


async def test_a_broker_that_goes_is_lost_and_can_be_opened_again(real: tuple[str, BrokerProcess]) -> None:
    kind, server = real
    broker = await opened(server.url)
    server.kill()
    with pytest.raises(BrokerLost), anyio.fail_after(20):
        await broker.publish(messages(5, first=1_000))
    with pytest.raises(BrokerLost):
        await broker.open()
    server.start()
    await broker.open()
    if kind == "rabbit":
        await bind_rabbit(server.url)
    await broker.publish(messages(5, first=1_000))
    await broker.close()
    await broker.close()
    heard = Heard()
    await hear(kind, server.url, heard)
    assert [f"id-{number}" for number in range(1_000, 1_005)] == list(heard.events)[-5:]


async def test_a_publication_that_is_given_up_leaves_a_broker_that_can_be_opened(
    real: tuple[str, BrokerProcess],
) -> None:
    broker = await opened(real[1].url)
    with anyio.move_on_after(0.001):
        await broker.publish(messages(400, first=2_000))
    await broker.open()
    await broker.publish(messages(400, first=2_000))
    await broker.close()
    with pytest.raises(BrokerLost, match="not connected"):
        await broker.publish(messages(1))


async def test_of_what_is_not_declared_is_said_that_it_is_not_there(real: tuple[str, BrokerProcess]) -> None:
    broker = broker_for(real[1].url, BrokerOptions("no_such_thing", declare=False))
    with pytest.raises(BrokerLost, match=r"no_such_thing|not found"):
        await broker.open()
    await broker.close()


async def test_rabbit_says_of_what_nothing_is_bound_for(real: tuple[str, BrokerProcess]) -> None:
    kind, server = real
    if kind != "rabbit":
        return
    broker = broker_for(server.url, BrokerOptions("unbound"))
    await broker.open()
    assert await broker.publish(messages(3, first=3_000)) == 3
    connection = await aio_pika.connect(server.url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange("unbound")
        queue = await channel.declare_queue("some", durable=True)
        await queue.bind(exchange, "inventory.stock.#")
        other = messages(1, "inventory.warehouse.created", first=8) + messages(
            1, "inventory.transfer.in_transit", first=9
        )
        some = [other[0], *messages(2, first=1), other[1]]
        assert await broker.publish(some) == 2
        message = await queue.get()
        assert (message.content_type, message.message_id, message.routing_key) == (
            "application/json",
            "id-1",
            "inventory.stock.updated",
        )
        assert message.headers == {"event": "inventory.stock.updated", "organization_id": "org_1"}
    await broker.close()


async def test_what_a_broker_refuses_is_not_confirmed(real: tuple[str, BrokerProcess]) -> None:
    kind, server = real
    broker = broker_for(server.url, BrokerOptions("full" if kind == "rabbit" else "inventory_events"))
    await broker.open()
    if kind == "rabbit":
        async with await aio_pika.connect(server.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
            await queue.bind(await channel.get_exchange("full"), "#")
            with pytest.raises(BrokerLost):
                await broker.publish(messages(20, first=5_000))
            await queue.delete(if_empty=False)
    else:
        with pytest.raises(BrokerLost, match="no response from stream"):
            await broker.publish([*messages(2, first=5_000), *messages(1, "heard.by.no.stream"), *messages(2)])
        client = await nats.connect(server.url)
        stream = client.jetstream()
        await stream.update_stream(name="inventory_events", subjects=["inventory.>"], max_msg_size=40)
        await broker.open()
        with pytest.raises(BrokerLost, match="maximum"):
            await broker.publish([replace(one, body=b"x" * 100) for one in messages(3, first=6_000)])
        await stream.update_stream(name="inventory_events", subjects=["inventory.>"], max_msg_size=-1)
        await client.close()
    await broker.open()
    assert await broker.publish(messages(3, first=7_000)) == (3 if kind == "rabbit" else 0)
    await broker.close()


async def test_a_message_of_any_size_arrives_whole(rabbit: BrokerProcess) -> None:
    """A body is cut into frames of 128 KB, and one may be empty."""
    broker = broker_for(rabbit.url, BrokerOptions("large"))
    await broker.open()
    async with await aio_pika.connect(rabbit.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("large")
        await queue.bind(await channel.get_exchange("large"), "#")
        bodies = [b"", bytes(range(256)) * 1_200, b"{}", b"y" * 131_064, b"z" * 131_065]
        sent = [
            replace(one, body=body, organization_id=f"órg-{place}", message_id=f"{'i' * place}-{place}")
            for place, (one, body) in enumerate(zip(messages(len(bodies)), bodies, strict=True))
        ]
        assert await broker.publish([*sent, *sent]) == 0
        for one in [*sent, *sent]:
            got = await queue.get()
            assert (got.body, got.message_id) == (one.body, one.message_id)
            assert got.headers == {"event": one.name, "organization_id": one.organization_id}
        await queue.delete(if_empty=False)
    await broker.close()


async def test_nats_keeps_a_repetition_once(real: tuple[str, BrokerProcess]) -> None:
    kind, server = real
    if kind != "nats":
        return
    broker = await opened(server.url)
    for _ in range(3):
        await broker.publish(messages(2, first=4_000))
    await broker.close()
    heard = Heard()
    await hear(kind, server.url, heard)
    assert heard.repeated == 0
    assert {"id-4000", "id-4001"} <= set(heard.events)


def test_a_url_says_which_broker_it_is() -> None:
    assert (default_format("amqp://a"), default_format("nats://a")) == ("erp", "cloudevents")
    with pytest.raises(ValueError, match="begins with amqp"):
        broker_for("kafka://a", BrokerOptions())
    for url in ("amqp://user:secret@a/", "nats://user:secret@a:1"):
        assert "secret" not in broker_for(url, BrokerOptions()).name

"""A server, a consumer and RabbitMQ, as programs: what others say is done once, answered, or buried with a reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from stockkeeper_client import InventoryClient

from events.rabbit_inbox import CATALOG, GRAVES, ORDERS, REASON
from tests.events.heard import Heard, bind_rabbit, hear, until_heard
from tests.events.programs import Program
from tests.events.real_brokers import BrokerProcess
from tests.events.test_fact_events import validator
from tests.system.servers import ORGANIZATION, ServerProcess, figures, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Others:
    """The catalog, the orders and the tills, and what is in the queues."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def say(self, event: str, data: object, event_id: str, *, body: bytes | None = None) -> None:
        source = CATALOG if event.startswith("catalog") else ORDERS
        exchange = await self._channel.declare_exchange(source.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        envelope = {"event_id": event_id, "event": event, "organization_id": ORGANIZATION, "data": data}
        envelope["timestamp"] = "2026-01-31T12:00:00Z"
        message = aio_pika.Message(json.dumps(envelope).encode() if body is None else body, message_id=event_id)
        await exchange.publish(message, routing_key=event)

    async def waiting(self, queue: str) -> int:
        found = await self._channel.declare_queue(queue, durable=True, passive=True)
        return found.declaration_result.message_count or 0

    async def buried(self) -> list[tuple[str, str]]:
        """What is in the dead-letter queue, by id, with the reasons. It is taken out."""
        queue = await self._channel.get_queue(GRAVES)
        found = []
        while (message := await queue.get(fail=False)) is not None:
            found.append((message.message_id or "", str(message.headers[REASON])))
            await message.ack()
        return found


@pytest.fixture
async def others(rabbit: BrokerProcess) -> AsyncIterator[Others]:
    connection = await aio_pika.connect(rabbit.url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        for queue in (CATALOG.queue, ORDERS.queue, GRAVES, "a_listener"):
            await channel.queue_delete(queue)
        await bind_rabbit(rabbit.url)
        yield Others(await connection.channel(publisher_confirms=True))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path / "stock.db") as server:
        yield server


async def consumer(folder: Path, server: ServerProcess, rabbit: BrokerProcess) -> Program:
    return await Program.start(folder, "consume", "--target", f"127.0.0.1:{server.port}", "--from", rabbit.url)


async def until_stock_is(client: InventoryClient, wanted: dict[tuple[str, str], tuple[int, int]]) -> None:
    async with asyncio.timeout(20):
        while await figures(client) != wanted:  # noqa: ASYNC110 - a server does not tell
            await asyncio.sleep(0.05)


async def until_there_are(others: Others, queue: str, count: int) -> None:
    async with asyncio.timeout(30):
        while await others.waiting(queue) != count:  # noqa: ASYNC110 - a broker does not tell
            await asyncio.sleep(0.1)


def answers(heard: Heard, name: str) -> list[dict[str, Any]]:
    found = [one for one in heard.events.values() if one["event"] == name]
    for one in found:
        validator(name).validate(one)
    return [one["data"] for one in found]


async def test_orders_returns_and_tills_do_what_they_say_once(
    others: Others, server: ServerProcess, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, rabbit)
    await program.until_it_says("listening")
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 10), line("mug", 1, "w2"), line("cup", 5)])
        items = [
            {"variant_id": "mug", "quantity": 3, "preferred_warehouse_id": "w2"},
            {"variant_id": "cup", "quantity": 1},
        ]
        for _ in range(3):
            await others.say("order.placed", {"order_id": "o1", "items": items, "reservation_ttl_minutes": 30}, "p1")
        await others.say("order.confirmed", {"order_id": "o1"}, "c1")
        for _ in range(2):
            shipped = [{"variant_id": "mug", "quantity": 2, "warehouse_id": "w1"}]
            await others.say("order.shipped", {"order_id": "o1", "shipment_id": "S1", "shipped_items": shipped}, "s1")
        await until_stock_is(client, {("mug", "w1"): (7, 1), ("mug", "w2"): (1, 0), ("cup", "w1"): (4, 1)})
        await others.say("order.placed", {"order_id": "o2", "items": items[1:]}, "p2")
        await others.say("order.cancelled", {"order_id": "o2", "cancellation_reason": "changed my mind"}, "x2")
        await others.say("order.placed", {"order_id": "o2", "items": items[1:]}, "p3")
        await others.say("order.cancelled", {"order_id": "o2", "cancellation_reason": "changed my mind"}, "x2")
        await others.say("order.confirmed", {"order_id": "o1"}, "c1")
        returned = [{"variant_id": "mug", "quantity": 1, "condition": "good"}, {"variant_id": "cup", "quantity": 1}]
        await others.say("return.received", {"warehouse_id": "w2", "return_id": "R1", "returned_items": returned}, "r1")
        sold: Any = {"transaction_id": "T1", "local_id": "w1", "items": [{"variant_id": "mug", "quantity": 4}]}
        await others.say("pos.transaction.completed", sold, "t1")
        await others.say("pos.return.processed", {**sold, "transaction_id": "T2"}, "t2")
        await others.say("pos.transaction.completed", sold, "t1")
        # The order that was placed again is not cancelled by the event that came again.
        after = {("mug", "w1"): (7, 1), ("mug", "w2"): (2, 0), ("cup", "w1"): (3, 2), ("cup", "w2"): (0, 0)}
        await until_stock_is(client, after)
        await until_there_are(others, ORDERS.queue, 0)
        [damaged] = (await client.get_stock_info(ORGANIZATION, "cup", "w2")).stock_info
        assert damaged.damaged_quantity == 1
    assert await others.buried() == []
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


async def test_a_preferred_warehouse_that_cannot_serve_is_passed_over_line_by_line(
    others: Others, server: ServerProcess, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    async with server.client() as client:
        rows = [
            ("mug", 9, "w1"),
            ("mug", 1, "w2"),
            ("jug", 9, "w1"),
            ("jug", 2, "w2"),
            ("cup", 3, "w1"),
            ("pin", 1, "w3"),
        ]
        await client.stock.import_stock([line(*row) for row in rows])
        await client.stock.upsert_warehouse(ORGANIZATION, "w3", active=False)
        program = await consumer(tmp_path, server, rabbit)
        await program.until_it_says("listening")
        wishes = [("mug", 3, "w2"), ("jug", 2, "w2"), ("cup", 1, "nowhere"), ("mug", 1, "w3")]
        items = [
            {"variant_id": variant_id, "quantity": quantity, "preferred_warehouse_id": warehouse_id}
            for variant_id, quantity, warehouse_id in wishes
        ]
        for _ in range(2):
            await others.say("order.placed", {"order_id": "o1", "items": items}, "p1")
        after = {("mug", "w1"): (5, 4), ("mug", "w2"): (1, 0), ("jug", "w1"): (9, 0), ("jug", "w2"): (0, 2)}
        await until_stock_is(client, after | {("cup", "w1"): (2, 1), ("pin", "w3"): (1, 0)})
        await until_there_are(others, ORDERS.queue, 0)
        assert len([one async for one in client.stock.list_reservations(ORGANIZATION)]) == 1
    assert await others.buried() == []
    assert await program.terminate() == 0


async def test_an_order_that_cannot_be_served_is_answered_also_where_the_consumer_is_killed(
    others: Others, server: ServerProcess, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 2)])
        many: list[Any] = [{"variant_id": "mug", "quantity": 5}]
        with pytest.raises(Exception, match="Insufficient"):  # as one that was killed before it answered
            await client.stock.reserve(ORGANIZATION, "o1", many, 0, request_id="p1")
        await client.stock.import_stock([line("mug", 50)])  # there is enough by now: what was refused stays so
        await others.say("nothing", {}, "e0")
        program = await consumer(tmp_path, server, rabbit)
        await program.until_it_says("listening")
        await others.say("order.placed", {"order_id": "o1", "items": many}, "p1")
        await others.say("order.placed", {"order_id": "o2", "items": [{"variant_id": "jug", "quantity": 1}]}, "p2")
        heard = Heard()
        await until_heard("rabbit", rabbit.url, heard, 2)
        await others.say("order.placed", {"order_id": "o1", "items": many}, "p1")
        async with asyncio.timeout(20):
            while heard.repeated == 0:  # the same answer, with the same id
                await hear("rabbit", rabbit.url, heard)
                await asyncio.sleep(0.05)
    first, second = sorted(answers(heard, "inventory.reservation.failed"), key=lambda one: str(one["order_id"]))
    shortage = {"variant_id": "mug", "warehouse_id": "w1", "requested": 5, "available": 2}
    assert first["reason"] == "insufficient_stock"
    assert [{**one, "warehouse_id": "w1"} for one in first["shortages"]] == [shortage]
    assert second["reason"] == "stock_not_found"
    assert [one["variant_id"] for one in second["shortages"]] == ["jug"]
    assert await program.terminate() == 0


async def test_the_catalog_makes_rows_and_takes_them_away(
    others: Others, server: ServerProcess, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, rabbit)
    await program.until_it_says("listening")
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 2), line("cup", 1, "w2")])
        await client.stock.upsert_warehouse(ORGANIZATION, "w3", active=False)
        created = {"variant_id": "jug", "default_min_stock": 3}
        await others.say("catalog.variant.created", created, "n1")
        await others.say("catalog.variant.created", {"variant_id": "pin", "track_inventory": False}, "n2")
        await others.say("catalog.variant.updated", {"variant_id": "mug", "changes": {}}, "n3")
        flipped = {"track_inventory": {"old": True, "new": False}}
        await others.say("catalog.variant.updated", {"variant_id": "mug", "changes": flipped}, "n4")
        heard = Heard()
        await until_heard("rabbit", rabbit.url, heard, 2)
        everywhere = {("mug", "w1"): (2, 0), ("cup", "w2"): (1, 0), ("jug", "w1"): (0, 0), ("jug", "w2"): (0, 0)}
        assert await figures(client) == everywhere
        [row] = (await client.get_stock_info(ORGANIZATION, "jug", "w1")).stock_info
        assert row.min_stock == 3
        await others.say("catalog.product.deleted", {"variant_ids": ["jug", "cup"]}, "d1")
        await until_heard("rabbit", rabbit.url, heard, 3)
        assert await figures(client) == everywhere  # one of them is not empty
        await others.say("catalog.variant.deleted", {"variant_id": "jug"}, "d2")
        await until_heard("rabbit", rabbit.url, heard, 4)
        await others.say("catalog.variant.deleted", {"variant_id": "jug"}, "d2")
        await until_stock_is(client, {("mug", "w1"): (2, 0), ("cup", "w2"): (1, 0)})
    [made] = answers(heard, "inventory.stock.initialized")
    assert [one["warehouse_id"] for one in made["warehouses"]] == ["w1", "w2"]
    assert answers(heard, "inventory.stock.archived") == [{"variant_id": "jug", "records_archived": 2}]
    failed = answers(heard, "inventory.stock.validation_failed")
    assert [one["variant_id"] for one in failed] == ["mug", "cup"]
    assert failed[0]["details"] == {"total_stock": 2, "warehouses_affected": [{"warehouse_id": "w1", "quantity": 2}]}
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


async def test_a_thousand_hostile_messages_are_buried_with_a_reason_or_ignored_and_what_is_buried_comes_again(
    others: Others, server: ServerProcess, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, rabbit)
    await program.until_it_says("listening")
    hostile: list[bytes | None] = [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[" * 50_000,
        b'{"event_id": 1}',
        b'"' + b"x" * 10_000_000,
    ]
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 10)])
        for number in range(700):
            body = hostile[number % 6] if number else hostile[6]
            await others.say("order.placed", {}, f"h{number}", body=body)
        for number in range(200):
            await others.say("order.invoiced", {}, f"i{number}")
        for number in range(100):
            items = [{"variant_id": "mug", "quantity": ["2", -1, 10**12, None][number % 4]}]
            await others.say("order.placed", {"order_id": "o", "items": items}, f"w{number}")
        await others.say("order.confirmed", {"order_id": "nobody"}, "late")
        await others.say("order.placed", {"order_id": "o1", "items": [{"variant_id": "mug", "quantity": 1}]}, "good")
        await until_stock_is(client, {("mug", "w1"): (9, 1)})
        await until_there_are(others, GRAVES, 801)
        where = ("events", "redrive", "--broker", rabbit.url)
        assert (await run_cli(*where))[:2] == (0, "801 events sent again.\n")
        await until_there_are(others, GRAVES, 801)
    buried = await others.buried()
    assert len(buried) == 801
    assert all(reason for _, reason in buried)
    assert ("late", "order nobody has no reservation") in buried
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


async def test_what_comes_while_the_inventory_is_away_is_done_when_it_is_back(
    others: Others, rabbit: BrokerProcess, tmp_path: Path
) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        port = server.port
        async with server.client() as client:
            await client.stock.import_stock([line("mug", 10)])
        program = await consumer(tmp_path, server, rabbit)
        await program.until_it_says("listening")
    await others.say("order.placed", {"order_id": "o1", "items": [{"variant_id": "mug", "quantity": 1}]}, "p1")
    await program.until_it_says("event_tried_again", times=2)
    await program.kill()  # nothing of it was acknowledged
    program = await consumer(tmp_path, server, rabbit)
    await program.until_it_says("event_tried_again", times=4)
    server = await start_server(tmp_path / "stock.db", port=port)
    async with server.client() as client:
        await until_stock_is(client, {("mug", "w1"): (9, 1)})
        rabbit.kill()
        rabbit.start()
        await program.until_it_says("listening", times=3)
        await others_again(rabbit)
        await until_stock_is(client, {("mug", "w1"): (8, 2)})
    assert await server.terminate() == 0
    assert await program.terminate() == 0


async def others_again(rabbit: BrokerProcess) -> None:
    connection = await aio_pika.connect(rabbit.url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        await Others(channel).say(
            "order.placed", {"order_id": "o2", "items": [{"variant_id": "mug", "quantity": 1}]}, "p2"
        )

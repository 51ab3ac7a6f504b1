"""A server, a consumer and RabbitMQ, as programs: what others say is done once, answered, or buried with a reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from stockkeeper_client import InventoryClient

from events.inbox_port import GRAVES, ORDERS
from tests.events.heard import Heard, hear, until_heard
from tests.events.others import Others, others_on, said
from tests.events.programs import Program, facts_of
from tests.events.real_brokers import BrokerProcess
from tests.events.test_fact_events import validator
from tests.ports import free_port
from tests.system.servers import ORGANIZATION, ServerProcess, figures, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The broker that a test runs on: RabbitMQ where it does not say another."""
    return str(getattr(request, "param", "rabbit"))


on_both = pytest.mark.parametrize("kind", ["rabbit", "nats"], indirect=True)


@pytest.fixture
def broker(kind: str, request: pytest.FixtureRequest) -> BrokerProcess:
    found: BrokerProcess = request.getfixturevalue({"rabbit": "rabbit", "nats": "nats_server"}[kind])
    return found


@pytest.fixture
async def others(kind: str, broker: BrokerProcess) -> AsyncIterator[Others]:
    async with others_on(kind, broker) as others:
        yield others


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path / "stock.db") as server:
        yield server


async def consumer(folder: Path, server: ServerProcess, broker: BrokerProcess) -> Program:
    return await Program.start(folder, "consume", "--target", f"127.0.0.1:{server.port}", "--from", broker.url)


async def until_stock_is(client: InventoryClient, wanted: dict[tuple[str, str], tuple[int, int]]) -> None:
    async with asyncio.timeout(60):
        while await figures(client) != wanted:  # noqa: ASYNC110 - a server does not tell
            await asyncio.sleep(0.05)


async def until_there_are(others: Others, queue: str, count: int) -> None:
    async with asyncio.timeout(60):
        while await others.waiting(queue) != count:  # noqa: ASYNC110 - a broker does not tell
            await asyncio.sleep(0.1)


def answers(heard: Heard, name: str) -> list[dict[str, Any]]:
    """What they say; a CloudEvent has its organization there too."""
    found = [one for one in heard.events.values() if (one.get("event") or one["type"]) == name]
    for one in found:
        validator(name).validate(one)
    return [{key: value for key, value in one["data"].items() if key != "organization_id"} for one in found]


@on_both
async def test_orders_returns_and_tills_do_what_they_say_once(
    kind: str, others: Others, server: ServerProcess, broker: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, broker)
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
        rows = [("jug", 9, "w1"), ("jug", 2, "w2"), ("pin", 1, "w3")]
        await client.stock.import_stock([line(*row) for row in rows])
        await client.stock.upsert_warehouse(ORGANIZATION, "w3", active=False)
        wishes = [("mug", 3, "w2"), ("jug", 2, "w2"), ("cup", 1, "nowhere"), ("mug", 1, "w3")]  # all but one in vain
        preferred = [
            {"variant_id": variant_id, "quantity": quantity, "preferred_warehouse_id": warehouse_id}
            for variant_id, quantity, warehouse_id in wishes
        ]
        for _ in range(2):
            body = said("order.placed", {"order_id": "o3", "items": preferred}, "p4", "no call carries ñ")
            await others.say("order.placed", {}, "p4", body=body)
        served = {("mug", "w1"): (3, 5), ("jug", "w1"): (9, 0), ("jug", "w2"): (0, 2), ("cup", "w1"): (2, 3)}
        await until_stock_is(client, {**after, **served, ("pin", "w3"): (1, 0)})
        await until_there_are(others, ORDERS.queue, 0)
        [damaged] = (await client.get_stock_info(ORGANIZATION, "cup", "w2")).stock_info
        assert damaged.damaged_quantity == 1
        [third] = [one async for one in client.stock.list_reservations(ORGANIZATION, order_id="o3")]
        await others.say("order.confirmed", {"order_id": "o3", "reservation_id": third.reservation_id}, "c3")
        await others.say("order.confirmed", {"order_id": "o2", "reservation_id": third.reservation_id}, "of another")
        await others.say("order.cancelled", {"order_id": "o3", "reservation_id": "of-none"}, "of none")
        await others.say("order.cancelled", {"order_id": "o1", "reservation_id": third.reservation_id}, "of o3")
        await until_there_are(others, GRAVES, 3)
        [third] = [one async for one in client.stock.list_reservations(ORGANIZATION, order_id="o3")]
        assert third.state == "confirmed"
        facts = [fact for fact in await facts_of(server) if "order_id" in fact.data]
        told = {(fact.name, fact.data["order_id"]): fact.correlation_id for fact in facts}
        assert told["inventory.stock.reserved", "o1"] == "because-of-p1"
        assert told["inventory.reservation.confirmed", "o1"] == "because-of-c1"
        assert told["inventory.stock.deducted", "o1"] == "because-of-s1"
        assert told["inventory.stock.reserved", "o3"].startswith("p4/")
        assert told["inventory.reservation.confirmed", "o3"] == "because-of-c3"
    assert dict(await others.buried()) == {
        "of another": f"order o2 has no reservation {third.reservation_id}",
        "of none": "order o3 has no reservation of-none",
        "of o3": f"order o1 has no reservation {third.reservation_id}",
    }
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


async def test_an_order_that_cannot_be_served_is_answered_also_where_the_consumer_is_killed(
    kind: str, others: Others, server: ServerProcess, broker: BrokerProcess, tmp_path: Path
) -> None:
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 2)])
        many: list[Any] = [{"variant_id": "mug", "quantity": 5}]
        with pytest.raises(Exception, match="Insufficient"):  # as one that was killed before it answered
            await client.stock.reserve(ORGANIZATION, "o1", many, 0, request_id="p1")
        await client.stock.import_stock([line("mug", 50)])  # there is enough by now: what was refused stays so
        await others.say("nothing", {}, "e0")
        program = await consumer(tmp_path, server, broker)
        await program.until_it_says("listening")
        await others.say("order.placed", {"order_id": "o1", "items": many}, "p1")
        await others.say("order.placed", {"order_id": "o2", "items": [{"variant_id": "jug", "quantity": 1}]}, "p2")
        heard = Heard()
        await until_heard(kind, broker.url, heard, 2)
        await others.say("order.placed", {"order_id": "o1", "items": many}, "p1")
        async with asyncio.timeout(20):
            while heard.repeated == 0:  # the same answer, with the same id
                await hear(kind, broker.url, heard)
                await asyncio.sleep(0.05)
    assert {one["correlation_id"] for one in heard.events.values()} == {"because-of-p1", "because-of-p2"}
    first, second = sorted(answers(heard, "inventory.reservation.failed"), key=lambda one: str(one["order_id"]))
    shortage = {"variant_id": "mug", "warehouse_id": "w1", "requested": 5, "available": 2}
    assert first["reason"] == "insufficient_stock"
    assert [{**one, "warehouse_id": "w1"} for one in first["shortages"]] == [shortage]
    assert second["reason"] == "stock_not_found"
    assert [one["variant_id"] for one in second["shortages"]] == ["jug"]
    assert await program.terminate() == 0


@on_both
async def test_the_catalog_makes_rows_and_takes_them_away(
    kind: str, others: Others, server: ServerProcess, broker: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, broker)
    await program.until_it_says("listening")
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 2), line("cup", 1, "w2")])
        await client.stock.upsert_warehouse(ORGANIZATION, "w3", active=False)
        created = {"variant_id": "jug", "default_min_stock": 3, "default_max_stock": 40}
        await others.say("catalog.variant.created", created, "n1")
        await others.say("catalog.variant.created", {"variant_id": "pin", "track_inventory": False}, "n2")
        await others.say("catalog.variant.updated", {"variant_id": "mug", "changes": {}}, "n3")
        flipped = {"track_inventory": {"old": True, "new": False}}
        await others.say("catalog.variant.updated", {"variant_id": "mug", "changes": flipped}, "n4")
        heard = Heard()
        await until_heard(kind, broker.url, heard, 2)
        everywhere = {("mug", "w1"): (2, 0), ("cup", "w2"): (1, 0), ("jug", "w1"): (0, 0), ("jug", "w2"): (0, 0)}
        assert await figures(client) == everywhere
        [row] = (await client.get_stock_info(ORGANIZATION, "jug", "w1")).stock_info
        assert (row.min_stock, row.max_stock) == (3, 40)
        await others.say("catalog.product.deleted", {"variant_ids": ["jug", "cup"]}, "d1")
        await until_heard(kind, broker.url, heard, 3)
        assert await figures(client) == everywhere  # one of them is not empty
        await others.say("catalog.variant.deleted", {"variant_id": "jug"}, "d2")
        await until_heard(kind, broker.url, heard, 4)
        await others.say("catalog.variant.deleted", {"variant_id": "jug"}, "d2")
        await until_stock_is(client, {("mug", "w1"): (2, 0), ("cup", "w2"): (1, 0)})
        tracked = {"track_inventory": {"old": False, "new": True}}
        await others.say("catalog.variant.updated", {"variant_id": "tap", "changes": tracked}, "n5")
        await others.say("catalog.variant.updated", {"variant_id": "tap", "changes": flipped}, "n6")  # and none is left
        await others.say("catalog.variant.deleted", {"variant_id": "tap"}, "d3")
        await until_heard(kind, broker.url, heard, 6)
        returned = [{"variant_id": "jug", "quantity": 1, "condition": "good"}]
        await others.say("return.received", {"warehouse_id": "w2", "return_id": "R1", "returned_items": returned}, "r1")
        await until_stock_is(client, {("mug", "w1"): (2, 0), ("cup", "w2"): (1, 0), ("jug", "w2"): (1, 0)})
    made = answers(heard, "inventory.stock.initialized")
    assert [one["variant_id"] for one in made] == ["jug", "tap"]
    assert [[row["warehouse_id"] for row in one["warehouses"]] for one in made] == [["w1", "w2"]] * 2
    gone = [{"variant_id": one, "records_archived": 2} for one in ("jug", "tap")]
    assert answers(heard, "inventory.stock.archived") == gone
    failed = answers(heard, "inventory.stock.validation_failed")
    assert [one["variant_id"] for one in failed] == ["mug", "cup"]
    assert failed[0]["details"] == {"total_stock": 2, "warehouses_affected": [{"warehouse_id": "w1", "quantity": 2}]}
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


@on_both
async def test_a_thousand_hostile_messages_are_buried_with_a_reason_or_ignored_and_what_is_buried_comes_again(
    kind: str, others: Others, server: ServerProcess, broker: BrokerProcess, tmp_path: Path
) -> None:
    program = await consumer(tmp_path, server, broker)
    await program.until_it_says("listening")
    count = 100 if kind == "rabbit" else 10
    hostile: list[bytes | None] = [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[" * 50_000,
        b'{"event_id": 1}',
        b'"' + b"x" * (10_000_000 if kind == "rabbit" else 1_001_000),  # NATS has no longer ones
    ]
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 10)])
        for number in range(7 * count):
            body = hostile[number % 6] if number else hostile[6]
            await others.say("order.placed", {}, f"h{number}", body=body)
        for number in range(2 * count):
            await others.say("order.invoiced", {}, f"i{number}")
        for number in range(count):
            items = [{"variant_id": "mug", "quantity": ["2", -1, 10**12, None][number % 4]}]
            await others.say("order.placed", {"order_id": "o", "items": items}, f"w{number}")
        await others.say("order.confirmed", {"order_id": "nobody"}, "late")
        for _ in range(20):
            await others.say(
                "order.placed", {"order_id": "o1", "items": [{"variant_id": "mug", "quantity": 1}]}, "good"
            )
        await until_stock_is(client, {("mug", "w1"): (9, 1)})
        await until_there_are(others, GRAVES, 8 * count + 1)
        where = ("events", "redrive", "--broker", broker.url)
        assert (await run_cli(*where))[:2] == (0, f"{8 * count + 1} events sent again.\n")
        await until_there_are(others, GRAVES, 8 * count + 1)
        assert await figures(client) == {("mug", "w1"): (9, 1)}
    buried = await others.buried()
    assert len(buried) == 8 * count + 1
    assert all(reason for _, reason in buried)
    assert ("late", "order nobody has no reservation") in buried
    assert await program.terminate() == 0
    assert "Traceback" not in program.log.read_text()


async def test_what_comes_while_the_inventory_is_away_is_done_when_it_is_back(
    kind: str, others: Others, broker: BrokerProcess, tmp_path: Path
) -> None:
    port = free_port()
    async with running_server(tmp_path / "stock.db", port=port) as server:
        async with server.client() as client:
            await client.stock.import_stock([line("mug", 10)])
        program = await consumer(tmp_path, server, broker)
        await program.until_it_says("listening")
    await others.say("order.placed", {"order_id": "o1", "items": [{"variant_id": "mug", "quantity": 1}]}, "p1")
    await program.until_it_says("event_tried_again")
    await program.kill()  # nothing of it was acknowledged
    program = await consumer(tmp_path, server, broker)
    await program.until_it_says("event_tried_again", times=2)
    server = await start_server(tmp_path / "stock.db", port=port)
    async with server.client() as client:
        await until_stock_is(client, {("mug", "w1"): (9, 1)})
        broker.kill()
        broker.start()
        await program.until_it_says("listening", times=3)
        async with others_on(kind, broker, is_new=False) as again:
            await again.say("order.placed", {"order_id": "o2", "items": [{"variant_id": "mug", "quantity": 1}]}, "p2")
        await until_stock_is(client, {("mug", "w1"): (8, 2)})
    assert await server.terminate() == 0
    assert await program.terminate() == 0

"""Orders all the while, and the relay, the consumer, the broker and the server killed in turn: the long form of
`test_relay_program.py`. `python -m tests.events.kills rabbit|nats` kills the relay and the consumer 20 times each, the
broker 10 and the server 5 times, for some minutes; so does `make torture`. A real day's orders are taken meanwhile, all
of them in the long form, beside shoppers whose orders meet every fate. The server's minutes are seconds, so that
reservations run out.
"""

import asyncio
import random
import sys
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio
from stockkeeper_client import InventoryClient

from events.event_schemas import DATA
from events.inbox_port import CATALOG, ORDERS
from examples.order_day import read_day
from tests.events.every_event import a_day_at_the_depot
from tests.events.heard import Heard, until_heard
from tests.events.others import Others, others_on
from tests.events.programs import BEGINNING, Program, facts_of, lay_in, relay
from tests.events.real_brokers import BrokerProcess, running_broker
from tests.events.real_day import assert_taken, first_orders, stock_for, take
from tests.events.rebuilt import assert_rebuilt
from tests.events.said_orders import FAILED, Speaker
from tests.ports import free_port
from tests.system.servers import ORGANIZATION, ServerProcess, line, start_server

SHOPPERS = 3
HASTY = "tests.torture.hasty_server"
ANSWERS = (FAILED, "inventory.stock.initialized", "inventory.stock.archived", "inventory.stock.validation_failed")
PATIENCE_S = 240


class Kills(NamedTuple):
    """How often each is killed, and how many orders of the real day are taken."""

    relay: int
    consumer: int
    broker: int
    server: int
    real_orders: int


MANY = Kills(20, 20, 10, 5, len(read_day().orders))


class Stage:
    """A server, a relay, a consumer and a broker, each of which can be killed and comes again."""

    def __init__(self, folder: Path, kind: str, broker: BrokerProcess, server: ServerProcess) -> None:
        self.folder = folder
        self.kind = kind
        self.broker = broker
        self.server = server
        self.relay: Program
        self.consumer: Program

    async def start_relay(self, *options: str) -> None:
        self.relay = await relay(self.folder, self.server, self.broker.url, *options)

    async def start_consumer(self) -> None:
        where = ("--target", f"127.0.0.1:{self.server.port}", "--from", self.broker.url)
        self.consumer = await Program.start(self.folder, "consume", *where)

    async def kill_relay(self) -> None:
        await self.relay.kill()
        await self.start_relay()

    async def kill_consumer(self) -> None:
        await self.consumer.kill()
        await self.start_consumer()

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        await asyncio.sleep(random.random())
        await asyncio.to_thread(self.broker.start)

    async def kill_server(self) -> None:
        port = self.server.port
        await self.server.kill()
        self.server = await start_server(self.folder / "stock.db", port=port, program=HASTY)

    async def end(self) -> None:
        """Kill what still runs."""
        await self.relay.kill()
        await self.consumer.kill()
        if self.server.process.returncode is None:
            await self.server.kill()


async def shop(client: InventoryClient, shopper: int, stop: asyncio.Event) -> None:
    """Orders of every fate, whatever is killed."""
    number = 0
    while not stop.is_set():
        number += 1
        order_id = f"order-{shopper}-{number}"
        items: list[Any] = [{"variant_id": f"v{(shopper + number) % 7}", "warehouse_id": "w1", "quantity": 1}]
        with suppress(grpc.aio.AioRpcError):
            reserved = await client.reserve_stock(ORGANIZATION, order_id, items, 1 if number % 7 == 0 else 600)
            if number % 3 == 0:
                await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, order_id)
                await client.stock.fulfill_reservation(ORGANIZATION, reserved.reservation_id)
            elif number % 3 == 1:
                await client.release_reservation(ORGANIZATION, reserved.reservation_id, "changed my mind")
        await asyncio.sleep(0.02)


async def killing(stage: Stage, kills: Kills, pause_s: float, speaker: Speaker) -> None:
    """All kills, in an order that a seed fixes, while the day's orders are taken, shoppers order and others speak."""
    wanted = [
        *[stage.kill_relay] * kills.relay,
        *[stage.kill_consumer] * kills.consumer,
        *[stage.kill_broker] * kills.broker,
        *[stage.kill_server] * kills.server,
    ]
    random.Random(7).shuffle(wanted)
    stop = asyncio.Event()
    async with stage.server.client() as client:
        await a_day_at_the_depot(client)
        work = [asyncio.create_task(shop(client, number, stop)) for number in range(SHOPPERS)]
        work.append(asyncio.create_task(speaker.run(stop, pause_s / 4)))
        work.append(asyncio.create_task(take(client, first_orders(kills.real_orders))))
        for kill in wanted:
            await asyncio.sleep(random.random() * pause_s)
            await kill()
        stop.set()
        await asyncio.gather(*work)


async def until_done(others: Others) -> None:
    """All that was said is dealt with."""
    async with asyncio.timeout(PATIENCE_S):
        while await others.waiting(CATALOG.queue) + await others.waiting(ORDERS.queue):  # noqa: ASYNC110 - they do not tell
            await asyncio.sleep(0.2)


async def until_expired(client: InventoryClient) -> None:
    """All reservations of a minute, which is a second, have run out or were dealt with."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            active = [one async for one in client.stock.list_reservations(ORGANIZATION, state="active")]
            if not any(_is_of_a_minute(one.created_at, one.expires_at) for one in active):
                return
            await asyncio.sleep(0.1)


def _is_of_a_minute(created_at: str, expires_at: str) -> bool:
    return (datetime.fromisoformat(expires_at) - datetime.fromisoformat(created_at)).total_seconds() <= 60


async def run(kind: str, folder: Path, broker: BrokerProcess, kills: Kills, pause_s: float) -> Heard:
    """Kill, and see that all was heard and done, in order, and rebuilds what there is."""
    stage = Stage(folder, kind, broker, await start_server(folder / "stock.db", port=free_port(), program=HASTY))
    heard, speaker, day = Heard(), Speaker(kind, broker), first_orders(kills.real_orders)
    async with others_on(kind, broker):
        pass  # there is nothing on the broker, but a listener's queue
    try:
        async with stage.server.client() as client:
            await lay_in(client)
            await client.stock.import_stock([line(f"v{number}", 20, "w2") for number in range(7)])
            await client.stock.import_stock(stock_for(day))
        await stage.start_relay("--from", BEGINNING)
        await stage.start_consumer()
        await stage.relay.until_it_says("relaying")
        await stage.consumer.until_it_says("listening")
        await killing(stage, kills, pause_s, speaker)
        await see_what_was_heard(stage, heard, speaker)
        async with stage.server.client() as client:
            await assert_taken(client, day)
        assert await stage.relay.terminate() == 0
        assert await stage.consumer.terminate() == 0
        assert await stage.server.terminate() == 0
    finally:
        await stage.end()
    return heard


async def see_what_was_heard(stage: Stage, heard: Heard, speaker: Speaker) -> None:
    async with others_on(stage.kind, stage.broker, is_new=False) as others, stage.server.client() as client:
        await until_done(others)
        await speaker.until_done(client)
        await until_expired(client)
        facts = await facts_of(stage.server)
        answers = 3 + speaker.orders // 5
        await until_heard(stage.kind, stage.broker.url, heard, len(facts) + answers, timeout_s=PATIENCE_S)
        told = [(event_id, one) for event_id, one in heard.events.items() if heard.name_of(one) not in ANSWERS]
        assert [event_id for event_id, _ in told] == [fact.event_id for fact in facts]
        assert set(heard.names) == set(DATA)
        assert {"specversion" in one for one in heard.events.values()} == {stage.kind == "nats"}
        failed = [one for one in heard.events.values() if heard.name_of(one) == FAILED]
        await speaker.assert_answered(others, failed)
        await assert_rebuilt(list(heard.events.values()), client, ORGANIZATION)
    released = [one["data"] for one in heard.events.values() if heard.name_of(one) == "inventory.stock.released"]
    assert {one["order_id"] for one in released if one["reason"] == "timeout"} >= {"glue-2", "said-2"}


def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder, running_broker(kind, Path(folder) / "broker") as broker:
        heard = asyncio.run(run(kind, Path(folder), broker, MANY, 3.0))
    sys.stdout.write(f"{kind}: {len(heard.events)} events, {heard.repeated} of them heard again; nothing lost\n")


if __name__ == "__main__":
    main(sys.argv[1])

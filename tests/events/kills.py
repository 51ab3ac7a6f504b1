"""Orders all the while, and the relay, the broker and the server killed in turn: the long form of
`test_relay_program.py`. `python -m tests.events.kills rabbit|nats` kills the relay 20 times, the broker 10 and the
server 5 times, for some minutes.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio
from stockkeeper_client import InventoryClient

from tests.events.heard import Heard, bind_rabbit, until_heard
from tests.events.programs import BEGINNING, Program, facts_of, lay_in, relay
from tests.events.real_brokers import BrokerProcess, running_broker
from tests.events.rebuilt import assert_rebuilt
from tests.system.servers import ORGANIZATION, ServerProcess, start_server

SHOPPERS = 4


class Kills(NamedTuple):
    """How often each is killed."""

    relay: int
    broker: int
    server: int


class Stage:
    """A server, a relay and a broker, each of which can be killed and comes again."""

    def __init__(self, folder: Path, kind: str, broker: BrokerProcess, server: ServerProcess) -> None:
        self.folder = folder
        self.kind = kind
        self.broker = broker
        self.server = server
        self.relay: Program

    async def start_relay(self, *options: str) -> None:
        self.relay = await relay(self.folder, self.server, self.broker.url, *options)

    async def kill_relay(self) -> None:
        await self.relay.kill()
        await self.start_relay()

    async def kill_broker(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        await asyncio.sleep(random.random())
        await asyncio.to_thread(self.broker.start)

    async def kill_server(self) -> None:
        port = self.server.port
        await self.server.kill()
        self.server = await start_server(self.folder / "stock.db", port=port)


async def shop(client: InventoryClient, shopper: int, is_over: Callable[[], bool]) -> None:
    """Orders of every fate, whoever is killed."""
    number = 0
    while not is_over():
        number += 1
        order_id = f"order-{shopper}-{number}"
        items: list[Any] = [{"variant_id": f"v{(shopper + number) % 7}", "warehouse_id": "w1", "quantity": 1}]
        with suppress(grpc.aio.AioRpcError):
            reserved = await client.reserve_stock(ORGANIZATION, order_id, items)
            if number % 3 == 0:
                await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, order_id)
                await client.stock.fulfill_reservation(ORGANIZATION, reserved.reservation_id)
            elif number % 3 == 1:
                await client.release_reservation(ORGANIZATION, reserved.reservation_id, "changed my mind")
        await asyncio.sleep(0.01)


async def killing(stage: Stage, kills: Kills, pause_s: float) -> None:
    """All kills, in an order that a seed fixes, while shoppers order."""
    wanted = [
        *[stage.kill_relay] * kills.relay,
        *[stage.kill_broker] * kills.broker,
        *[stage.kill_server] * kills.server,
    ]
    random.Random(7).shuffle(wanted)
    is_over = False
    async with stage.server.client() as client:
        await lay_in(client)
        shoppers = [asyncio.create_task(shop(client, number, lambda: is_over)) for number in range(SHOPPERS)]
        for kill in wanted:
            await asyncio.sleep(random.random() * pause_s)
            await kill()
        is_over = True
        await asyncio.gather(*shoppers)


async def run(kind: str, folder: Path, broker: BrokerProcess, kills: Kills, pause_s: float) -> Heard:
    """Kill, and see that all was heard, in order, and rebuilds what there is."""
    if kind == "rabbit":
        await bind_rabbit(broker.url)
    stage = Stage(folder, kind, broker, await start_server(folder / "stock.db"))
    heard = Heard()
    try:
        await stage.start_relay("--from", BEGINNING)
        await stage.relay.until_it_says("relaying")
        await killing(stage, kills, pause_s)
        facts = await facts_of(stage.server)
        await until_heard(kind, broker.url, heard, len(facts), timeout_s=240)
        assert list(heard.events) == [fact.event_id for fact in facts]
        async with stage.server.client() as client:
            await assert_rebuilt(list(heard.events.values()), client, ORGANIZATION)
        assert await stage.relay.terminate() == 0
        assert await stage.server.terminate() == 0
    finally:
        await stage.relay.kill()
        if stage.server.process.returncode is None:
            await stage.server.kill()
    return heard


def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder, running_broker(kind, Path(folder) / "broker") as broker:
        heard = asyncio.run(run(kind, Path(folder), broker, Kills(20, 10, 5), 3.0))
    sys.stdout.write(f"{kind}: {len(heard.events)} events, {heard.repeated} of them heard again; nothing lost\n")


if __name__ == "__main__":
    main(sys.argv[1])

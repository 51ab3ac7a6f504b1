"""The test kit says what a server over a socket says."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
import pytest
from google.protobuf.json_format import MessageToDict
from grpc.aio import AioRpcError
from stockkeeper_client import InventoryClient, error_details

from rpc.rpc_server import RpcServer
from stockkeeper.testkit import Simulation, World
from storage.memory_store import Disk, MemoryStore
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.simulation.scenarios import ORG, counted, of

Expire = Callable[[Any], Awaitable[None]]


class Conversation:
    """Everything that a client can ask, and what it was told, without what differs from server to server."""

    def __init__(self, client: InventoryClient, expire: Expire) -> None:
        self._client = client
        self._expire = expire
        self.heard: list[object] = []

    async def hold(self) -> list[object]:
        await self._stock_comes_in()
        await self._reservations()
        await self._time_passes()
        await self._goods_go_out()
        await self._nonsense()
        return self.heard

    async def say(self, call: Awaitable[Any]) -> Any:
        try:
            answer = await call
        except AioRpcError as error:
            details = error_details(error)
            keys = sorted({key for key, _ in error.trailing_metadata() or ()})
            # How long it takes until a hold is over depends on when it was asked.
            retry = details.retry_delay_s is not None
            told = (error.code(), error.details(), keys, retry, details.reason, details.domain, dict(details.metadata))
            listed = (details.field_violations, details.precondition_violations, details.line_errors)
            self.heard.append(blurred((*told, *listed, details.line_errors_total)))
            return None
        fields = MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        self.heard.append(blurred((type(answer).__name__, fields)))
        return answer

    async def list(self, rows: AsyncIterator[Any]) -> None:
        self.heard.append(blurred([MessageToDict(row, preserving_proto_field_name=True) async for row in rows]))

    async def _stock_comes_in(self) -> None:
        client, say = self._client, self.say
        lines = [counted("mug", 10), counted("mug", 4, "w2"), counted("pot", 2), counted("jug", 1)]
        await say(client.stock.import_stock(lines, request_id="i1"))
        await say(client.stock.import_stock(lines, request_id="i1"))
        await say(client.stock.import_stock(lines, request_id="i2", chunk_lines=1))
        await say(client.stock.import_stock(lines[:1], request_id="i1"))
        await say(client.stock.import_stock([], request_id="i3"))
        await say(client.stock.import_stock([counted("mug", -1), counted("", 1), lines[2], lines[2]], request_id="i4"))
        await say(
            client.stock.receive_stock(
                ORG,
                [{"variant_id": "pot", "warehouse_id": "w1", "quantity": 3}],
                request_id="r1",
                reason="purchase",
                reference="PO",
            )
        )
        await say(
            client.stock.receive_stock(
                ORG,
                [{"variant_id": "pot", "warehouse_id": "w1", "quantity": 3}],
                request_id="r1",
                reason="purchase",
                reference="PO",
            )
        )
        await say(
            client.stock.receive_stock(
                ORG, [{"variant_id": "pot", "warehouse_id": "w1", "quantity": 4}], request_id="r1"
            )
        )
        await say(
            client.stock.receive_stock(
                ORG, [{"variant_id": "pot", "warehouse_id": "w1", "quantity": 2**31 - 1}], request_id="r2"
            )
        )
        await say(client.get_stock_info(ORG, "mug"))
        await say(client.get_stock_info(ORG, "mug", "w2"))
        await say(client.get_stock_info(ORG, "unknown"))
        for page_size in (1, 500):
            await self.list(client.stock.list_stock(ORG, page_size=page_size))
        await self.list(client.stock.list_stock(ORG, variant_id="mug", warehouse_id="w2"))
        for quantity in (0, 1, 11, -1):
            await say(client.check_availability(ORG, "mug", "", quantity))
        await say(client.check_availability(ORG, "unknown", "w1", 1))
        await say(client.check_bulk_availability(ORG, [of("mug", 6), of("mug", 6), of("unknown", 1)]))
        await say(client.check_bulk_availability(ORG, [of("mug", 6), of("pot", 5)]))

    async def _reservations(self) -> None:
        client, say = self._client, self.say
        one = await say(client.reserve_stock(ORG, "o1", [of("mug", 3), of("pot", 1, "w1")], 15))
        await say(client.reserve_stock(ORG, "o1", [of("mug", 3), of("pot", 1, "w1")], 15))
        await say(client.reserve_stock(ORG, "o1", [of("mug", 4)], 15))
        await say(client.reserve_stock(ORG, "o2", [of("unknown", 1)], 15))
        await say(client.reserve_stock(ORG, "o2", [of("mug", 9), of("pot", 9)], 15))
        await say(client.reserve_stock(ORG, "o3", [of("mug", 90)], 15, idempotency_key="k1"))
        await say(client.reserve_stock(ORG, "o3", [of("mug", 1)], 15, idempotency_key="k1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "other"))
        await say(client.stock.fulfill_reservation(ORG, one.reservation_id, request_id="f0"))
        await say(client.confirm_reservation("org_2", one.reservation_id, "o1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "o1"))
        await say(client.confirm_reservation(ORG, one.reservation_id, "o1"))
        two = await say(client.reserve_stock(ORG, "o4", [of("mug", 1)], 15))
        await say(client.release_reservation(ORG, two.reservation_id, "cancelled"))
        await say(client.release_reservation(ORG, two.reservation_id, "cancelled"))
        await say(client.confirm_reservation(ORG, two.reservation_id, "o4"))
        await say(client.release_reservation(ORG, "unknown", "cancelled"))

    async def _time_passes(self) -> None:
        client, say = self._client, self.say
        late = await say(client.reserve_stock(ORG, "o5", [of("jug", 1)], 1))
        await say(client.reserve_stock(ORG, "o6", [of("jug", 1)], 1))
        await self._expire(late)
        await say(client.confirm_reservation(ORG, late.reservation_id, "o5"))
        await say(client.release_reservation(ORG, late.reservation_id, "late"))
        for request_id in ("again", "again", "again-2"):
            await say(client.stock.reacquire_reservation(ORG, late.reservation_id, 30, request_id=request_id))
        await say(client.release_reservation(ORG, late.reservation_id, "left"))
        await say(client.stock.reacquire_reservation(ORG, late.reservation_id, 30))
        await say(client.get_stock_info(ORG, "jug"))

    async def _goods_go_out(self) -> None:
        client, say = self._client, self.say
        three = await say(client.reserve_stock(ORG, "o7", [of("mug", 2)], 15))
        await say(client.confirm_reservation(ORG, three.reservation_id, "o7"))
        for request_id in ("f1", "f1", "f2"):
            await say(client.stock.fulfill_reservation(ORG, three.reservation_id, request_id=request_id))
        await say(client.release_reservation(ORG, three.reservation_id, "too late"))
        four = await say(client.reserve_stock(ORG, "o8", [of("mug", 3), of("pot", 1)], 15))
        for ttl_minutes in (1, 30, -1):
            await say(client.stock.extend_reservation(ORG, four.reservation_id, ttl_minutes, request_id="e"))
        await say(client.stock.extend_reservation(ORG, four.reservation_id, 30, request_id="e2", reason="slow"))
        await say(client.confirm_reservation(ORG, four.reservation_id, "o8"))
        await say(client.stock.extend_reservation(ORG, four.reservation_id, 30, request_id="e3"))
        for quantity in (1, 4):
            lines = [of("mug", quantity), of("cup", 1)]
            await say(client.stock.fulfill_reservation(ORG, four.reservation_id, lines, request_id=f"f{quantity}"))
        for place in (1, 2):
            lines = [of("mug", 1)]
            await say(client.stock.fulfill_reservation(ORG, four.reservation_id, lines, request_id=f"part-{place}"))
        await say(client.stock.get_reservation(ORG, four.reservation_id))
        await say(client.stock.fulfill_reservation(ORG, four.reservation_id, [of("pot", 1)], close=True))
        await say(client.stock.get_reservation(ORG, "unknown"))
        five = await say(client.reserve_stock(ORG, "o10", [of("mug", 2)], 15))
        for basket in ([of("mug", 1)], [of("mug", 1)], [of("mug", 900)], [of("mug", 1), of("pot", 1)], []):
            await say(client.stock.amend_reservation(ORG, five.reservation_id, basket, reason="customer"))
        await say(client.stock.reacquire_reservation(ORG, five.reservation_id, 5))
        await say(client.stock.reacquire_reservation(ORG, "unknown", -5))
        await say(client.confirm_reservation(ORG, three.reservation_id, "o7"))
        for page_size in (2, 100):
            await self.list(client.stock.list_reservations(ORG, page_size=page_size))
        await self.list(client.stock.list_reservations(ORG, state="confirmed"))
        await self.list(client.stock.list_reservations(ORG, order_id="o4"))

    async def _nonsense(self) -> None:
        client, say = self._client, self.say
        await say(client.check_availability("", "", "\n", -5))
        await say(client.check_bulk_availability(ORG, []))
        await say(client.reserve_stock("", "x" * 129, [of("", 0)], 50_000, idempotency_key="x" * 129))
        await say(client.reserve_stock(ORG, "o9", [of("mug", 1)] * 1_001))
        await say(client.reserve_stock(ORG, "o9", [of("x" * 129, 0, "y" * 129)] * 1_000))
        await say(client.confirm_reservation("", "", ""))
        await say(client.release_reservation("", "", "x" * 600))
        await say(client.get_stock_info("", ""))
        await say(
            client.stock.receive_stock(
                "", [{"variant_id": "", "warehouse_id": "", "quantity": 0}], request_id="x" * 129
            )
        )
        await say(client.stock.fulfill_reservation("", "", reference="\n"))
        await say(client.stock.import_stock([counted("mug", 1)], request_id="x" * 129))
        with pytest.raises(AioRpcError) as refused:
            await self.list(client.stock.list_reservations(ORG, state="lost", page_size=2_000))
        self.heard.append((refused.value.code(), refused.value.details()))


def blurred(value: object) -> str:
    """Ids and times made the same."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", str(value))
    return re.sub(r"id-\d{6}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)


@asynccontextmanager
async def server_on_a_socket(ahead_s: Callable[[], float], streaming: bool) -> AsyncIterator[InventoryClient]:
    numbers = count(1)
    clock = ServiceClock(lambda: 1_767_225_600_000, lambda: anyio.current_time() + ahead_s())
    sources = Sources(clock, lambda: f"id-{next(numbers):06}", lambda actor, error: None)
    supervisor = Supervisor(MemoryStore(Disk()), sources, Limits(heartbeat_s=0.01))
    server = RpcServer(supervisor, host="127.0.0.1", port=0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        [address] = await server.start()
        async with InventoryClient("127.0.0.1", address.port, breaker=False, streaming=streaming) as client:
            yield client
        supervisor.stop()
        await server.stop(1)


def heard_over_a_socket(streaming: bool) -> list[object]:
    async def main() -> list[object]:
        ahead_s = 0.0

        async def expire(_: object) -> None:
            nonlocal ahead_s
            ahead_s += 61
            with anyio.fail_after(30):
                while (await client.get_stock_info(ORG, "jug")).stock_info[0].reserved_quantity:  # noqa: ASYNC110
                    await anyio.sleep(0.01)

        async with server_on_a_socket(lambda: ahead_s, streaming) as client:
            return await Conversation(client, expire).hold()

    return anyio.run(main)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_kit_says_what_a_server_on_a_socket_says_call_by_call(backend: Any, streaming: bool) -> None:
    heard: list[object] = []

    async def scenario(world: World) -> None:
        client = world.client(breaker=False, streaming=streaming)
        heard.extend(await Conversation(client, world.sleep_until_expired).hold())

    Simulation().run(scenario, backend=backend)
    expected = heard_over_a_socket(streaming)
    assert len(expected) > 60
    for number, (mine, real) in enumerate(zip(heard, expected, strict=True)):
        assert mine == real, number


def test_the_client_is_an_inventory_client() -> None:
    async def scenario(world: World) -> None:
        client = world.client(metadata=(("authorization", "x"),))
        assert isinstance(client, InventoryClient)
        assert not (await client.stub.GetStockInfo(_stock_info_request(), timeout=1.0)).stock_info
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.get_stock_info(ORG, "mug")

    Simulation().run(scenario)


def _stock_info_request() -> Any:
    from stockkeeper_client.v1 import inventory_pb2

    return inventory_pb2.GetStockInfoRequest(organization_id=ORG, variant_id="mug")

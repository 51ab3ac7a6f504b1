"""What is counted of calls, and what the log says of those that were refused, failed or were slow."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.buckets import Buckets
from actors.outcomes import InsufficientStock, Refused, Shortage
from actors.unavailable import too_many
from rpc.call_log import CallLog
from rpc.call_watch import CODES, DURATIONS_S, CallWatch
from rpc.line_budget import LineBudget
from rpc.messages.call_ids import CallIds, ids_of, printable
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

RESERVE = "inventory.v1.InventoryService/ReserveStock"
ORDER = pb.ReserveStockRequest(
    organization_id="shop", order_id="o1", items=[pb.ReservationItem(variant_id="mug", quantity=1)]
)
WHO = (
    ("x-actor", "checkout"),
    ("x-correlation-id", "c-7"),
    ("idempotency-key", "i-9"),
    ("authorization", "Bearer secret-token"),
    ("cookie", "secret-cookie"),
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def serving(
    fake: FakeInventory, transport: TransportName, watch: CallWatch
) -> AsyncIterator[tuple[RpcServer, grpc.aio.Channel]]:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, watch=watch)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(str(server.addresses[0])) as channel:
            yield server, channel
    finally:
        await server.stop(0)


def counts(server: RpcServer) -> dict[tuple[str, str], int]:
    return {(one.method, one.code): one.durations_s.values for one in server.statistics().watched.calls}


async def code_of(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_calls_are_counted_by_how_they_end(fake: FakeInventory, transport: TransportName) -> None:
    async with serving(fake, transport, CallWatch(is_counting=True)) as (server, channel):
        inventory = InventoryServiceStub(channel)
        assert await code_of(inventory.ReserveStock(ORDER)) == "OK"
        assert await code_of(inventory.ReserveStock(pb.ReserveStockRequest())) == "INVALID_ARGUMENT"
        fake.outcome = too_many("calls")
        assert await code_of(inventory.ReserveStock(ORDER)) == "UNAVAILABLE"
        for path in ("/a/b", "/c/d"):
            assert await code_of(channel.unary_unary(path)(b"")) == "UNIMPLEMENTED"  # type: ignore[arg-type]  # bytes
        fake.gate.clear()
        fake.arrived.clear()
        given_up = inventory.GetStockInfo(pb.GetStockInfoRequest(organization_id="shop", variant_id="mug"))
        waiting = asyncio.ensure_future(given_up)
        await fake.arrived.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        info = "inventory.v1.InventoryService/GetStockInfo"
        async with asyncio.timeout(20):
            while (info, "CANCELLED") not in counts(server):  # noqa: ASYNC110 - the server hears of it when it does
                await asyncio.sleep(0.01)
        fake.gate.set()
        stream = StockServiceStub(channel).ImportStock(iter(()))
        assert await code_of(stream) == "INVALID_ARGUMENT"
        assert counts(server) == {
            (RESERVE, "OK"): 1,
            (RESERVE, "INVALID_ARGUMENT"): 1,
            (RESERVE, "UNAVAILABLE"): 1,
            (info, "CANCELLED"): 1,
            ("inventory.v1.StockService/ImportStock", "INVALID_ARGUMENT"): 1,
            ("_OTHER", "UNIMPLEMENTED"): 2,
        }


async def test_a_refused_call_has_one_line_that_says_whose_it_is_and_no_secret(
    fake: FakeInventory, transport: TransportName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rpc")
    async with serving(fake, transport, CallWatch()) as (_, channel):
        fake.outcome = Refused(InsufficientStock((Shortage("mug", "w1", 1, 0),)))
        assert await code_of(InventoryServiceStub(channel).ReserveStock(ORDER, metadata=WHO)) == "FAILED_PRECONDITION"
        await code_of(channel.unary_unary("/not\nhere/x" + "y" * 999)(b""))  # type: ignore[arg-type]  # bytes
    refused, unknown = [record for record in caplog.records if record.name == "rpc.call_log"]
    values = {name: value for name, value in vars(refused).items() if name in LINE}
    assert values == LINE
    assert vars(refused)["took_ms"] >= 0
    assert (refused.getMessage(), refused.levelno) == ("rpc_refused", logging.INFO)
    assert len(vars(unknown)["method"]) <= 140
    assert "\n" not in vars(unknown)["method"]
    assert "secret" not in str([vars(record) for record in caplog.records])


LINE = {
    **{"method": f"/{RESERVE}", "code": "FAILED_PRECONDITION", "reason": "INSUFFICIENT_STOCK"},
    **{"organization_id": "shop", "order_id": "o1", "request_id": "i-9", "correlation_id": "c-7", "actor": "checkout"},
}


async def test_a_call_that_is_refused_and_slow_has_one_line(
    fake: FakeInventory, transport: TransportName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rpc")
    watch = CallWatch(slow_call_s=0.0)
    async with serving(fake, transport, watch) as (_, channel):
        fake.outcome = too_many("calls")
        assert await code_of(InventoryServiceStub(channel).ReserveStock(ORDER)) == "UNAVAILABLE"
    assert [record.getMessage() for record in caplog.records if record.name == "rpc.call_log"] == ["rpc_refused"]
    assert watch.statistics().slow == 1


async def test_a_slow_call_is_told_and_a_stream_never_is(
    fake: FakeInventory, transport: TransportName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rpc")
    clock = Clock()
    watch = CallWatch(slow_call_s=0.5, clock_s=clock)
    async with serving(fake, transport, watch) as (_, channel):
        for late_s in (0.499, 0.5):
            fake.gate.clear()
            fake.arrived.clear()
            waiting = asyncio.ensure_future(InventoryServiceStub(channel).ReserveStock(ORDER, metadata=WHO))
            await fake.arrived.wait()
            clock.now_s += late_s
            fake.gate.set()
            await waiting
        fake.gate.clear()
        fake.arrived.clear()
        lines = [stock_pb2.ImportLine(organization_id="shop", variant_id="a", warehouse_id="w", total_quantity=1)]
        request = stock_pb2.ImportStockRequest(request_id="r", lines=lines, lines_total=1)
        upload = StockServiceStub(channel).ImportStock(iter([request]))
        importing = asyncio.ensure_future(code_of(upload))
        await fake.arrived.wait()
        clock.now_s += 100
        fake.gate.set()
        await importing
    [told] = [vars(record) for record in caplog.records if record.getMessage() == "rpc_slow"]
    assert (told["took_ms"], told["code"], told["order_id"], told["actor"]) == (500, "OK", "o1", "checkout")
    assert told["levelname"] == "INFO"
    assert watch.statistics().slow == 1


def test_a_flood_of_lines_is_cut_short_and_the_next_one_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rpc")
    clock = Clock()
    calls, made = CallLog(LineBudget(burst=3, a_second=1.0, clock_s=clock)), []

    def told() -> dict[str, str]:
        made.append(1)
        return {}

    for _ in range(1_000):
        calls.problem_of("/s/m", too_many("calls"), told)
    assert len(caplog.records) == len(made) == 3  # what is left out is not even made
    calls.slow("/s/m", "OK", told)  # another kind has a budget of its own
    clock.now_s += 2
    for _ in range(4):
        calls.problem_of("/s/m", too_many("calls"), told)
    more = [vars(record).get("more_like_this") for record in caplog.records]
    assert more == [None, None, None, None, 997, None]


def test_names_without_end_share_one_budget() -> None:
    lines = LineBudget(burst=1, a_second=0.0, clock_s=Clock())
    given = [lines.take(f"event {n}") for n in range(1_500)]
    assert given[:1_000] == [0] * 1_000
    assert given[1_000] == 0
    assert set(given[1_001:]) == {None}
    assert len(lines._buckets) == 1_001


def test_durations_fall_into_the_bucket_that_ends_there() -> None:
    durations = Buckets(DURATIONS_S)
    for value in (0.0, 0.0005, 0.00051, 10.0, 10.1):
        durations.add(value)
    counts = durations.statistics()
    assert (counts.counts[0], counts.counts[1], counts.counts[-2], counts.counts[-1]) == (2, 1, 1, 1)
    assert (counts.values, round(counts.total, 5)) == (5, 20.10101)


def test_only_ids_are_told_and_they_are_cut() -> None:
    assert ids_of(None) == CallIds()
    request = stock_pb2.AdjustStockRequest(organization_id="o" * 500, request_id="r\n1", reason="secret")
    sent = (("authorization", "Bearer secret"), ("x-request-id", "c\x1b[31m"))
    call: Any = SimpleNamespace(invocation_metadata=lambda: sent, caller="the shop")
    told = ids_of(request).told(call)
    assert told == {
        **{"organization_id": "o" * 128, "request_id": "r\\n1"},
        **{"correlation_id": "c\\x1b[31m", "actor": "the shop"},
    }
    assert printable("ñandú") == "ñandú"
    assert CODES[0] == "OK"

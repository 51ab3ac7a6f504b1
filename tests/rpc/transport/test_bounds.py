"""The contract of both transports, fourth part: what a client can hold before a call's message is parsed."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.network_bounds import DEFAULT_BOUNDS
from rpc.rpc_server import RpcServer
from rpc.service_names import INVENTORY
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.transport.answers import (
    PREFACE,
    QUESTION,
    RESERVATION,
    Answers,
    Listening,
    code_of,
    h2_frame,
    headers_by_hand,
    listening,
    until,
)

STRIKES_MAX = 2
pytestmark = pytest.mark.anyio

StatusCode = grpc.StatusCode
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
PATH = f"/{INVENTORY}/CheckAvailability".encode()
SETTINGS, PING, GOAWAY = 4, 6, 7


@asynccontextmanager
async def connected(served: Listening) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*served.address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def frame_of(reader: asyncio.StreamReader, *kinds: int) -> tuple[int, bytes]:
    """The first frame of one of these kinds."""
    async with asyncio.timeout(20):
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] in kinds:
                return head[3], payload


async def test_a_connection_has_no_more_streams_than_grpc_advises(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served, connected(served) as (reader, writer):
        message = h2_frame(0, 1, 1, b"\0" * 5)
        writer.write(PREFACE)
        _, settings = await frame_of(reader, SETTINGS)
        pairs = [settings[place : place + 6] for place in range(0, len(settings), 6)]
        assert {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}[3] == 100
        for stream in range(1, 401, 2):
            number = stream.to_bytes(4, "big")
            writer.write(h2_frame(1, 4, stream, headers_by_hand(PATH)) + message[:5] + number + message[9:])
        await until(lambda: served.frame.calls.under_way >= DEFAULT_BOUNDS.calls_a_connection_max)
        await asyncio.sleep(0.2)
        assert served.frame.calls.under_way <= DEFAULT_BOUNDS.calls_a_connection_max


async def test_a_client_with_more_calls_than_streams_has_all_of_them_answered(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        questions = [
            served.inventory.GetStockInfo(QUESTION, timeout=20)
            for _ in range(5 * DEFAULT_BOUNDS.calls_a_connection_max)
        ]
        answers = await asyncio.gather(*questions)
        assert len(answers) == 5 * DEFAULT_BOUNDS.calls_a_connection_max


async def test_metadata_beyond_the_bound_is_refused(transport: TransportName) -> None:
    answers = Answers()
    async with listening(answers, transport) as served:
        text = "x" * 6_000
        assert await served.inventory.GetStockInfo(QUESTION, metadata=(("a-text", text),), timeout=10)
        assert dict(answers.metadata)["a-text"] == text
        answers.metadata = ()
        text = "x" * (DEFAULT_BOUNDS.metadata_bytes_max + 1)
        refused = served.inventory.GetStockInfo(QUESTION, metadata=(("a-text", text),), timeout=10)
        assert await code_of(refused) is StatusCode.RESOURCE_EXHAUSTED
        assert not answers.metadata


async def test_a_crowd_on_one_connection_is_answered_one_and_all(transport: TransportName) -> None:
    """The core by itself counts streams that have ended against the bound for some time after."""
    async with listening(Answers(), transport) as served:

        async def ask(times: int) -> None:
            for _ in range(times):
                assert (await served.inventory.GetStockInfo(QUESTION, timeout=20)).stock_info

        await asyncio.gather(*(ask(30) for _ in range(64)))


async def test_a_client_that_pings_too_often_is_sent_away_where_there_is_a_bound(transport: TransportName) -> None:
    bounded = {"grpc.http2.max_ping_strikes": STRIKES_MAX}
    async with listening(Answers(), transport, bounded) as served, connected(served) as (reader, writer):
        writer.write(PREFACE)
        pings, kind, payload = 0, PING, b""
        while kind == PING:
            pings += 1
            writer.write(h2_frame(PING, 0, 0, b"12345678"))
            kind, payload = await frame_of(reader, PING, GOAWAY)
        assert payload[8:] == b"too_many_pings"
        assert STRIKES_MAX < pings <= STRIKES_MAX + 3


async def test_a_client_may_ping_as_often_as_it_likes(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served, connected(served) as (reader, writer):
        writer.write(PREFACE)
        for _ in range(1_000):
            writer.write(h2_frame(PING, 0, 0, b"12345678"))
            kind, _ = await frame_of(reader, PING, GOAWAY)
            assert kind == PING


async def test_a_client_that_pings_seldom_stays(transport: TransportName) -> None:
    options = {"grpc.http2.min_ping_interval_without_data_ms": 50}
    async with listening(Answers(), transport, options) as served, connected(served) as (reader, writer):
        writer.write(PREFACE)
        for _ in range(6):
            await asyncio.sleep(0.06)
            writer.write(h2_frame(PING, 0, 0, b"12345678"))
            await frame_of(reader, PING)
        writer.write(h2_frame(1, 5, 1, headers_by_hand(f"/{INVENTORY}/GetStockInfo".encode())))
        await until(lambda: served.listener.statistics().calls_begun == 1)


async def test_a_connection_that_says_nothing_is_closed(transport: TransportName) -> None:
    options = {"grpc.server_handshake_timeout_ms": 200}
    async with listening(Answers(), transport, options) as served, connected(served) as (reader, _):
        async with asyncio.timeout(10):
            while await reader.read(1_024):
                pass


def a_long_reservation(bytes_min: int) -> pb.ReserveStockRequest:
    return pb.ReserveStockRequest(organization_id="o", order_id="x" * bytes_min, items=RESERVATION.items)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_messages_may_be_bounded_below_what_is_usual(
    fake: FakeInventory, transport: TransportName, compression: grpc.Compression
) -> None:
    """By what they are uncompressed, so that a small gzipped one does not become a large one."""
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, message_bytes_max=4_096)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address)) as channel:
        inventory = InventoryServiceStub(channel)
        assert (await inventory.ReserveStock(RESERVATION, compression=compression)).reservation_id
        request = a_long_reservation(5_000)
        assert len(gzip.compress(request.SerializeToString())) < 1_000
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await inventory.ReserveStock(request, compression=compression)
        assert raised.value.code() is StatusCode.RESOURCE_EXHAUSTED
    await server.stop(0)


async def test_calls_that_were_reset_at_once_leave_nothing(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served, connected(served) as (_, writer):
        writer.write(PREFACE)
        for stream in range(1, 4_001, 2):
            number = stream.to_bytes(4, "big")
            writer.write(h2_frame(1, 4, stream, headers_by_hand(PATH)))
            writer.write(h2_frame(3, 0, 0, b"\0\0\0\x08")[:5] + number + b"\0\0\0\x08")
            await writer.drain()
        assert (await served.inventory.GetStockInfo(QUESTION, timeout=10)).stock_info
        await until(lambda: served.calls() == 0)
        assert served.frame.calls.under_way == 0


async def test_a_connection_too_many_is_closed_and_the_others_go_on(transport: TransportName) -> None:
    options = {"grpc.max_allowed_incoming_connections": 3}
    async with listening(Answers(), transport, options) as served:
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
        async with connected(served), connected(served), connected(served) as (reader, _):
            async with asyncio.timeout(10):
                while await reader.read(1_024):
                    pass
            assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
        await until_connected(served)


async def until_connected(served: Listening) -> None:
    """Connections that were closed leave room for others."""
    async with grpc.aio.insecure_channel(str(served.address), options=OWN_CONNECTION) as channel:
        assert await InventoryServiceStub(channel).GetStockInfo(QUESTION, wait_for_ready=True, timeout=10)


async def test_an_idle_connection_is_closed_and_its_client_calls_again(transport: TransportName) -> None:
    options = {"grpc.max_connection_idle_ms": 200}
    async with listening(Answers(), transport, options) as served, connected(served) as (reader, writer):
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
        writer.write(PREFACE)
        await frame_of(reader, GOAWAY)
        assert (await served.inventory.GetStockInfo(QUESTION, timeout=10)).stock_info


async def test_a_connection_with_a_call_is_not_idle(transport: TransportName) -> None:
    options = {"grpc.max_connection_idle_ms": 100}
    answers = Answers()
    async with listening(answers, transport, options) as served:
        waiting = served.inventory.CheckAvailability(pb.CheckAvailabilityRequest(), timeout=10)
        await asyncio.sleep(0.5)
        answers.gate.set()
        await waiting

"""The contract of both transports, last part: what a connection brings that is no message; connections by address."""

import asyncio
import os
from contextlib import suppress
from time import monotonic

import grpc.aio
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.network_bounds import MIB
from rpc.transport import connection_watch
from rpc.transport.connection_watch import ConnectionWatch, WatchedConnection
from rpc.transport.socket_facts import SocketFacts
from rpc.transport.transport_name import TransportName
from tests.rpc.transport.answers import PREFACE, QUESTION, Answers, h2_frame, headers_by_hand, listening, until
from tests.rpc.transport.test_bounds import PATH, connected

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not connection_watch.HAS_TCP_INFO, reason="the system does not tell"),
]

MESSAGE_BYTES_MAX = 4 * MIB
FLOODER = "127.0.0.2"  # its address
BOUNDED = {"grpc.max_receive_message_length": MESSAGE_BYTES_MAX}
BUFFERED_BYTES = 64 * MIB  # in the kernel, and until the next look, which a busy machine delays
IN_A_ROW = 4  # parts that the flood sends, then it pauses: a fast sender would measure the machine and not the watch
PAUSE_S = 0.001

FLOODS = {
    "pings": (b"", h2_frame(6, 0, 0, b"12345678") * 500),
    "unknown frames": (b"", h2_frame(0x42, 0, 0, b"12345678") * 500),
    "headers without an end": (
        h2_frame(1, 0, 1, headers_by_hand(PATH)),
        h2_frame(9, 0, 1, (b"\x00\x05x-abc" + bytes([100]) + b"v" * 100) * 70),
    ),
    "frames beside a call": (
        h2_frame(1, 4, 1, headers_by_hand(PATH)) + h2_frame(0, 0, 1, b"\0\0\0\0\x05"),
        h2_frame(2, 0, 3, b"\0\0\0\0\x10") * 500,
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_what_is_no_message_is_cut_off(flood: str, transport: TransportName) -> None:
    begin, more = FLOODS[flood]
    async with listening(Answers(), transport, BOUNDED) as served:
        sent = await sent_until_cut_off(served.address, begin, more)
        assert sent < connection_watch.ALLOWED_BYTES + MESSAGE_BYTES_MAX + BUFFERED_BYTES
        assert (await served.inventory.GetStockInfo(QUESTION, timeout=10)).stock_info
        watch: ConnectionWatch = served.listener._connections  # type: ignore[attr-defined]
        await until(lambda: watch.statistics().cut_off == 1)


async def test_an_address_that_floods_again_and_again_is_not_heard_for_a_while(
    transport: TransportName, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rpc")
    monkeypatch.setattr(connection_watch, "BARRED_S", 1.0)
    begin, more = FLOODS["unknown frames"]
    async with listening(Answers(), transport, BOUNDED) as served:
        assert (await served.inventory.GetStockInfo(QUESTION, timeout=10)).stock_info
        for _ in range(connection_watch.BARRED_AFTER):
            await sent_until_cut_off(served.address, begin, more)
        watch: ConnectionWatch = served.listener._connections  # type: ignore[attr-defined]
        await until(lambda: watch.statistics().barred == 1)
        await until(lambda: "addresses_not_heard" in caplog.messages)
        assert caplog.messages.count("connection_cut_off") == connection_watch.BARRED_AFTER
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.open_connection(*served.address, local_addr=(FLOODER, 0))
        assert (await served.inventory.GetStockInfo(QUESTION, timeout=10)).stock_info
        _, writer = await asyncio.open_connection(*served.address)  # from another address
        writer.transport.abort()
        await until(lambda: watch.statistics().barred == 0)
        _, writer = await asyncio.open_connection(*served.address, local_addr=(FLOODER, 0))
        writer.transport.abort()


async def sent_until_cut_off(address: tuple[str, int], begin: bytes, more: bytes) -> int:
    """Returns how many bytes the operating system took until the connection was closed."""
    sent = 0
    reader, writer = await asyncio.open_connection(*address, local_addr=(FLOODER, 0))

    async def write() -> None:
        nonlocal sent
        writer.write(PREFACE + begin)
        while True:
            for _ in range(IN_A_ROW):
                writer.write(more)
                await writer.drain()
                sent += len(more)
            await asyncio.sleep(PAUSE_S)

    writing = asyncio.create_task(write())
    with suppress(ConnectionError):
        async with asyncio.timeout(20):
            while await reader.read(65_536):
                pass
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    writer.transport.abort()
    return sent


async def test_messages_and_many_calls_are_no_flood(transport: TransportName) -> None:
    """As many bytes as a flood has, from one connection, as fast as it can."""
    message = pb.GetStockInfoRequest(organization_id="o" * 100, variant_id="v" * (MIB // 2))
    async with listening(Answers(), transport, BOUNDED) as served:

        async def call(times: int) -> None:
            for _ in range(times):
                await served.inventory.GetStockInfo(message, timeout=20)

        await asyncio.gather(*(call(8) for _ in range(8)))
        assert served.listener._connections.statistics().cut_off == 0  # type: ignore[attr-defined]


async def test_an_address_has_no_more_connections_than_it_may(transport: TransportName) -> None:
    async with listening(Answers(), transport) as served:
        watch: ConnectionWatch = served.listener._connections  # type: ignore[attr-defined]
        watch._of_address_max = 3
        assert (await served.inventory.GetStockInfo(QUESTION)).stock_info
        async with connected(served), connected(served):
            await until(lambda: watch.statistics().barred == 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.open_connection(*served.address)
            _, other = await asyncio.open_connection(*served.address, local_addr=(FLOODER, 0))
            watch._of_address_max = 2
            await until(lambda: watch.statistics().cut_off == 1)
            watch._of_address_max = 4
            assert (await served.inventory.GetStockInfo(QUESTION, wait_for_ready=True)).stock_info
            other.transport.abort()
        await until(lambda: watch.statistics().barred == 0)
        async with grpc.aio.insecure_channel(
            str(served.address), options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            assert await InventoryServiceStub(channel).GetStockInfo(QUESTION, wait_for_ready=True, timeout=20)


async def test_a_connection_beyond_many_free_numbers_is_met_all_the_same(transport: TransportName) -> None:
    """It has another number than what opens next would get, as after many others were closed."""
    async with listening(Answers(), transport) as served:
        watch: ConnectionWatch = served.listener._connections  # type: ignore[attr-defined]
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(2 * connection_watch.FREE_IN_A_ROW)]
        _, writer = await asyncio.open_connection(*served.address)
        for fd in held:
            os.close(fd)
        await until(lambda: watch.statistics().connections == 1)
        writer.transport.abort()
        await until(lambda: watch.statistics().connections == 0)


@pytest.mark.parametrize("addresses", [1, 3])
def test_connections_that_flood_side_by_side_are_judged_together_where_they_are_of_one_address(addresses: int) -> None:
    watch, facts = ConnectionWatch(tuple, (), 0), SocketFacts(cookie=7, received_bytes=0, is_listening=False)
    of_address: dict[str, int] = {}
    for number in range(3):
        host, fd = f"127.0.0.{2 + number % addresses}", 1_000_000 + number  # no descriptor
        surplus_bytes = 0.45 * connection_watch.ALLOWED_BYTES
        now_s = monotonic()
        known = WatchedConnection(
            7, f"ipv4:{host}:{number}", host, now_s, calm_since_s=now_s, surplus_bytes=surplus_bytes
        )
        watch._connections[fd] = known
        watch._look_at(fd, facts, {}, of_address)
        assert bool(watch._suspects) is (addresses == 1 and number == 2)


def test_an_address_is_barred_when_the_first_connection_too_many_is_seen_and_not_after_the_look() -> None:
    watch, facts = ConnectionWatch(tuple, (), 0), SocketFacts(cookie=7, received_bytes=0, is_listening=False)
    watch._of_address_max = 1
    of_address: dict[str, int] = {}
    for number in range(2):
        watch._connections[1_000_000 + number] = WatchedConnection(7, f"ipv4:{FLOODER}:{number}", FLOODER, monotonic())
        watch._look_at(1_000_000 + number, facts, {}, of_address)
        assert watch._barred == ({FLOODER} if number else set())
    assert watch._is_wary, "those that were not heard try again together"


def test_one_that_was_cut_off_is_not_counted_any_more() -> None:
    watch, facts = ConnectionWatch(tuple, (), 0), SocketFacts(cookie=7, received_bytes=0, is_listening=False)
    watch._of_address_max = 1
    of_address: dict[str, int] = {}
    for number, is_cut in enumerate((True, False)):
        known = WatchedConnection(7, f"ipv4:{FLOODER}:{number}", FLOODER, monotonic(), is_cut=is_cut)
        watch._connections[1_000_000 + number] = known
        watch._look_at(1_000_000 + number, facts, {}, of_address)
        assert known.is_cut is is_cut


def test_what_begins_to_bring_much_is_looked_at_again_soon() -> None:
    watch, fd = ConnectionWatch(tuple, (), 0), 1_000_000
    watch._connections[fd] = WatchedConnection(7, f"ipv4:{FLOODER}:1", FLOODER, monotonic())
    for received_bytes, is_soon in ((1_000, False), (10 * MIB, True)):
        watch._look_at(fd, SocketFacts(cookie=7, received_bytes=received_bytes, is_listening=False), {}, {})
        assert (watch._pause_s(0.0) < connection_watch.LOOK_EVERY_S) is is_soon


def test_what_was_cut_off_is_written_down_with_its_address_and_bytes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rpc")
    watch = ConnectionWatch(tuple, (), 0)
    known = WatchedConnection(7, f"ipv4:{FLOODER}:1", FLOODER, monotonic(), received_bytes=5 * MIB)
    watch._cut(1_000_000, known)
    assert not caplog.messages, "not while there may be more to cut off"
    watch._rest = lambda pause_s: True  # type: ignore[method-assign]  # it is stopped
    watch._watch()
    [record] = caplog.records
    assert (record.message, vars(record)["address"]) == ("connection_cut_off", FLOODER)
    assert vars(record)["received_bytes"] == 5 * MIB

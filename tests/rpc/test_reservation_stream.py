"""The stream of reservations over a real socket before a fake inventory."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import inventory_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.status_pb2 import Status
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.commands import Command, Line, Reserve
from actors.outcomes import ActorCrashed, Fact, InsufficientStock, Refused, Shortage, StockNotFound
from actors.reply import Reply
from actors.unavailable import Unavailable, shutting_down
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.services.open_streams import OpenStreamsStatistics
from rpc.services.reservation_stream import REPLIES_BYTES_MAX, REQUESTS_A_MESSAGE_MAX, Stream
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio


def an_order(sequence: int, order_id: str = "", **fields: Any) -> stream_pb2.StreamedRequest:
    item = inventory_pb2.ReservationItem(variant_id="var_789", warehouse_id="wh_101", quantity=2)
    request = inventory_pb2.ReserveStockRequest(
        **{"organization_id": "org_123", "order_id": order_id or f"order_{sequence}", "items": [item], **fields}
    )
    return stream_pb2.StreamedRequest(sequence=sequence, request=request)


def message(*requests: stream_pb2.StreamedRequest) -> stream_pb2.ReserveStockRequests:
    return stream_pb2.ReserveStockRequests(requests=requests)


async def replies_of(call: Any, count: int) -> list[stream_pb2.ReserveStockReply]:
    replies: list[stream_pb2.ReserveStockReply] = []
    while len(replies) < count:
        received = await call.read()
        assert received is not grpc.aio.EOF, replies
        replies.extend(received.replies)
    return replies


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def details(status: Status, kind: Any) -> Any:
    found = kind()
    assert any(packed.Unpack(found) for packed in status.details), status
    return found


class Held(FakeInventory):
    """Answers when the test says so, and in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Command, Reply[Fact]]] = []
        self.refuses: Unavailable | None = None

    def submit(self, command: Command) -> Reply[Fact]:
        if self.refuses is not None:
            raise self.refuses
        reply: Reply[Fact] = Reply()
        self.held.append((command, reply))
        return reply

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.held) < count:  # noqa: ASYNC110 - it does not tell
                await asyncio.sleep(0.005)

    def give(self, places: Iterable[int]) -> None:
        assert not isinstance(self.outcome, Exception)
        for place in places:
            self.held[place][1].set(self.outcome)


@pytest.fixture
def stream(channel: grpc.aio.Channel) -> Any:
    return ReservationStreamStub(channel).ReserveStock()


async def test_a_request_is_what_the_call_is(stream: Any, fake: FakeInventory, inventory: InventoryServiceStub) -> None:
    request = an_order(7, "order_456", ttl_minutes=5)
    request.idempotency_key = "key_1"
    await stream.write(message(request))
    [reply] = await replies_of(stream, 1)
    assert fake.asked == [Reserve("org_123", "order_456", (Line("var_789", "wh_101", 2),), 5, "key_1")]
    assert (reply.sequence, reply.organization_id, reply.order_id) == (7, "org_123", "order_456")
    assert reply.response == await inventory.ReserveStock(request.request, metadata=(("idempotency-key", "key_1"),))
    assert fake.asked[1] == fake.asked[0]
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Refused(StockNotFound("var_789", "wh_101")), ErrorInfo),
        (Refused(InsufficientStock((Shortage("var_789", "", 5, 2),), retry_after_ms=90_500)), PreconditionFailure),
        (Refused(InsufficientStock((Shortage("var_789", "", 5, 2),), retry_after_ms=90_500)), RetryInfo),
        (Unavailable("STORAGE_DOWN", "The database is gone", 1_000), RetryInfo),
        (ActorCrashed("inside"), ErrorInfo),
        (None, BadRequest),
    ],
)
async def test_a_refusal_is_what_the_call_fails_with(
    stream: Any, inventory: InventoryServiceStub, fake: FakeInventory, outcome: Exception | None, kind: Any
) -> None:
    request = an_order(1)
    if outcome is None:
        request.request.items[0].quantity = 0
    else:
        fake.outcome = outcome
    await stream.write(message(request, an_order(2, ttl_minutes=-1)))
    first, second = sorted(await replies_of(stream, 2), key=lambda reply: reply.sequence)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await inventory.ReserveStock(request.request)
    status = first.status
    assert (status.code, status.message) == (raised.value.code().value[0], raised.value.details())
    assert details(status, ErrorInfo).reason == error_details(raised.value).reason
    trailers = dict(raised.value.trailing_metadata() or ())
    assert Status.FromString(trailers["grpc-status-details-bin"]) == status
    details(status, kind)
    assert second.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_an_invalid_request_is_answered_and_the_stream_goes_on(stream: Any) -> None:
    await stream.write(message(stream_pb2.StreamedRequest(sequence=5), an_order(1, "o" * 5_000)))
    empty, long = await replies_of(stream, 2)
    assert (empty.sequence, empty.order_id) == (5, "")
    assert [it.field for it in details(empty.status, BadRequest).field_violations] == [
        "organization_id",
        "order_id",
        "items",
    ]
    assert long.order_id == "o" * 128
    await stream.write(message(an_order(2)))
    assert (await replies_of(stream, 1))[0].response.success


async def test_a_bug_is_logged_and_tells_nothing(stream: Any, fake: FakeInventory, events: list[Any]) -> None:
    fake.outcome = ZeroDivisionError("secret")
    await stream.write(message(an_order(1)))
    [reply] = await replies_of(stream, 1)
    assert reply.status.message == "Internal error"
    assert "secret" not in str(reply)
    assert [event["event"] for event in events] == ["rpc_failed"]


async def test_a_malformed_message_ends_the_stream_after_what_is_under_way(
    channel: grpc.aio.Channel, fake: FakeInventory
) -> None:
    fake.gate.clear()
    call: Any = channel.stream_stream(
        "/inventory.v1.ReservationStream/ReserveStock",
        response_deserializer=stream_pb2.ReserveStockReplies.FromString,
    )()
    await call.write(message(an_order(1)).SerializeToString())
    await call.write(b"\xff")
    await fake.arrived.wait()
    fake.gate.set()
    assert (await replies_of(call, 1))[0].response.success
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert error_details(raised.value).reason == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    "bad",
    [
        message(*[an_order(n) for n in range(REQUESTS_A_MESSAGE_MAX + 1)]),
        message(an_order(1, items=[inventory_pb2.ReservationItem()] * 300_000)),
    ],
    ids=["requests", "lines"],
)
async def test_a_message_with_too_much_in_it_is_refused(stream: Any, fake: FakeInventory, bad: Any) -> None:
    await stream.write(bad)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not fake.asked


class Serving:
    """A server of a test's own."""

    def __init__(self, inventory: FakeInventory, transport: TransportName, **limits: Any) -> None:
        self.server = RpcServer(inventory, host="127.0.0.1", port=0, transport=transport, **limits)

    async def __aenter__(self) -> grpc.aio.Channel:
        [address] = await self.server.start()
        self.channel = grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)])
        return self.channel

    async def __aexit__(self, *error: object) -> None:
        await self.server.stop(0)
        await self.channel.close()


async def test_replies_come_in_the_order_of_completion_also_for_one_order(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport) as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        await call.write(message(an_order(1, "order_1"), an_order(2, "order_1"), an_order(3)))
        await until(lambda: len(held.held) == 3)
        held.give([2, 1])
        assert [(it.sequence, it.order_id) for it in await replies_of(call, 2)] == [(3, "order_3"), (2, "order_1")]
        held.give([0])
        assert [(it.sequence, it.order_id) for it in await replies_of(call, 1)] == [(1, "order_1")]


async def test_no_more_than_the_limit_is_under_way_on_a_stream(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport, bounds=NetworkBounds(requests_a_stream_max=3)) as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        other = ReservationStreamStub(channel).ReserveStock()
        await call.write(message(*[an_order(n) for n in range(1, 8)]))
        await until(lambda: len(held.held) == 3)
        await other.write(message(an_order(100)))
        await until(lambda: len(held.held) == 4)  # and not 5: of the first stream nothing more was taken
        held.give([0])
        assert [reply.sequence for reply in await replies_of(call, 1)] == [1]
        await until(lambda: len(held.held) == 5)
        while len(held.held) < 8:
            held.give(place for place in range(len(held.held)) if not held.held[place][1].is_done)
            await asyncio.sleep(0)
        held.give(place for place in range(8) if not held.held[place][1].is_done)
        assert len(await replies_of(call, 6)) == 6


async def test_a_client_that_reads_no_replies_is_read_no_more(fake: FakeInventory, transport: TransportName) -> None:
    async with Serving(fake, transport) as channel:
        call: Any = ReservationStreamStub(channel).ReserveStock()
        long = "😀" * 128

        async def write() -> None:
            for first in range(0, 100_000, 50):
                await call.write(message(*[an_order(n, long, organization_id=long) for n in range(first, first + 50)]))

        writing = asyncio.ensure_future(write())
        seen = -1
        while seen != len(fake.asked):  # until nothing moves any more
            seen = len(fake.asked)
            await asyncio.sleep(0.3)
        assert not writing.done()
        assert 256 <= seen < 20_000
        health: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert (await health(b"")) is not None
        await replies_of(call, seen)  # once it reads, it goes on
        await until(lambda: len(fake.asked) > seen)
        writing.cancel()
        call.cancel()


async def test_replies_are_many_in_a_message_but_no_message_grows_too_large(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport) as channel:
        call: Any = ReservationStreamStub(channel).ReserveStock()
        long = "😀" * 128
        await call.write(message(*[an_order(n, long, organization_id=long) for n in range(1, 257)]))
        await until(lambda: len(held.held) == 256)
        for _, reply in held.held:
            reply.fail(Refused(InsufficientStock(tuple(Shortage(long, long, 2, 1) for _ in range(100)))))
        sizes, count = [], 0
        while count < 256:
            received = await call.read()
            count += len(received.replies)
            sizes.append(received.ByteSize())
        assert 1 < len(sizes) < 20
        assert max(sizes) < REPLIES_BYTES_MAX + 20_000


async def test_requests_are_counted_as_calls_and_streams_are_not(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport, calls_max=2) as channel:
        stub = ReservationStreamStub(channel)
        idle = [stub.ReserveStock() for _ in range(5)]
        for call in idle:
            await call.write(message())
        busy = stub.ReserveStock()
        await busy.write(message(an_order(1), an_order(2), an_order(3)))
        [refused] = await replies_of(busy, 1)
        assert refused.sequence == 3
        assert refused.status.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert details(refused.status, RetryInfo).retry_delay.nanos == 500_000_000
        with pytest.raises(grpc.aio.AioRpcError, match="Too many calls"):
            await InventoryServiceStub(channel).ReserveStock(an_order(4).request)
        held.give([0, 1])
        await replies_of(busy, 2)
        unary = asyncio.ensure_future(InventoryServiceStub(channel).ReserveStock(an_order(4).request))
        await held.holds(3)
        held.give([2])
        assert (await unary).success


async def test_one_stream_too_many_is_to_be_tried_again(fake: FakeInventory, transport: TransportName) -> None:
    async with Serving(fake, transport, bounds=NetworkBounds(streams_max=1)) as channel:
        stub = ReservationStreamStub(channel)
        first = stub.ReserveStock()
        await first.write(message(an_order(1)))
        await replies_of(first, 1)
        second = stub.ReserveStock()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await second.read()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_details(raised.value).retry_delay_s == 0.5


async def test_a_client_that_is_gone_leaves_no_count_behind(transport: TransportName) -> None:
    held = Held()
    serving = Serving(held, transport)
    async with serving as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        await call.write(message(*[an_order(n) for n in range(10)]))
        await until(lambda: len(held.held) == 10)
        assert serving.server.statistics().calls_under_way == 10
        streams = serving.server._streams
        assert streams.statistics() == OpenStreamsStatistics(1, 20, 0)
        [stream] = streams._streams.all()
        assert isinstance(stream, Stream)
        held.give(range(4))
        assert stream.statistics() == (10, 4)  # they are not written yet
        await replies_of(call, 4)
        await until(lambda: streams.statistics() == OpenStreamsStatistics(1, 12, 0))
        assert stream.statistics() == (6, 0)
        call.cancel()
        await until(lambda: streams.statistics() == OpenStreamsStatistics(0, 0, 0))
        assert serving.server.statistics().calls_under_way == 6  # the core has them
        held.give(range(4, 10))
        assert serving.server.statistics().calls_under_way == 0


async def test_at_a_stop_what_is_under_way_is_answered_and_then_the_stream_ends(transport: TransportName) -> None:
    held = Held()
    serving = Serving(held, transport)
    async with serving as channel:
        call, idle = (ReservationStreamStub(channel).ReserveStock() for _ in range(2))
        await idle.write(message())
        await call.write(message(an_order(1)))
        await until(lambda: len(held.held) == 1)
        stopping = asyncio.create_task(serving.server.stop(60))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await idle.read()
        held.give([0])
        assert (await replies_of(call, 1))[0].response.success
        for error in (raised.value, await ended(call)):
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert (error_details(error).reason, error_details(error).retry_delay_s) == ("SHUTTING_DOWN", 1.0)
        await stopping


async def ended(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    return raised.value


async def test_a_core_that_stops_refuses_what_is_new_and_the_stream_ends(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport) as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        await call.write(message(an_order(1)))
        await until(lambda: len(held.held) == 1)
        held.refuses = shutting_down()
        await call.write(message(an_order(2), an_order(3)))
        refused = await replies_of(call, 2)
        assert {details(reply.status, ErrorInfo).reason for reply in refused} == {"SHUTTING_DOWN"}
        held.give([0])
        assert (await replies_of(call, 1))[0].response.success
        assert (await ended(call)).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_database_that_is_gone_does_not_end_the_stream(transport: TransportName) -> None:
    held = Held()
    async with Serving(held, transport) as channel:
        call = ReservationStreamStub(channel).ReserveStock()
        held.refuses = Unavailable("STORAGE_DOWN", "The database is gone", 1_000)
        await call.write(message(an_order(1)))
        assert (await replies_of(call, 1))[0].status.code == grpc.StatusCode.UNAVAILABLE.value[0]
        held.refuses = None
        await call.write(message(an_order(2)))
        await until(lambda: len(held.held) == 1)
        held.give([0])
        assert (await replies_of(call, 1))[0].response.success

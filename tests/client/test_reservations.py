"""What is the stream's own: one for all callers, opened again when it broke, and no caller left waiting."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import Item, RetryPolicy
from stockkeeper_client.v1 import inventory_pb2

from tests.client.conftest import Connect, Hang, ScriptedService

pytestmark = pytest.mark.anyio

OK = grpc.StatusCode.OK
BASKET: list[Item] = [{"variant_id": "var_1", "quantity": 2}]


def reserved(reservation_id: str) -> inventory_pb2.ReserveStockResponse:
    return inventory_pb2.ReserveStockResponse(success=True, reservation_id=reservation_id)


async def test_all_callers_share_one_stream_and_their_requests_one_message(
    service: ScriptedService, connect: Connect
) -> None:
    client = connect(streaming=True)
    await client.reserve_stock("org_1", "order_0", BASKET)
    service.messages.clear()
    await asyncio.gather(*(client.reserve_stock("org_1", f"order_{number}", BASKET) for number in range(100)))
    assert len(service.streams) == 1
    assert service.messages == [100]
    assert client.statistics().reservations == (1, 0, 0)


async def test_a_client_counts_its_streams_and_the_requests_on_them(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    client = connect(streaming=True)
    assert client.statistics() == ((0, 0, 0), (0, 0, 0))
    service.play(hang)
    call = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    late = asyncio.ensure_future(client.reserve_stock("org_1", "order_2", BASKET))
    await asyncio.sleep(0)
    assert client.statistics().reservations == (1, 2, 1)
    hang.release.set()
    await asyncio.gather(call, late)
    assert client.statistics().reservations == (1, 0, 0)
    assert connect(breaker=False).statistics() == (None, None)


async def test_each_caller_gets_its_own_answer_also_for_one_order(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    client = connect(streaming=True)
    service.play(hang, reserved("second"))
    first = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    assert (await client.reserve_stock("org_1", "order_1", BASKET)).reservation_id == "second"
    assert not first.done()
    hang.release.set()
    assert (await first).reservation_id == ""


async def test_other_calls_do_not_go_over_the_stream(service: ScriptedService, connect: Connect) -> None:
    await connect(streaming=True).get_stock_info("org_1", "var_1")
    assert not service.streams


async def test_the_clients_metadata_goes_with_the_stream(service: ScriptedService, connect: Connect) -> None:
    await connect(streaming=True, metadata=[("authorization", "token")]).reserve_stock("org_1", "order_1", BASKET)
    assert ("authorization", "token") in service.streams[0].invocation_metadata()


async def test_a_stream_that_breaks_is_opened_again_and_its_requests_are_sent_again(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    client = connect(streaming=True, retry=RetryPolicy())
    service.play(*[hang] * 10)
    calls = [asyncio.ensure_future(client.reserve_stock("org_1", f"order_{n}", BASKET)) for n in range(10)]
    async with asyncio.timeout(30):
        while len(service.calls) < 10:  # noqa: ASYNC110 - the service tells of the first alone
            await asyncio.sleep(0.005)
    await service.stop()
    service.script.clear()
    await service.start()
    await asyncio.gather(*calls)
    assert sorted(call.request.order_id for call in service.calls[10:]) == [f"order_{n}" for n in range(10)]


async def test_a_stream_that_breaks_is_unavailable_without_retries(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    client = connect(streaming=True, retry=None)
    service.play(hang, hang)
    calls = [asyncio.ensure_future(client.reserve_stock("org_1", f"order_{n}", BASKET)) for n in range(2)]
    await hang.arrived.wait()
    await service.stop()
    outcomes: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    one, other = outcomes
    assert one.code() is other.code() is grpc.StatusCode.UNAVAILABLE
    assert one is not other
    await service.start()


@pytest.mark.parametrize("code", [OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
async def test_however_a_stream_breaks_its_requests_are_sent_again(
    service: ScriptedService, connect: Connect, code: grpc.StatusCode
) -> None:
    """A stop that cancels it, a write that failed: nothing of that is an answer to a request."""
    service.ends_of_streams.append(code)
    await connect(streaming=True).reserve_stock("org_1", "order_1", BASKET)
    assert len(service.streams) == 2
    assert len(service.calls) == 1


async def test_a_stream_that_is_refused_refuses_its_requests(service: ScriptedService, connect: Connect) -> None:
    service.ends_of_streams.append(grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect(streaming=True).reserve_stock("org_1", "order_1", BASKET)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert len(service.streams) == 1


async def test_a_large_basket_goes_as_a_call_and_so_spoils_no_message(
    service: ScriptedService, connect: Connect
) -> None:
    basket: list[Item] = [{"variant_id": f"{n:0128}", "quantity": 1} for n in range(1_000)]
    await connect(streaming=True).reserve_stock("org_1", "order_1", basket)
    assert not service.streams
    assert len(service.calls) == 1


async def test_a_service_without_the_stream_says_so(
    connect: Connect, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockkeeper_client.reservations.ReservationStreamStub", Elsewhere)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect(streaming=True).reserve_stock("org_1", "order_1", BASKET)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Elsewhere:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.ReserveStock: Any = channel.stream_stream("/inventory.v1.Nowhere/ReserveStock")


async def test_a_caller_that_gives_up_disturbs_no_other(service: ScriptedService, connect: Connect, hang: Hang) -> None:
    client = connect(streaming=True)
    service.play(hang)
    call = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hang.release.set()
    await client.reserve_stock("org_1", "order_2", BASKET)
    assert len(service.streams) == 1


async def test_closing_lets_requests_finish_and_then_cancels_them(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    client = connect(streaming=True)
    service.play(hang)
    call = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    closing = asyncio.ensure_future(client.close(60))
    hang.release.set()
    await closing
    assert (await call).reservation_id == ""
    with pytest.raises(RuntimeError):
        await client.reserve_stock("org_1", "order_1", BASKET)


async def test_closing_at_once_cancels_them(service: ScriptedService, connect: Connect, hang: Hang) -> None:
    client = connect(streaming=True)
    service.play(hang)
    call = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await call

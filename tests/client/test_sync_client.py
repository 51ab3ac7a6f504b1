"""The client whose calls block, against a real server that answers as its script says."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import grpc
import pytest
from stockkeeper_client import (
    CircuitBreaker,
    CircuitOpenError,
    CircuitState,
    Item,
    LineError,
    RetryPolicy,
    StockLine,
    error_details,
)
from stockkeeper_client.sync import InventoryClient
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from tests.client.conftest import Hang, Refusal, ScriptedService

pytestmark = pytest.mark.anyio
Result = TypeVar("Result")
Connect = Callable[..., InventoryClient]
BASKET: list[Item] = [{"variant_id": "var_1", "quantity": 2}]
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
async def connect(service: ScriptedService) -> AsyncIterator[Connect]:
    clients = []

    def open_client(**options: Any) -> InventoryClient:
        options.setdefault("retry", RetryPolicy(backoff_s=0.01))
        clients.append(InventoryClient("127.0.0.1", service.port, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        await blocking(client.close)


async def blocking(call: Callable[..., Result], *args: Any, **named: Any) -> Result:
    """In a thread, as the service lives on this event loop."""
    return await asyncio.to_thread(call, *args, **named)


def line(number: int) -> StockLine:
    return {
        "organization_id": "org_1",
        "variant_id": f"var_{number}",
        "warehouse_id": "wh_1",
        "total_quantity": number,
        "line_number": number,
    }


async def test_an_unavailable_service_is_asked_again_with_the_same_request(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(
        refusal(UNAVAILABLE), refusal(UNAVAILABLE), inventory_pb2.ReserveStockResponse(success=True, reservation_id="r")
    )
    client = connect(streaming=streaming, metadata=[("x-actor", "till 3")])
    answer = await blocking(client.reserve_stock, "org_1", "order_1", BASKET, idempotency_key="key_1")
    assert answer.reservation_id == "r"
    first, *others = service.calls
    assert [call.request for call in others] == [first.request] * 2
    assert {call.metadata["idempotency-key"] for call in service.calls} == {"key_1"}
    assert streaming or {call.metadata["x-actor"] for call in service.calls} == {"till 3"}


async def test_five_attempts_are_made_and_no_more(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(*[refusal(UNAVAILABLE, f"attempt {number}") for number in range(1, 10)])
    with pytest.raises(grpc.RpcError) as caught:
        await blocking(connect(streaming=streaming).reserve_stock, "org_1", "order_1", BASKET)
    assert (caught.value.code(), caught.value.details()) == (UNAVAILABLE, "attempt 5")
    assert len(service.calls) == 5


async def test_a_refusal_is_an_rpc_error_with_its_details(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    details = stock_pb2.ImportErrors(errors=[{"line_number": 1, "reason": "no"}], errors_total=1)
    service.play(refusal(grpc.StatusCode.FAILED_PRECONDITION, details=(details,)))
    with pytest.raises(grpc.RpcError) as caught:
        await blocking(connect(streaming=streaming).reserve_stock, "org_1", "order_1", BASKET)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error_details(caught.value).line_errors == (LineError(1, "no"),)


@pytest.mark.parametrize(("timeout_s", "call_timeout_s"), [(0.05, None), (60.0, 0.05)])
async def test_a_call_ends_at_its_deadline(
    service: ScriptedService,
    connect: Connect,
    hang: Hang,
    streaming: bool,
    timeout_s: float,
    call_timeout_s: float | None,
) -> None:
    service.play(hang)
    client = connect(streaming=streaming, timeout_s=timeout_s)
    with pytest.raises(grpc.RpcError) as caught:
        await blocking(client.reserve_stock, "org_1", "order_1", BASKET, timeout_s=call_timeout_s)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_breaker_opens_and_no_call_is_made(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    client = connect(streaming=streaming, breaker=breaker, retry=None)
    service.play(*[refusal(UNAVAILABLE)] * 2)
    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            await blocking(client.reserve_stock, "org_1", "order_1", BASKET)
    with pytest.raises(CircuitOpenError):
        await blocking(client.reserve_stock, "org_1", "order_1", BASKET)
    assert len(service.calls) == 2
    assert breaker.state is CircuitState.OPEN


async def test_threads_share_a_client(service: ScriptedService, connect: Connect, streaming: bool) -> None:
    client = connect(streaming=streaming)
    calls = [blocking(client.reserve_stock, "org_1", f"order_{n}", BASKET) for n in range(50)]
    await asyncio.gather(*calls)
    assert {call.request.order_id for call in service.calls} == {f"order_{n}" for n in range(50)}
    if streaming:
        told = client.statistics().reservations
        assert told is not None
        assert told.streams_opened == 1
        assert len(service.streams) == 1


async def test_a_stream_that_broke_is_opened_again(service: ScriptedService, connect: Connect) -> None:
    client = connect(streaming=True)
    service.ends_of_streams.extend([grpc.StatusCode.OK, grpc.StatusCode.INTERNAL])
    await blocking(client.reserve_stock, "org_1", "order_1", BASKET)
    assert len(service.streams) == 3


async def test_a_call_outlives_the_restart_of_the_service(
    service: ScriptedService, connect: Connect, streaming: bool
) -> None:
    client = connect(retry=RetryPolicy(), streaming=streaming)
    await blocking(client.reserve_stock, "org_1", "order_1", BASKET)
    await service.stop()
    call = asyncio.ensure_future(blocking(client.reserve_stock, "org_1", "order_1", BASKET))
    await service.start()
    await call
    assert len(service.calls) == 2


async def test_an_import_reads_its_lines_in_the_thread_that_called(service: ScriptedService, connect: Connect) -> None:
    threads = set()

    def lines() -> Iterator[StockLine]:
        for number in range(5):
            threads.add(threading.get_ident())
            yield line(number)

    def call() -> int:
        client.stock.import_stock(lines(), chunk_lines=2)
        return threading.get_ident()

    client = connect()
    assert threads == set()
    assert {await blocking(call)} == threads
    chunks = service.calls[0].request
    assert [len(chunk.lines) for chunk in chunks] == [2, 2, 1]
    assert [it for chunk in chunks for it in chunk.lines] == [stock_pb2.ImportLine(**line(n)) for n in range(5)]
    assert chunks[-1].lines_total == 5


async def test_a_refusal_ends_an_import_whose_lines_never_end(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(grpc.StatusCode.INVALID_ARGUMENT, "line 1: no such thing"))
    with pytest.raises(grpc.RpcError) as caught:
        await blocking(connect().stock.import_stock, iter(lambda: line(1), None), chunk_lines=1)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "line 1: no such thing"


@pytest.mark.parametrize("error", [OSError("disk gone"), grpc.RpcError("another service's")], ids=["local", "rpc"])
async def test_what_the_lines_raise_reaches_the_caller_and_is_not_the_service_s_fault(
    service: ScriptedService, connect: Connect, error: Exception
) -> None:
    def broken() -> Iterator[StockLine]:
        yield line(1)
        raise error

    client = connect()
    with pytest.raises(type(error)) as caught:
        await blocking(client.stock.import_stock, broken(), chunk_lines=1)
    assert caught.value is error
    assert service.calls == []
    assert client.breaker is not None
    assert client.breaker.failures == 0


async def test_an_import_is_not_retried(service: ScriptedService, connect: Connect, refusal: type[Refusal]) -> None:
    service.play(refusal(UNAVAILABLE))
    with pytest.raises(grpc.RpcError) as caught:
        await blocking(connect().stock.import_stock, map(line, range(5)), chunk_lines=2)
    assert caught.value.code() is UNAVAILABLE
    assert len(service.calls) == 1


async def test_a_list_follows_the_pages(service: ScriptedService, connect: Connect) -> None:
    service.play(
        stock_pb2.ListStockResponse(stock_info=[{"stock_id": "1"}, {"stock_id": "2"}], next_page_token="after 2"),
        stock_pb2.ListStockResponse(stock_info=[inventory_pb2.StockInfo(stock_id="3")]),
    )
    rows = await blocking(lambda: list(connect().stock.list_stock("org_1", page_size=2)))
    assert [row.stock_id for row in rows] == ["1", "2", "3"]
    assert [call.request.page_token for call in service.calls] == ["", "after 2"]


async def test_a_closed_client_says_so(service: ScriptedService, connect: Connect, streaming: bool) -> None:
    client = connect(streaming=streaming)
    await blocking(client.reserve_stock, "org_1", "order_1", BASKET)
    await blocking(client.close)
    await blocking(client.close)
    with pytest.raises(RuntimeError, match="closed"):
        await blocking(client.reserve_stock, "org_1", "order_1", BASKET)


async def test_closing_lets_calls_end_within_its_grace(
    service: ScriptedService, connect: Connect, hang: Hang, streaming: bool
) -> None:
    service.play(hang)
    client = connect(streaming=streaming)
    call = asyncio.ensure_future(blocking(client.reserve_stock, "org_1", "order_1", BASKET))
    await hang.arrived.wait()
    closing = asyncio.ensure_future(blocking(client.close, 60.0))
    hang.release.set()
    await closing
    await call


async def test_closing_cancels_calls_after_its_grace(
    service: ScriptedService, connect: Connect, hang: Hang, streaming: bool
) -> None:
    service.play(hang)
    client = connect(streaming=streaming)
    call = asyncio.ensure_future(blocking(client.reserve_stock, "org_1", "order_1", BASKET))
    await hang.arrived.wait()
    await blocking(client.close, 0.01)
    with pytest.raises(grpc.RpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    hang.release.set()

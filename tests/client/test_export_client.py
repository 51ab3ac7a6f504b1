"""`export_stock`: what is sent, when it is retried, and what the end of it leaves behind."""

from contextlib import aclosing

import grpc.aio
import pytest
from stockkeeper_client import CircuitBreaker, CircuitState
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, Hang, Refusal, ScriptedService
from tests.client.test_breaker_in_client import Clock

pytestmark = pytest.mark.anyio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
LINES = tuple(stock_pb2.ImportLine(variant_id=f"var_{number}", total_quantity=number) for number in range(3))


async def test_an_export_sends_what_it_is_given_and_gives_each_line(service: ScriptedService, connect: Connect) -> None:
    service.play(LINES)
    client = connect(metadata=(("x-actor", "night"),))
    exported = client.stock.export_stock("org_1", variant_prefix="var", warehouse_id="wh_1")
    assert [line async for line in exported] == list(LINES)
    [call] = service.calls
    assert call.request == stock_pb2.ExportStockRequest(
        organization_id="org_1", variant_prefix="var", warehouse_id="wh_1"
    )
    assert call.metadata["x-actor"] == "night"


async def test_an_export_is_retried_until_its_first_line_and_never_after(
    service: ScriptedService, connect: Connect
) -> None:
    service.play(Refusal(UNAVAILABLE), LINES, (*LINES[:2], Refusal(UNAVAILABLE)))
    client = connect(breaker=False)
    assert [line async for line in client.stock.export_stock("org_1")] == list(LINES)
    assert len(service.calls) == 2
    came: list[stock_pb2.ImportLine] = []

    async def export() -> None:
        async for line in client.stock.export_stock("org_1"):
            came.append(line)  # noqa: PERF401 - what came before an error is wanted too

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await export()
    assert (came, caught.value.code(), len(service.calls)) == (list(LINES[:2]), UNAVAILABLE, 3)


async def test_closing_an_export_cancels_the_call(service: ScriptedService, connect: Connect, hang: Hang) -> None:
    service.play((LINES[0], hang))
    async with aclosing(connect().stock.export_stock("org_1")) as lines:
        assert await anext(lines) == LINES[0]
        await hang.arrived.wait()
    await hang.cancelled.wait()


async def test_an_export_has_one_deadline(service: ScriptedService, connect: Connect, hang: Hang) -> None:
    service.play((LINES[0], hang))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in connect().stock.export_stock("org_1", timeout_s=0.2):
            pass
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_first_line_of_an_export_closes_the_breaker(
    service: ScriptedService, connect: Connect, hang: Hang
) -> None:
    clock = Clock()
    breaker = CircuitBreaker(failure_threshold=1, open_s=60.0, clock=clock)
    client = connect(breaker=breaker, retry=None)
    service.play(Refusal(UNAVAILABLE), (LINES[0], hang))
    with pytest.raises(grpc.aio.AioRpcError):
        await anext(client.stock.export_stock("org_1"))
    assert breaker.state is CircuitState.OPEN
    clock.now_s = 61.0
    async with aclosing(client.stock.export_stock("org_1")) as lines:
        await anext(lines)
        await client.get_stock_info("org_1", "var_1")  # while the export goes on
    assert breaker.statistics().calls_refused == 0


async def test_a_closed_client_exports_nothing(connect: Connect) -> None:
    client = connect()
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await anext(client.stock.export_stock("org_1"))

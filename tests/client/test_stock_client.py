"""StockService through the client: request ids, an import that streams, lists that page."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import AdjustedRow, Item, LineError, ReceivedLine, StockLine, error_details
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from tests.client.conftest import Connect, Refusal, ScriptedService

pytestmark = pytest.mark.anyio


def line(number: int) -> StockLine:
    return {
        "organization_id": "org_1",
        "variant_id": f"var_{number}",
        "warehouse_id": "wh_1",
        "total_quantity": number,
        "line_number": number,
    }


async def test_announcing_deducting_and_deleting_send_what_they_are_given(
    service: ScriptedService, connect: Connect
) -> None:
    stock = connect().stock
    ledger: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}
    mug: Item = {"variant_id": "mug", "quantity": 5, "warehouse_id": "wh_1"}
    await stock.announce_stock("org_1", [mug], **ledger)
    await stock.deduct_stock("org_1", [{"variant_id": "mug", "quantity": 2}], **ledger)
    await stock.delete_stock("org_1", "mug", "wh_1", **ledger)
    row: Any = {"organization_id": "org_1", "variant_id": "mug", "warehouse_id": "wh_1"}
    assert service.calls.pop().request == stock_pb2.DeleteStockRequest(**row, **ledger)
    found: AdjustedRow = {
        "variant_id": "mug",
        "warehouse_id": "wh_1",
        "count": {"counted_total": 3, "expected_total": 4},
    }
    await stock.adjust_stock("org_1", [found], release_uncovered=True, **ledger)
    count = stock_pb2.Count(counted_total=3, expected_total=4)
    adjusted = stock_pb2.Adjustment(variant_id="mug", warehouse_id="wh_1", count=count)
    assert service.calls.pop().request == stock_pb2.AdjustStockRequest(
        organization_id="org_1", adjustments=[adjusted], release_uncovered=True, **ledger
    )
    announced, deducted = [call.request for call in service.calls]
    line = stock_pb2.GoodsLine(variant_id="mug", warehouse_id="wh_1", quantity=5)
    assert announced == stock_pb2.AnnounceStockRequest(organization_id="org_1", lines=[line], **ledger)
    line = stock_pb2.GoodsLine(variant_id="mug", quantity=2)
    assert deducted == stock_pb2.DeductStockRequest(organization_id="org_1", lines=[line], **ledger)
    with pytest.raises(TypeError, match=r"lines\[0\] has an unknown key 'warehouse'"):
        await stock.receive_stock("org_1", [{"variant_id": "mug", "warehouse": "wh_1"}])  # type: ignore[list-item]


async def test_receiving_and_fulfilling_send_what_they_are_given(service: ScriptedService, connect: Connect) -> None:
    stock = connect().stock
    lines: list[ReceivedLine] = [
        {"variant_id": "var_1", "warehouse_id": "wh_1", "quantity": 5, "from_in_transit": True},
        {"variant_id": "var_2", "warehouse_id": "wh_1", "damaged_quantity": 2},
    ]
    await stock.receive_stock("org_1", lines, reason="purchase", reference="PO-1", request_id="request_1")
    await stock.fulfill_reservation("org_1", "res_1", reference="SHIP-1", request_id="request_2")
    received, fulfilled = [call.request for call in service.calls]
    assert received == stock_pb2.ReceiveStockRequest(
        organization_id="org_1",
        request_id="request_1",
        lines=[
            stock_pb2.ReceivedLine(variant_id="var_1", warehouse_id="wh_1", quantity=5, from_in_transit=True),
            stock_pb2.ReceivedLine(variant_id="var_2", warehouse_id="wh_1", damaged_quantity=2),
        ],
        reason="purchase",
        reference="PO-1",
    )
    assert fulfilled == stock_pb2.FulfillReservationRequest(
        organization_id="org_1", request_id="request_2", reservation_id="res_1", reference="SHIP-1"
    )


async def lines_of(count: int) -> AsyncIterator[StockLine]:
    for number in range(count):
        yield line(number)


@pytest.mark.parametrize("source", [lambda: lines_of(5), lambda: map(line, range(5))], ids=["async", "plain"])
async def test_an_import_sends_its_lines_in_chunks_under_one_request_id(
    service: ScriptedService, connect: Connect, source: Callable[[], Any]
) -> None:
    service.play(stock_pb2.ImportStockResponse(lines=5))
    answer = await connect().stock.import_stock(source(), chunk_lines=2)
    assert answer.lines == 5
    chunks = service.calls[0].request
    assert [len(chunk.lines) for chunk in chunks] == [2, 2, 1]
    assert [it for chunk in chunks for it in chunk.lines] == [stock_pb2.ImportLine(**line(n)) for n in range(5)]
    assert [chunk.HasField("lines_total") for chunk in chunks] == [False, False, True]
    assert chunks[-1].lines_total == 5
    assert len({chunk.request_id for chunk in chunks}) == 1
    assert chunks[0].request_id


async def test_an_empty_import_is_sent_too(service: ScriptedService, connect: Connect) -> None:
    await connect().stock.import_stock([], request_id="request_1")
    assert service.calls[0].request == [stock_pb2.ImportStockRequest(request_id="request_1", lines_total=0)]


async def test_an_import_is_not_retried_by_grpc_and_may_be_repeated_under_its_request_id(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(grpc.StatusCode.UNAVAILABLE))
    client = connect()
    with pytest.raises(grpc.aio.AioRpcError) as unavailable:
        await client.stock.import_stock(map(line, range(5)), chunk_lines=2, request_id="request_1")
    assert unavailable.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(service.calls) == 1
    await client.stock.import_stock(map(line, range(5)), chunk_lines=2, request_id="request_1")
    assert [len(chunk.lines) for chunk in service.calls[1].request] == [2, 2, 1]


async def test_a_refusal_ends_an_import_whose_lines_never_end(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    async def endless() -> AsyncIterator[StockLine]:
        while True:
            yield line(1)
            await asyncio.sleep(0)

    service.play(refusal(grpc.StatusCode.INVALID_ARGUMENT, "line 1: no such thing"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect().stock.import_stock(endless(), chunk_lines=1)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "line 1: no such thing"


async def test_a_refusal_is_not_lost_to_the_write_that_it_breaks(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    """gRPC by itself gives INTERNAL once in a hundred such calls: the last write fails after the status has come."""
    imports = 300
    details = stock_pb2.ImportErrors(errors=[{"line_number": 1, "reason": "no"}], errors_total=1)
    service.play(*[refusal(grpc.StatusCode.INVALID_ARGUMENT, details=(details,))] * imports)
    client = connect()
    for _ in range(imports):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.stock.import_stock(map(line, range(5)), chunk_lines=1)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error_details(caught.value).line_errors == (LineError(1, "no"),)


@pytest.mark.parametrize("bad", [{"quantitty": 1}, {"total_quantity": "many"}, {"total_quantity": 2**31}])
async def test_a_line_that_is_no_import_line_cancels_the_import(
    service: ScriptedService, connect: Connect, bad: Any
) -> None:
    with pytest.raises((ValueError, TypeError)):
        await connect().stock.import_stock([line(1), {**line(2), **bad}], chunk_lines=1)
    assert service.calls == []


@pytest.mark.parametrize(
    "error", [OSError("disk gone"), grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE)], ids=["local", "rpc"]
)
async def test_what_the_lines_raise_reaches_the_caller_and_is_not_the_service_s_fault(
    service: ScriptedService, connect: Connect, error: Exception
) -> None:
    async def broken() -> AsyncIterator[StockLine]:
        yield line(1)
        raise error

    client = connect()
    with pytest.raises(type(error)) as caught:
        await client.stock.import_stock(broken(), chunk_lines=1)
    assert service.calls == []
    assert caught.value is error
    assert client.breaker is not None
    assert client.breaker.failures == 0


async def test_listing_stock_follows_the_pages(service: ScriptedService, connect: Connect) -> None:
    service.play(
        stock_pb2.ListStockResponse(stock_info=[{"stock_id": "1"}, {"stock_id": "2"}], next_page_token="after 2"),
        stock_pb2.ListStockResponse(next_page_token="after nothing"),
        stock_pb2.ListStockResponse(stock_info=[inventory_pb2.StockInfo(stock_id="3")]),
    )
    rows = [row async for row in connect().stock.list_stock("org_1", variant_id="var_1", page_size=2)]
    assert [row.stock_id for row in rows] == ["1", "2", "3"]
    assert [call.request.page_token for call in service.calls] == ["", "after 2", "after nothing"]
    assert {(call.request.variant_id, call.request.page_size) for call in service.calls} == {("var_1", 2)}


async def test_listing_reservations_follows_the_pages(service: ScriptedService, connect: Connect) -> None:
    service.play(
        stock_pb2.ListReservationsResponse(reservations=[{"reservation_id": "2"}], next_page_token="after 2"),
        stock_pb2.ListReservationsResponse(reservations=[{"reservation_id": "1"}]),
    )
    found = [it async for it in connect().stock.list_reservations("org_1", state="active", order_id="order_1")]
    assert [it.reservation_id for it in found] == ["2", "1"]
    assert {(call.request.state, call.request.order_id) for call in service.calls} == {("active", "order_1")}

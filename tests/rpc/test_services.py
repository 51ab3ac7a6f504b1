"""Both services over a real socket before a fake inventory: what is asked, what is answered, what is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import anyio
import grpc.aio
import pytest
from stockkeeper_client.errors import ErrorDetails, error_details
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import (
    Confirm,
    Fulfill,
    Import,
    Line,
    Release,
    Reserve,
)
from actors.outcomes import (
    ActorCrashed,
    ImportRejected,
    InsufficientStock,
    Refused,
    RefusedLine,
    ReservationConfirmed,
    ReservationFulfilled,
    ReservationReleased,
    Shortage,
    StockImported,
)
from actors.queries import CheckBasket, GetStock, ListReservations, ListStock
from actors.records import StockKey
from actors.unavailable import Unavailable
from actors.views import ReservationPage, StockPage
from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.rpc_server import RpcServer
from tests.rpc.fake_inventory import FakeInventory, a_line, a_reservation, a_view

pytestmark = pytest.mark.anyio

ORG: Any = {"organization_id": "org_123"}
EMOJI = "😀" * 128


@pytest.fixture(params=["here", "behind a link"])
async def server(
    request: pytest.FixtureRequest, fake: FakeInventory, session: tuple[RemoteInventory, FrontendSession]
) -> AsyncIterator[RpcServer]:
    """Before the inventory itself, and before a front-end's remote one: no servicer can tell the difference."""
    server = RpcServer(fake if request.param == "here" else session[0], host="127.0.0.1", port=0)
    await server.start()
    yield server
    await server.stop(0)


# For what a link does in its own way: see `tests/rpc/test_link.py`.
here = pytest.mark.parametrize("server", ["here"], indirect=True)


def an_order(**fields: Any) -> pb.ReserveStockRequest:
    item = pb.ReservationItem(variant_id="var_789", warehouse_id="wh_101", quantity=2)
    return pb.ReserveStockRequest(**{**ORG, "order_id": "order_456", "items": [item], **fields})


def a_counted_line(number: int, total: int = 10) -> stock_pb2.ImportLine:
    ids: Any = {**ORG, "variant_id": "var_789", "warehouse_id": f"wh_{number}"}
    return stock_pb2.ImportLine(**ids, total_quantity=total, line_number=number)


async def refused(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str, ErrorDetails]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or "", error_details(raised.value)


async def test_reserve(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    response = await inventory.ReserveStock(an_order(), metadata=(("idempotency-key", "key_1"),))
    assert fake.asked == [Reserve("org_123", "order_456", (Line("var_789", "wh_101", 2),), 15, "key_1")]
    assert (response.success, response.reservation_id) == (True, "res_1")
    assert response.message == "Stock reserved successfully"


async def test_confirm(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationConfirmed(a_reservation("confirmed"))
    request = pb.ConfirmReservationRequest(**ORG, reservation_id="res_1", order_id="order_456")
    assert (await inventory.ConfirmReservation(request)).message == "Reservation confirmed"
    assert fake.asked == [Confirm("org_123", "res_1", "order_456")]


async def test_release(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationReleased(a_reservation("released"))
    request = pb.ReleaseReservationRequest(**ORG, reservation_id="res_1", reason="payment_failed")
    assert (await inventory.ReleaseReservation(request)).message == "Reservation released"
    assert fake.asked == [Release("org_123", "res_1", "payment_failed")]


async def test_check(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    request = pb.CheckAvailabilityRequest(**ORG, variant_id="var_789", quantity=5)
    response = await inventory.CheckAvailability(request)
    assert (response.available, response.available_quantity, response.message) == (True, 8, "Available")
    assert fake.asked == [CheckBasket("org_123", (Line("var_789", "", 5),))]


async def test_bulk_check(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    fake.lines = (a_line(), a_line(fits=False))
    items = [pb.AvailabilityItem(variant_id="var_789", quantity=5), pb.AvailabilityItem(variant_id="v2")]
    response = await inventory.CheckBulkAvailability(pb.CheckBulkAvailabilityRequest(**ORG, items=items))
    assert not response.all_available
    assert [result.message for result in response.results] == ["Available", "Insufficient stock"]
    assert fake.asked == [CheckBasket("org_123", (Line("var_789", "", 5), Line("v2", "", 0)))]


async def test_stock_info(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    response = await inventory.GetStockInfo(pb.GetStockInfoRequest(**ORG, variant_id="var_789"))
    assert [info.warehouse_name for info in response.stock_info] == ["Main"]
    fake.page = StockPage((), None)
    response = await inventory.GetStockInfo(pb.GetStockInfoRequest(**ORG, variant_id="v", warehouse_id="w"))
    assert not response.stock_info
    assert fake.asked == [GetStock("org_123", "var_789"), GetStock("org_123", "v", "w")]


async def test_fulfill(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = ReservationFulfilled(a_reservation("fulfilled"))
    request = stock_pb2.FulfillReservationRequest(**ORG, request_id="req_1", reservation_id="res_1", reference="s_1")
    assert (await stock.FulfillReservation(request)).items_fulfilled == 2
    assert fake.asked == [Fulfill("org_123", "res_1", "req_1", "s_1")]


async def test_import(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = StockImported(2, 1, 1, 0)
    requests = [
        stock_pb2.ImportStockRequest(request_id="req_1", lines=[a_counted_line(2)]),
        stock_pb2.ImportStockRequest(lines=[a_counted_line(3)], lines_total=2),
    ]
    response = await stock.ImportStock(iter(requests))
    assert (response.lines, response.rows_created, response.rows_changed) == (2, 1, 1)
    [command] = fake.asked
    assert isinstance(command, Import)
    assert [line.line_number for line in command.lines] == [2, 3]


async def test_an_import_with_bad_lines_names_them_and_asks_for_nothing(
    stock: StockServiceStub, fake: FakeInventory
) -> None:
    lines = [a_counted_line(2, -1), a_counted_line(3), a_counted_line(4, -1)]
    request = stock_pb2.ImportStockRequest(request_id="req_1", lines=lines, lines_total=3)
    code, message, details = await refused(stock.ImportStock(iter([request])))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith("Nothing was imported: 2 lines are bad, the first is line 2: total_quantity")
    assert details.reason == "IMPORT_REJECTED"
    assert [error.line_number for error in details.line_errors] == [2, 4]
    assert details.line_errors_total == 2
    assert not fake.asked


async def test_lists_are_paged_to_their_end(stock: StockServiceStub, fake: FakeInventory) -> None:
    key = StockKey("org_123", "var_789", "wh_101")
    fake.page = StockPage((a_view(),), key)
    request = stock_pb2.ListStockRequest(**ORG, page_size=1)
    first = await stock.ListStock(request)
    request.page_token = first.next_page_token
    fake.page = StockPage((), None)
    last = await stock.ListStock(request)
    assert (first.message, last.message, last.next_page_token) == ("1 row; more may follow", "0 rows", "")
    assert fake.asked == [ListStock("org_123", limit=1), ListStock("org_123", after=key, limit=1)]


async def test_reservations_are_paged_to_their_end(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.reservations = ReservationPage((a_reservation(),), "res_1")
    request = stock_pb2.ListReservationsRequest(**ORG, state="active", order_id="order_456")
    response = await stock.ListReservations(request)
    assert [reservation.reservation_id for reservation in response.reservations] == ["res_1"]
    assert response.message == "1 reservation; more may follow"
    request.page_token = response.next_page_token
    fake.reservations = ReservationPage((), "")
    assert (await stock.ListReservations(request)).next_page_token == ""
    assert fake.asked == [
        ListReservations("org_123", "active", "order_456"),
        ListReservations("org_123", "active", "order_456", "res_1"),
    ]


async def test_a_page_token_is_worth_nothing_to_another_organization(
    stock: StockServiceStub, fake: FakeInventory
) -> None:
    fake.page = StockPage((), StockKey("org_123", "var_789", "wh_101"))
    token = (await stock.ListStock(stock_pb2.ListStockRequest(**ORG))).next_page_token
    request = stock_pb2.ListStockRequest(organization_id="org_999", page_token=token)
    code, _, details = await refused(stock.ListStock(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in details.field_violations] == ["page_token"]


async def test_a_shortage_reaches_the_caller_in_full(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    shortages = (Shortage("var_789", "wh_101", 5, 2), Shortage("var_456", "", 3, 1))
    fake.outcome = Refused(InsufficientStock(shortages, retry_after_ms=90_500))
    code, message, details = await refused(inventory.ReserveStock(an_order()))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message == "Insufficient stock for variant var_789"
    assert (details.domain, details.reason, details.retry_delay_s) == ("inventory.v1", "INSUFFICIENT_STOCK", 90.5)
    assert [violation.subject for violation in details.precondition_violations] == ["var_789@wh_101", "var_456"]


async def test_a_thousand_short_lines_of_the_longest_ids_reach_a_client_with_default_limits(
    inventory: InventoryServiceStub, fake: FakeInventory
) -> None:
    shortages = tuple(Shortage(EMOJI, EMOJI, 2**31 - 1, 2**31 - 2) for _ in range(1_000))
    fake.outcome = Refused(InsufficientStock(shortages))
    code, message, details = await refused(inventory.ReserveStock(an_order()))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message == f"Insufficient stock for variant {EMOJI}"
    assert details.metadata["violations_total"] == "1000"
    assert details.precondition_violations[0].subject == f"{EMOJI}@{EMOJI}"


async def test_a_client_that_takes_large_details_is_told_of_a_thousand_bad_lines(
    server: RpcServer, fake: FakeInventory
) -> None:
    fake.outcome = Refused(ImportRejected(tuple(RefusedLine(n, f"{EMOJI[:30]}") for n in range(1_000)), 1_000))
    limit = 256 * 1024
    options = [("grpc.max_metadata_size", limit)]
    async with grpc.aio.insecure_channel(str(server.addresses[0]), options=options) as channel:
        requests = iter([stock_pb2.ImportStockRequest(request_id="req_1", lines=[a_counted_line(1)], lines_total=1)])
        call = StockServiceStub(channel).ImportStock(requests, metadata=(("error-details-bytes-max", str(limit)),))
        code, _, details = await refused(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(details.line_errors) == 1_000


async def test_unavailable_says_when_to_try_again(inventory: InventoryServiceStub, fake: FakeInventory) -> None:
    fake.outcome = Unavailable("STORAGE_DOWN", "The database is away.", 250)
    code, message, details = await refused(inventory.ReserveStock(an_order()))
    assert (code, message) == (grpc.StatusCode.UNAVAILABLE, "The database is away.")
    assert (details.reason, details.retry_delay_s) == ("STORAGE_DOWN", 0.25)


async def test_all_that_is_wrong_with_a_request_reaches_the_caller(
    inventory: InventoryServiceStub, fake: FakeInventory
) -> None:
    code, message, details = await refused(inventory.ReserveStock(an_order(order_id="", ttl_minutes=-1)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith("order_id: must have 1 to 128 characters")
    assert details.reason == "INVALID_REQUEST"
    assert [violation.field for violation in details.field_violations] == ["order_id", "ttl_minutes"]
    assert not fake.asked


@here
async def test_an_unknown_error_is_logged_once_in_full_and_tells_the_caller_nothing(
    inventory: InventoryServiceStub, fake: FakeInventory, events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    fake.outcome = KeyError("the secret inside")
    code, message, details = await refused(inventory.ReserveStock(an_order()))
    assert (code, message, details.reason) == (grpc.StatusCode.INTERNAL, "Internal error", "INTERNAL")
    [event] = events
    assert (event["event"], event["method"]) == ("rpc_failed", "/inventory.v1.InventoryService/ReserveStock")
    assert event["exc_info"].__traceback__ is not None
    assert [record.getMessage() for record in caplog.records] == ["rpc_failed"]


async def test_a_wrong_fact_is_a_bug_like_any_other(
    inventory: InventoryServiceStub, fake: FakeInventory, events: list[Any]
) -> None:
    fake.outcome = StockImported(1, 1, 0, 0)
    code, _, _ = await refused(inventory.ReserveStock(an_order()))
    assert code is grpc.StatusCode.INTERNAL
    assert [event["event"] for event in events] == ["rpc_failed"]


async def test_a_crash_that_the_core_has_logged_has_one_line_more_and_no_traceback(
    inventory: InventoryServiceStub, fake: FakeInventory, events: list[Any]
) -> None:
    fake.outcome = ActorCrashed("<StockActor secret>")
    code, message, _ = await refused(inventory.ReserveStock(an_order()))
    assert (code, message) == (grpc.StatusCode.INTERNAL, "Internal error")
    [event] = events
    assert (event["event"], event["order_id"]) == ("rpc_failed", an_order().order_id)
    assert "secret" not in str(event)


@here
async def test_a_caller_that_gives_up_ends_the_wait_and_nothing_else(
    inventory: InventoryServiceStub,
    fake: FakeInventory,
    server: RpcServer,
    events: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake.gate.clear()
    call = inventory.ReserveStock(an_order())
    waiting = asyncio.ensure_future(call)
    await fake.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await no_call_is_under_way(server)
    fake.gate.set()
    assert (await inventory.ReserveStock(an_order())).success
    await no_call_is_under_way(server)
    assert not events
    assert not caplog.records


@here
async def test_a_caller_whose_deadline_passes_ends_the_wait(
    inventory: InventoryServiceStub, fake: FakeInventory, server: RpcServer
) -> None:
    fake.gate.clear()
    code, _, _ = await refused(inventory.ReserveStock(an_order(), timeout=0.05))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    await no_call_is_under_way(server)


async def test_a_question_that_is_given_up_is_no_call_any_more(
    server: RpcServer, inventory: InventoryServiceStub, fake: FakeInventory
) -> None:
    fake.gate.clear()
    call = inventory.GetStockInfo(pb.GetStockInfoRequest(**ORG, variant_id="var_789"))
    waiting = asyncio.ensure_future(call)
    await fake.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await no_call_is_under_way(server)
    fake.gate.set()


async def no_call_is_under_way(server: RpcServer) -> None:
    async with asyncio.timeout(30):
        while server.statistics().calls_under_way:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.005)


BREAKS = ["caller gives up", "deadline passes", "connection is lost", "message is too large"]


@pytest.mark.parametrize("end", BREAKS)
async def test_an_import_that_breaks_off_is_not_taken_for_a_whole_one(
    server: RpcServer, fake: FakeInventory, stock: StockServiceStub, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """grpc.aio ends a broken stream as it ends a whole one, so half an import would be applied."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(str(server.addresses[0]), options=options) as channel:
        call = StockServiceStub(channel).ImportStock(timeout=0.05 if end == "deadline passes" else None)
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):  # noqa: PT012 - whichever is first
            # On a busy machine the deadline may pass before this is written.
            await call.write(stock_pb2.ImportStockRequest(request_id="req_1", lines=[a_counted_line(1)]))
            if end == "caller gives up":
                call.cancel()
            elif end == "message is too large":
                await call.write(stock_pb2.ImportStockRequest(request_id="x" * (51 * 1024 * 1024)))
            elif end == "connection is lost":
                await channel.close()
            await call
    fake.outcome = StockImported(0, 0, 0, 0)
    await stock.ImportStock(iter([stock_pb2.ImportStockRequest(request_id="req_2", lines_total=0)]))
    with anyio.fail_after(10):
        while server.statistics().calls_under_way:  # noqa: ASYNC110 - no call stays behind
            await asyncio.sleep(0)
    assert [command.request_id for command in fake.asked if isinstance(command, Import)] == ["req_2"]
    assert not caplog.records


async def test_one_call_too_many_is_to_be_tried_again(fake: FakeInventory) -> None:
    server = RpcServer(fake, host="127.0.0.1", port=0, calls_max=2)
    [address] = await server.start()
    options = [("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(str(address), options=options) as channel:
        inventory = InventoryServiceStub(channel)
        fake.gate.clear()
        waiting = [asyncio.ensure_future(inventory.ReserveStock(an_order())) for _ in range(3)]
        [turned_away], others = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        code, _, details = await refused(turned_away)
        assert (code, details.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert details.retry_delay_s
        assert server.statistics().calls_turned_away == 1
        fake.gate.set()
        assert all(response.success for response in await asyncio.gather(*others))
    await server.stop(0)

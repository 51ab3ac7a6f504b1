"""The calls about transfers: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any

import grpc.aio
import pytest
from stockkeeper_client import error_details
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.outcomes import Refused
from actors.queries import ListTransfers
from actors.transfer_commands import ArrivedLine, CancelTransfer, ReceiveTransfer, ShippedLine, ShipTransfer
from actors.transfer_outcomes import Excess, MoreThanSent, TransferCancelled, TransferReceived, TransferShipped
from actors.transfer_records import TransferLine, TransferRecord
from actors.views import TransferFound, TransferPage
from rpc.messages import transfer_messages
from rpc.messages.page_tokens import stock_token, transfer_token, warehouse_token
from tests.rpc.fake_inventory import AT_MS, FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio

LINES = (TransferLine("mug", 5, 3, 1, 1), TransferLine("pot", 2, 2))
RECORD = TransferRecord("t1", "org_123", "w1", "w2", "received", LINES, AT_MS, AT_MS + 1_000)
MESSAGE = stock_pb2.Transfer(
    transfer_id="t1",
    from_warehouse_id="w1",
    to_warehouse_id="w2",
    state=stock_pb2.TRANSFER_STATE_RECEIVED,
    lines=[
        stock_pb2.TransferLine(variant_id="mug", sent=5, received=3, damaged=1, missing=1),
        stock_pb2.TransferLine(variant_id="pot", sent=2, received=2),
    ],
    shipped_at="2026-01-31T12:00:00.123Z",
    received_at="2026-01-31T12:00:01.123Z",
)
CHANGE: Any = {**ORG, "request_id": "req_1", "reason": "why", "reference": "van 7"}


async def test_ship_receive_and_cancel(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = TransferShipped(RECORD)
    sent = stock_pb2.ShippedLine(variant_id="mug", quantity=5)
    request = stock_pb2.ShipTransferRequest(**CHANGE, from_warehouse_id="w1", to_warehouse_id="w2", lines=[sent])
    assert (await stock.ShipTransfer(request)).transfer == MESSAGE
    fake.outcome = TransferReceived(RECORD)
    came = stock_pb2.ArrivedLine(variant_id="mug", quantity=3, damaged_quantity=1, missing_quantity=1)
    answer = await stock.ReceiveTransfer(stock_pb2.ReceiveTransferRequest(**CHANGE, transfer_id="t1", lines=[came]))
    assert answer.message == "Transfer received, with a discrepancy"
    fake.outcome = TransferReceived(TransferRecord("t1", "org_123", "w1", "w2", "in_transit", LINES, AT_MS))
    answer = await stock.ReceiveTransfer(stock_pb2.ReceiveTransferRequest(**CHANGE, transfer_id="t1", close=True))
    assert (answer.message, answer.transfer.received_at) == ("Transfer received in part", "")
    fake.outcome = TransferCancelled(TransferRecord("t1", "org_123", "w1", "w2", "cancelled", LINES, AT_MS, AT_MS))
    cancelled = await stock.CancelTransfer(stock_pb2.CancelTransferRequest(**CHANGE, transfer_id="t1"))
    assert cancelled.transfer.cancelled_at == "2026-01-31T12:00:00.123Z"
    ledger = ("req_1", "why", "van 7")
    assert fake.asked == [
        ShipTransfer("org_123", "", "w1", "w2", (ShippedLine("mug", 5),), *ledger),
        ReceiveTransfer("org_123", "t1", (ArrivedLine("mug", 3, 1, 1),), False, *ledger),
        ReceiveTransfer("org_123", "t1", (), True, *ledger),
        CancelTransfer("org_123", "t1", *ledger),
    ]


async def test_get_and_list(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.view = TransferFound(RECORD)
    get = stock_pb2.GetTransferRequest(**ORG, transfer_id="t1")
    answer = await stock.GetTransfer(get)
    assert (answer.message, answer.transfer) == ("Transfer is received", MESSAGE)
    fake.view = TransferFound(None)
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await stock.GetTransfer(get)
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_details(missing.value).reason == "TRANSFER_NOT_FOUND"
    fake.view = TransferPage((RECORD,), (AT_MS, "t1"))
    state = stock_pb2.TRANSFER_STATE_CANCELLED
    listing = stock_pb2.ListTransfersRequest(**ORG, state=state, warehouse_id="w1", page_size=1)
    page = await stock.ListTransfers(listing)
    assert (page.message, list(page.transfers)) == ("1 transfer; more may follow", [MESSAGE])
    await stock.ListTransfers(stock_pb2.ListTransfersRequest(**ORG, page_token=page.next_page_token))
    assert fake.asked[2:] == [
        ListTransfers("org_123", "cancelled", "w1", None, 1),
        ListTransfers("org_123", None, "", (AT_MS, "t1"), 100),
    ]


async def test_every_excess_is_listed(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = Refused(MoreThanSent("t1", (Excess("mug", 5, 2, 3), Excess("pot", 0, 0, 1))))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stock.CancelTransfer(stock_pb2.CancelTransferRequest(**CHANGE, transfer_id="t1"))
    details = error_details(refused.value)
    assert [(one.type, one.subject) for one in details.precondition_violations] == [
        ("MORE_THAN_SENT", "mug"),
        ("MORE_THAN_SENT", "pot"),
    ]


def test_all_that_is_wrong_is_named() -> None:
    bad_line = stock_pb2.ShippedLine(variant_id="", quantity=0)
    bad = stock_pb2.ShipTransferRequest(
        **ORG, request_id="r", transfer_id=" t", from_warehouse_id="w1", to_warehouse_id="w1", lines=[bad_line]
    )
    assert fields(transfer_messages.ship_transfer, bad) == [
        *("transfer_id", "to_warehouse_id", "lines[0].variant_id", "lines[0].quantity"),
    ]
    came = [stock_pb2.ArrivedLine(variant_id="mug", quantity=-1), stock_pb2.ArrivedLine(variant_id="\n")]
    arrival = stock_pb2.ReceiveTransferRequest(**ORG, request_id="r", lines=came)
    assert fields(transfer_messages.receive_transfer, arrival) == [
        *("transfer_id", "lines[0].quantity", "lines[1].variant_id", "lines[1].quantity"),
    ]
    nothing = stock_pb2.ReceiveTransferRequest(**ORG, request_id="r", transfer_id="t1")
    assert fields(transfer_messages.receive_transfer, nothing) == ["lines"]
    cancel = stock_pb2.CancelTransferRequest(**ORG, transfer_id="")
    assert fields(transfer_messages.cancel_transfer, cancel) == ["request_id", "transfer_id"]
    assert fields(transfer_messages.get_transfer, stock_pb2.GetTransferRequest()) == ["organization_id", "transfer_id"]
    for token in (stock_token(None), warehouse_token("org_123", "w"), transfer_token("org_2", (1, "t")), "?"):
        listing = stock_pb2.ListTransfersRequest(warehouse_id="\n", page_size=-1, page_token=token or "x")
        expected = ["organization_id", "warehouse_id", "page_size", "page_token"]
        assert fields(transfer_messages.list_transfers, listing) == expected

"""The calls about transfers through the client."""

from typing import Any

import pytest
from stockkeeper_client import ArrivedPieces, ShippedPieces
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio

LEDGER: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}


async def test_changes_of_transfers_send_what_they_are_given(service: ScriptedService, connect: Connect) -> None:
    stock = connect().stock
    sent: ShippedPieces = {"variant_id": "mug", "quantity": 3}
    await stock.ship_transfer("org_1", "w1", "w2", [sent], transfer_id="t1", **LEDGER)
    came: ArrivedPieces = {"variant_id": "mug", "damaged_quantity": 1}
    await stock.receive_transfer("org_1", "t1", [came], close=True, **LEDGER)
    await stock.cancel_transfer("org_1", "t1", **LEDGER)
    of: Any = {"organization_id": "org_1", "transfer_id": "t1", **LEDGER}
    assert [call.request for call in service.calls] == [
        stock_pb2.ShipTransferRequest(
            **of, from_warehouse_id="w1", to_warehouse_id="w2", lines=[stock_pb2.ShippedLine(**sent)]
        ),
        stock_pb2.ReceiveTransferRequest(**of, lines=[stock_pb2.ArrivedLine(**came)], close=True),
        stock_pb2.CancelTransferRequest(**of),
    ]
    with pytest.raises(TypeError, match=r"lines\[0\] has no quantity"):
        await stock.ship_transfer("org_1", "w1", "w2", [{"variant_id": "mug"}])  # type: ignore[list-item]


async def test_transfers_are_found_and_listed_page_by_page(service: ScriptedService, connect: Connect) -> None:
    one, two = (stock_pb2.Transfer(transfer_id=name) for name in ("t1", "t2"))
    service.play(
        stock_pb2.GetTransferResponse(transfer=one),
        stock_pb2.ListTransfersResponse(transfers=[two], next_page_token="more"),
        stock_pb2.ListTransfersResponse(transfers=[one]),
    )
    stock = connect().stock
    assert await stock.get_transfer("org_1", "t1") == one
    found = stock.list_transfers("org_1", state="in_transit", warehouse_id="w1", page_size=1)
    assert [transfer async for transfer in found] == [two, one]
    asked = [call.request for call in list(service.calls)[1:]]
    assert [(ask.state, ask.warehouse_id, ask.page_token) for ask in asked] == [
        (stock_pb2.TRANSFER_STATE_IN_TRANSIT, "w1", token) for token in ("", "more")
    ]

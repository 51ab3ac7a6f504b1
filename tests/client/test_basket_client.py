"""Reserve through the client."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio


async def test_a_basket_is_sent_as_it_is_given(service: ScriptedService, connect: Connect) -> None:
    ledger: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}
    items: Any = [
        {"variant_id": "mug", "quantity": 2, "warehouse_ids": ["w2", "w1"]},
        {"variant_id": "pot", "quantity": 1},
    ]
    await connect().stock.reserve("org_1", "o1", items, 5, allow_split=True, allow_partial=True, **ledger)
    wanted = [
        stock_pb2.BasketItem(variant_id="mug", quantity=2, warehouse_ids=["w2", "w1"]),
        stock_pb2.BasketItem(variant_id="pot", quantity=1),
    ]
    options: Any = {"ttl_minutes": 5, "allow_split": True, "allow_partial": True}
    expected = stock_pb2.ReserveRequest(organization_id="org_1", order_id="o1", items=wanted, **options, **ledger)
    assert service.calls.pop().request == expected


async def test_an_explanation_is_asked_for_an_order(service: ScriptedService, connect: Connect) -> None:
    items: Any = [{"variant_id": "mug", "quantity": 2}]
    await connect().stock.explain_reservation("org_1", items, order_id="o1", allow_split=True)
    asked = service.calls.pop().request
    assert (asked.order_id, asked.allow_split, len(asked.items)) == ("o1", True, 1)


async def test_a_name_in_place_of_a_list_is_not_taken_for_its_letters(connect: Connect) -> None:
    items: Any = [{"variant_id": "mug", "quantity": 2, "warehouse_ids": "madrid"}]
    with pytest.raises(TypeError, match=r"items\[0\]\.warehouse_ids cannot be 'madrid'"):
        await connect().stock.reserve("org_1", "o1", items)

"""The calls about the sourcing policy: over a real socket before a fake inventory, and what is refused at the door."""

from typing import Any, get_args

import pytest
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.queries import GetSourcing
from actors.sourcing import SourcingPolicy
from actors.views import SourcingFound
from actors.warehouse_commands import SetSourcing
from actors.warehouse_outcomes import SourcingSet
from rpc.messages import sourcing_messages
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_services import ORG
from tests.rpc.test_services import server as server
from tests.rpc.test_validation import fields

pytestmark = pytest.mark.anyio


async def test_set_and_get(stock: StockServiceStub, fake: FakeInventory) -> None:
    fake.outcome = SourcingSet("fewest_parcels")
    told: Any = {"request_id": "req_1", "reason": "why", "reference": "memo"}
    request = stock_pb2.SetSourcingPolicyRequest(**ORG, policy="SOURCING_POLICY_FEWEST_PARCELS", **told)
    answer = await stock.SetSourcingPolicy(request)
    assert (answer.message, answer.policy) == ("Sourcing policy set", 3)
    fake.view = SourcingFound("priority")
    found = await stock.GetSourcingPolicy(stock_pb2.GetSourcingPolicyRequest(**ORG))
    assert (found.message, found.policy) == ("Warehouses in the order of their priority", 2)
    asked = SetSourcing("org_123", "fewest_parcels", "req_1", "why", "memo")
    assert fake.asked == [asked, GetSourcing("org_123")]


def test_every_policy_has_its_number_and_none_is_the_default() -> None:
    for number, policy in enumerate(("most_stock", *get_args(SourcingPolicy))):
        request = stock_pb2.SetSourcingPolicyRequest(**ORG, request_id="r", policy=number)  # type: ignore[arg-type]
        assert sourcing_messages.set_sourcing_policy(request).policy == policy
    assert sourcing_messages.policy_name(None) == "SOURCING_POLICY_UNSPECIFIED"


def test_all_that_is_wrong_is_named() -> None:
    bad = stock_pb2.SetSourcingPolicyRequest(organization_id=" x", policy=9, reason="\n")  # type: ignore[arg-type]
    assert fields(sourcing_messages.set_sourcing_policy, bad) == ["organization_id", "request_id", "reason", "policy"]
    assert fields(sourcing_messages.get_sourcing_policy, stock_pb2.GetSourcingPolicyRequest()) == ["organization_id"]

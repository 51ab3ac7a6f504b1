"""The calls about the sourcing policy through the client."""

from typing import Any

import pytest
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio


async def test_the_policy_is_sent_by_its_name(service: ScriptedService, connect: Connect) -> None:
    ledger: Any = {"reason": "why", "reference": "paper", "request_id": "request_1"}
    await connect().stock.set_sourcing_policy("org_1", "fewest_parcels", **ledger)
    policy = stock_pb2.SOURCING_POLICY_FEWEST_PARCELS
    expected = stock_pb2.SetSourcingPolicyRequest(organization_id="org_1", policy=policy, **ledger)
    assert service.calls.pop().request == expected
    await connect().stock.get_sourcing_policy("org_1")
    assert service.calls.pop().request == stock_pb2.GetSourcingPolicyRequest(organization_id="org_1")
    unknown: Any = "nearest"
    with pytest.raises(ValueError, match="NEAREST"):
        await connect().stock.set_sourcing_policy("org_1", unknown)

"""The calls about which warehouses serve a basket, a part of `StockClient`."""

from typing import Literal

from stockkeeper_client.request_ids import new_request_id
from stockkeeper_client.stock_calls import StockCalls
from stockkeeper_client.v1 import stock_pb2 as pb

SourcingPolicy = Literal["most_stock", "priority", "fewest_parcels"]


class SourcingCalls(StockCalls):
    """The policy of an organization is set and asked for."""

    async def set_sourcing_policy(
        self,
        organization_id: str,
        policy: SourcingPolicy,
        *,
        reason: str = "",
        reference: str = "",
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> pb.SetSourcingPolicyResponse:
        """Sets what decides which warehouse serves a line that names none.

        `most_stock`, the default: one that can serve all such lines if there is one, else the one that has the most;
        `priority`: the one with the highest priority that has enough; `fewest_parcels`: as few warehouses as possible.

        >>> answer = await client.stock.set_sourcing_policy("shop", "priority", reason="the old house first")
        >>> answer.message
        'Sourcing policy set'
        """
        request = pb.SetSourcingPolicyRequest(
            organization_id=organization_id,
            request_id=request_id or new_request_id(),
            policy=f"SOURCING_POLICY_{policy.upper()}",
            reason=reason,
            reference=reference,
        )
        return await self._connection.call(self.stub.SetSourcingPolicy, request, timeout_s=timeout_s)

    async def get_sourcing_policy(
        self, organization_id: str, *, timeout_s: float | None = None
    ) -> pb.GetSourcingPolicyResponse:
        """The policy that is set, or the default.

        >>> (await client.stock.get_sourcing_policy("shop")).message
        'One warehouse for the whole basket if one has enough, else those that have the most'
        """
        request = pb.GetSourcingPolicyRequest(organization_id=organization_id)
        return await self._connection.call(self.stub.GetSourcingPolicy, request, timeout_s=timeout_s)

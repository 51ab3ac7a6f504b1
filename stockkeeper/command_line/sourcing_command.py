"""`stockkeeper sourcing`: what decides which warehouses serve a basket."""

from typing import Literal
from uuid import uuid4

from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import GetSourcingPolicyResponse, SetSourcingPolicyResponse, SourcingPolicy

from stockkeeper.command_line.goods_commands import Reason, Reference
from stockkeeper.command_line.output import show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, Target
from stockkeeper.command_line.server_call import call, under_request_id

PREFIX = "SOURCING_POLICY_"


def sourcing(
    organization_id: str,
    policy: Literal["most_stock", "priority", "fewest_parcels"] | None = None,
    /,
    *,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show or set what decides which warehouse serves a line that names none.

    Parameters
    ----------
    policy
        most_stock: one for the whole basket if one has enough, else those that have the most. priority: the one with
        the highest priority that has enough. fewest_parcels: as few warehouses as possible. None: show what is set.
    """
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer: GetSourcingPolicyResponse | SetSourcingPolicyResponse
        if policy is None:
            answer = await client.stock.get_sourcing_policy(organization_id)
        else:
            answer = await client.stock.set_sourcing_policy(
                organization_id, policy, reason=reason, reference=reference, request_id=request_id
            )
        name = SourcingPolicy.Name(answer.policy).removeprefix(PREFIX).lower()
        return show(answer, [f"{organization_id}: {name}. {answer.message}."], as_json=json)

    return call(target, run, again=under_request_id(request_id) if policy is not None else "")

"""Requests about an organization's sourcing policy become a command and a query, and their answers become messages."""

from typing import get_args

from stockkeeper_client.v1 import stock_pb2

from actors.queries import GetSourcing
from actors.sourcing import DEFAULT_POLICY, SourcingPolicy
from actors.views import SourcingFound
from actors.warehouse_commands import SetSourcing
from actors.warehouse_outcomes import SourcingSet
from rpc.messages.field_checks import change, check_id, check_new_id, raise_if_any
from rpc.messages.rules import Violation

POLICIES: dict[int, SourcingPolicy] = {
    stock_pb2.SourcingPolicy.Value(f"SOURCING_POLICY_{policy.upper()}"): policy for policy in get_args(SourcingPolicy)
}
NAMES = ", ".join(policy.upper() for policy in get_args(SourcingPolicy))

WORDS: dict[SourcingPolicy, str] = {
    "most_stock": "One warehouse for the whole basket if one has enough, else those that have the most",
    "priority": "Warehouses in the order of their priority",
    "fewest_parcels": "As few warehouses as possible",
}


def set_sourcing_policy(request: stock_pb2.SetSourcingPolicyRequest) -> SetSourcing:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    told = change(faults, request, check_new_id)
    if request.policy and request.policy not in POLICIES:
        faults.append(Violation("policy", f"must be one of {NAMES}"))
    raise_if_any(faults)
    return SetSourcing(request.organization_id, POLICIES.get(request.policy, DEFAULT_POLICY), *told)


def get_sourcing_policy(request: stock_pb2.GetSourcingPolicyRequest) -> GetSourcing:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    check_id(faults, "organization_id", request.organization_id)
    raise_if_any(faults)
    return GetSourcing(request.organization_id)


def policy_name(policy: SourcingPolicy | None) -> str:
    """As messages have it; None is unspecified."""
    return f"SOURCING_POLICY_{policy.upper() if policy is not None else 'UNSPECIFIED'}"


def policy_set(fact: SourcingSet) -> stock_pb2.SetSourcingPolicyResponse:
    return stock_pb2.SetSourcingPolicyResponse(message="Sourcing policy set", policy=policy_name(fact.policy))


def policy_found(found: SourcingFound) -> stock_pb2.GetSourcingPolicyResponse:
    return stock_pb2.GetSourcingPolicyResponse(message=WORDS[found.policy], policy=policy_name(found.policy))

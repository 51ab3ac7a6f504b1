"""Planted bugs of which warehouses serve a basket: the policies, and who knows of them."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from msgspec.structs import replace

import actors.planner
import actors.sourcing_policies
import supervisor.activations.warehouse_registry
from actors.sourcing import USUAL, Sourcing
from simulation.planted.planting import Patches, bug
from supervisor.activations.stock_directory import StockDirectory
from supervisor.activations.warehouse_registry import WarehouseRegistry


@bug("after a restart every organization has the default policy", "G3", "G4")
def policy_forgotten_at_a_restart() -> Patches:
    return [(WarehouseRegistry, "add_policies", lambda self, policies: None)]


@bug("the warehouse with the lowest priority goes first", "G4")
def priority_the_wrong_way_round() -> Patches:
    def by_priority(wishes: Any, left: Any, priorities: Any, search: Any) -> Any:
        return right(wishes, left, {one: -priority for one, priority in priorities.items()}, search)

    right = actors.sourcing_policies.by_priority
    return [(actors.planner, "by_priority", by_priority)]


@bug("the policy of fewest parcels makes the most", "G4")
def most_parcels() -> Patches:
    def covers(pieces: Any, more_max: int, sent: frozenset[str]) -> Iterator[frozenset[str]]:
        others = sorted(pieces.keys() - sent)
        for more in range(len(others), 0, -1):
            yield from (sent.union(chosen) for chosen in combinations(others, more))

    return [(actors.sourcing_policies, "_covers", covers)]


@bug("a warehouse's new priority is not looked at before the policy is set again", "G4")
def priorities_of_old() -> Patches:
    def put(warehouses: Any, sourcing: dict[str, Sourcing], warehouse: Any) -> None:
        before = sourcing.get(warehouse.organization_id, USUAL)
        right(warehouses, sourcing, warehouse)
        after = sourcing.get(warehouse.organization_id, USUAL)
        if after.priorities != before.priorities:
            sourcing[warehouse.organization_id] = replace(after, priorities=before.priorities)

    right = supervisor.activations.warehouse_registry._put
    return [(supervisor.activations.warehouse_registry, "_put", put)]


@bug("checks know of a policy before that is durable", "G3", "G4")
def policy_before_it_is_durable() -> Patches:
    def note(self: WarehouseRegistry, record: Any) -> None:
        right(self, record)
        self.publish_policy(record)

    right = WarehouseRegistry.note_policy
    return [(WarehouseRegistry, "note_policy", note)]


@bug("the policy that one organization sets is that of others too", "G4", "G11")
def policy_of_all_organizations() -> Patches:
    def sourcing(self: StockDirectory, organization_id: str) -> Sourcing:
        own = right(self, organization_id)
        others = [one for one in self.warehouses.sourcing.values() if one.policy != own.policy]
        return own if own.policy != USUAL.policy or own.closed or not others else others[0]

    right = StockDirectory.sourcing
    return [(StockDirectory, "sourcing", sourcing)]

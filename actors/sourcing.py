"""From which warehouses an organization's goods are taken, and which first.

All that the planner must know of an organization's warehouses beside what is in them is one object, `Sourcing`: those
that are closed and the policy. It is replaced as a whole when one of them changes. So a turn that has waited since it
planned sees by the object's identity that the plan may be of before, and plans again: what is decided has looked at the
warehouses as they stand at its place in the journal.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from actors.plain_value import PlainValue

SourcingPolicy = Literal["most_stock", "priority", "fewest_parcels"]
"""What decides where several warehouses could serve a line: see `actors/planner.py`."""

DEFAULT_POLICY: SourcingPolicy = "most_stock"

Closed = frozenset[str]
"""The ids of an organization's warehouses that are not active: almost always there are none."""


class SourcingRecord(PlainValue, frozen=True):
    """An organization's policy, as it is kept. One that never set any has the default, and no record."""

    organization_id: str
    policy: SourcingPolicy


class Sourcing(Struct, frozen=True, eq=False):
    """An organization's warehouses, as its baskets are planned.

    Args:
        closed: no new reservation and no sale takes from these.
        policy: what decides among the others.
        priorities: by warehouse, where they are not 0; only of those organizations whose policy looks at them.
    """

    closed: Closed = frozenset()
    policy: SourcingPolicy = DEFAULT_POLICY
    priorities: Mapping[str, int] = {}


USUAL = Sourcing()
"""All are active, and the policy is the default: so it is with almost all organizations."""

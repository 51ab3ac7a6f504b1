"""What an organization's warehouses are to its baskets at one moment, as the auditor has it."""

from collections.abc import Mapping
from typing import NamedTuple

from actors.sourcing import SourcingPolicy


class Sites(NamedTuple):
    """Those from which nothing may be taken, the policy, and the priorities of all of them."""

    shut: frozenset[str] = frozenset()
    policy: SourcingPolicy = "most_stock"
    priorities: Mapping[str, int] = {}


NO_SITES = Sites()

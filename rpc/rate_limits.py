"""How often an organization may ask: a token bucket for each, before the core, so that front-ends share it.

A bucket holds what a minute allows, and fills evenly: after a pause an organization may ask as often as it likes, and
then as often as the rate. What follows changes (`ReadChanges`) asks by itself, as routers and moves do, and what
belongs to no organization is the operator's; they pass. Without a limit there is no such object, and a call pays
nothing.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from actors.commands import Command
from actors.named_organizations import named_organizations
from actors.outcomes import Fact
from actors.queries import CellQuery, MoveQuery, Query, ReadChanges
from actors.reply import Reply
from actors.unavailable import too_often
from rpc.inventory_port import Inventory

V = TypeVar("V")

MINUTE_S = 60.0


class RateLimitsStatistics(NamedTuple):
    """Organizations that asked within the last minute or two, and calls that were turned away."""

    organizations: int
    turned_away: int


class RateLimits:
    """An inventory that turns away what comes too often.

    Args:
        inventory: answers the rest.
        per_minute: how often an organization may ask.
        monotonic_s: a clock that never jumps, in seconds.
    """

    def __init__(self, inventory: Inventory, per_minute: int, monotonic_s: Callable[[], float]) -> None:
        self._inventory = inventory
        self._per_minute = per_minute
        self._monotonic_s = monotonic_s
        # When each bucket will be full again: all that there is to know of it. Full ones are forgotten.
        self._full_at_s: dict[str, float] = {}
        self._tidied_at_s = 0.0
        self._turned_away = 0

    def __repr__(self) -> str:
        return f"<RateLimits per_minute={self._per_minute} of {self._inventory!r}>"

    def statistics(self) -> RateLimitsStatistics:
        return RateLimitsStatistics(len(self._full_at_s), self._turned_away)

    @property
    def serving(self) -> bool:
        return self._inventory.serving

    async def ask(self, command: Command) -> Fact:
        self._count_command(command)
        return await self._inventory.ask(command)

    def submit(self, command: Command) -> Reply[Fact]:
        self._count_command(command)
        return self._inventory.submit(command)

    def answer(self, query: Query[V]) -> Reply[V]:
        if not isinstance(query, ReadChanges | CellQuery | MoveQuery):
            self._count(query.organization_id)
        return self._inventory.answer(query)

    def _count_command(self, command: Command) -> None:
        for organization_id in named_organizations(command):
            self._count(organization_id)

    def _count(self, organization_id: str) -> None:
        """Take one from the bucket.

        Raises:
            Unavailable: it is empty.
        """
        if not organization_id:
            return
        now_s = self._monotonic_s()
        if now_s - self._tidied_at_s > MINUTE_S:
            self._tidied_at_s = now_s
            self._full_at_s = {name: full_at_s for name, full_at_s in self._full_at_s.items() if full_at_s > now_s}
        full_at_s = max(self._full_at_s.get(organization_id, now_s), now_s) + MINUTE_S / self._per_minute
        if full_at_s - now_s > MINUTE_S + 1e-6:  # sums of fractions
            self._turned_away += 1
            raise too_often(self._per_minute, round((full_at_s - now_s - MINUTE_S) * 1_000) + 1)
        self._full_at_s[organization_id] = full_at_s

"""Calls of an organization that has many under way wait for those, while others call too.

Sixty-four callers of one organization put sixty-four changes into the journal, and a change of another organization
that comes after them is written with the second batch after it. The journal's order cannot be changed later, since
each change is judged by those before it. So an organization gets no more than a batch's worth into the core at a time
as long as it is not alone: the others find a short queue, whatever it does. Alone it gets all there is, and
nothing is counted for it that is not counted anyway.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rpc.company import Company
from rpc.in_flight import InFlightLimit
from rpc.pace import CORE_PACE, Pace
from rpc.transport.transport_port import Context

log = logging.getLogger(__name__)


class HeldCallsStatistics(NamedTuple):
    """Calls that wait, and the organizations that they are of."""

    calls: int
    organizations: int


class HeldCalls:
    """Belongs to the running asyncio loop once a call is held.

    Args:
        limit: counts the calls under way, those that are held with them.
        company: knows whether an organization is alone.
        pace: how many calls of one are begun at a time.
    """

    def __init__(self, limit: InFlightLimit, company: Company, pace: Pace = CORE_PACE) -> None:
        self._begun_of_one_max = pace.begun_of_one_max
        self._limit = limit
        self._company = company
        self._held: dict[str, dict[Context, Callable[[], None]]] = {}  # the first is next

    def __repr__(self) -> str:
        return f"<HeldCalls {self.statistics()}>"

    def statistics(self) -> HeldCallsStatistics:
        return HeldCallsStatistics(sum(map(len, self._held.values())), len(self._held))

    def must_wait(self, organization_id: str, under_way: int) -> bool:
        """Whether a call that entered the limit just now, as that many of its organization, is to be held."""
        if organization_id != self._company.latest:
            self._company.note(organization_id)
        if under_way <= self._begun_of_one_max:
            return False
        return organization_id in self._held or self._company.has_several

    def hold(self, organization_id: str, caller: str, context: Context, begin: Callable[[], None]) -> None:
        """Have `begin`, which must not raise, called when it is the call's turn. A caller that is gone is forgotten."""
        self._held.setdefault(organization_id, {})[context] = begin
        context.when_gone(partial(self._gone, organization_id, caller, context))

    def leave(self, organization_id: str, caller: str) -> None:
        """A call that was begun is gone: so the next may begin."""
        self._limit.leave(organization_id, caller)
        if organization_id in self._held:
            # Not here: this may run on the journal's stack, which gives other callers their answers.
            asyncio.get_running_loop().call_soon(self._begin_next, organization_id)

    def _gone(self, organization_id: str, caller: str, context: Context) -> None:
        self._forget(organization_id, context)
        self._limit.leave(organization_id, caller)

    def _forget(self, organization_id: str, context: Context) -> Callable[[], None]:
        held = self._held[organization_id]
        begin = held.pop(context)
        if not held:
            del self._held[organization_id]
        return begin

    def _begin_next(self, organization_id: str) -> None:
        while (held := self._held.get(organization_id)) is not None:
            if self._limit.of(organization_id) - len(held) >= self._begun_of_one_max:
                return
            self._forget(organization_id, next(iter(held)))()

"""Calls of an organization, or from a source, that has many under way wait for those, while others call too.

Sixty-four callers of one organization put sixty-four changes into the journal, and a change of another organization
that comes after them is written with the second batch after it. The journal's order cannot be changed later, since
each change is judged by those before it. So an organization gets no more than a batch's worth into the core at a time
as long as it is not alone: the others find a short queue, whatever it does. Alone it gets all there is, and
nothing is counted for it that is not counted anyway.

The same goes for each source, a key or an address, as long as there are others: a thousand organizations of one
address, with a call each, had others wait for 0.5 s. Of the calls that wait for their source, each organization has one
begun by turns. Behind a proxy all come from one source, and then only their organizations count.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec import Struct, field

from rpc.call_source import source_of
from rpc.company import Company
from rpc.in_flight import InFlightLimit
from rpc.pace import CORE_PACE, Pace
from rpc.transport.transport_port import Context

log = logging.getLogger(__name__)

Begin = Callable[[], None]


class HeldCallsStatistics(NamedTuple):
    """Calls that wait, and the organizations that they are of."""

    calls: int
    organizations: int


class _Held(Struct):
    """Calls that wait: those from one source by organization, or those of one organization by source."""

    queues: dict[str, dict[Context, Begin]] = field(default_factory=dict)  # the first is next, of each too
    calls: int = 0


class HeldCalls:
    """Belongs to the running asyncio loop once a call is held.

    Args:
        limit: counts the calls under way, those that are held with them.
        company: knows whether an organization, or a source, is alone.
        pace: how many calls of one are begun at a time.
    """

    def __init__(self, limit: InFlightLimit, company: Company, pace: Pace = CORE_PACE) -> None:
        self._begun_of_one_max = pace.begun_of_one_max
        self._begun_of_source_max = pace.begun_of_source_max
        self._limit = limit
        self._company = company
        self._sources: dict[str, _Held] = {}
        self._organizations: dict[str, _Held] = {}  # the same queues

    def __repr__(self) -> str:
        return f"<HeldCalls {self.statistics()}>"

    def statistics(self) -> HeldCallsStatistics:
        return HeldCallsStatistics(sum(held.calls for held in self._sources.values()), len(self._organizations))

    def source_of(self, context: Context) -> str:
        """Whose a call is, beside its organization's. Empty while one organization calls alone: nothing is to be shared
        then, and to ask gRPC for an address costs each call some microseconds.
        """
        return source_of(context) if context.caller or self._company.has_several else ""

    def must_wait(self, organization_id: str, source: str, under_way: int) -> bool:
        """Whether a call that entered the limit just now is to be held.

        Args:
            source: what it entered as, beside its organization; may be empty.
            under_way: how many of its organization there are with it.
        """
        company = self._company
        if organization_id != company.latest or source != company.latest_source:
            company.note(organization_id, source)
        if under_way > self._begun_of_one_max and (organization_id in self._organizations or company.has_several):
            return True
        of_source, most = self._limit.of_caller(source), self._begun_of_source_max
        if of_source <= most:
            return False
        held = self._sources.get(source)
        if held is None:
            return company.has_several_sources
        return organization_id in held.queues or (of_source - held.calls > most and company.has_several_sources)

    def hold(self, organization_id: str, source: str, context: Context, begin: Begin) -> None:
        """Have `begin`, which must not raise, called when it is the call's turn. A caller that is gone is forgotten."""
        of_source = self._sources.setdefault(source, _Held())
        of_organization = self._organizations.setdefault(organization_id, _Held())
        queue = of_source.queues.get(organization_id)
        if queue is None:
            queue = of_source.queues[organization_id] = of_organization.queues[source] = {}
        queue[context] = begin
        of_source.calls += 1
        of_organization.calls += 1
        context.when_gone(partial(self._gone, organization_id, source, context))

    def enter(self, organization_id: str, source: str) -> int:
        """See `InFlightLimit.enter`: for what is never held, as a stream's requests, but has others wait."""
        return self._limit.enter(organization_id, source)

    def leave(self, organization_id: str, source: str) -> None:
        """A call that was begun is gone: so the next may begin."""
        self._limit.leave(organization_id, source)
        if organization_id in self._organizations or source in self._sources:
            # Not here: this may run on the journal's stack, which gives other callers their answers.
            asyncio.get_running_loop().call_soon(self._begin_next, organization_id, source)

    def _gone(self, organization_id: str, source: str, context: Context) -> None:
        self._forget(organization_id, source, context)
        self._limit.leave(organization_id, source)

    def _forget(self, organization_id: str, source: str, context: Context) -> Begin:
        of_source, of_organization = self._sources[source], self._organizations[organization_id]
        queue = of_source.queues[organization_id]
        begin = queue.pop(context)
        of_source.calls -= 1
        of_organization.calls -= 1
        if not queue:
            del of_source.queues[organization_id], of_organization.queues[source]
        if not of_source.calls:
            del self._sources[source]
        if not of_organization.calls:
            del self._organizations[organization_id]
        return begin

    def _begin_next(self, organization_id: str, source: str) -> None:
        for _ in range(self._begun_of_source_max):
            found = self._next(organization_id, source)
            if found is None:
                return
            queue = self._sources[found[1]].queues[found[0]]
            self._forget(*found, next(iter(queue)))()
        asyncio.get_running_loop().call_soon(self._begin_next, organization_id, source)  # others first

    def _next(self, organization_id: str, source: str) -> tuple[str, str] | None:
        """An organization and a source that may begin a call, where one of these was in the way."""
        if (of_source := self._sources.get(source)) is not None and self._source_may_begin(source):
            for one in of_source.queues:
                if self._organization_may_begin(one):
                    of_source.queues[one] = of_source.queues.pop(one)  # to the end
                    return one, source
        of_organization = self._organizations.get(organization_id)
        if of_organization is not None and self._organization_may_begin(organization_id):
            for one in of_organization.queues:
                if self._source_may_begin(one):
                    of_organization.queues[one] = of_organization.queues.pop(one)
                    return organization_id, one
        return None

    def _organization_may_begin(self, organization_id: str) -> bool:
        held = self._organizations[organization_id].calls
        return self._limit.of(organization_id) - held < self._begun_of_one_max

    def _source_may_begin(self, source: str) -> bool:
        if not self._company.has_several_sources:
            return True
        return self._limit.of_caller(source) - self._sources[source].calls < self._begun_of_source_max

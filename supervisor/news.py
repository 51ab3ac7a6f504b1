"""Wakes the readers that wait for something to happen in an organization.

It carries nothing: a reader that is woken reads the ledger. So one that is slow, or has gone, costs nothing and
holds nothing, and what is told live and what is told from the database cannot differ.

Nothing is missed: a reader looks whether there is something to read and, in the same turn, leaves word that it waits.
What is made durable afterwards finds it waiting.

Whether there is something to read is known of the organization, and not only of the database: otherwise a reader of a
quiet organization beside a busy one would read once a batch, and find nothing. For that the newest LSN of each
organization is kept, of as many as heard of something last; for all others it is taken to be the newest of those that
were forgotten, so that a reader of theirs looks once too often at most.
"""

from collections.abc import Sequence

import anyio
from msgspec import Struct

from actors.records import Transaction

ALL = ""  # no organization is called so: whatever happens in any
ROWS_LOOKED_AT_MAX = 1_000  # a larger transaction, an import, wakes everybody
ORGANIZATIONS_MAX = 10_000  # whose newest LSN is kept: 1 MB or so


class NewsStatistics(Struct, frozen=True):
    """Readers that wait now, and how many were woken."""

    waiting: int
    woken: int


class News:
    """The readers that wait, by organization.

    Args:
        durable_lsn: what was durable at the start: of what happened until then nothing is known.
    """

    def __init__(self, durable_lsn: int = 0) -> None:
        self._newest: dict[str, int] = {}  # the one that heard of something last is last
        self._newest_of_others = durable_lsn
        self._waiting: dict[str, dict[anyio.Event, None]] = {}
        self._woken = 0
        self._is_over = False

    def __repr__(self) -> str:
        return f"<News organizations={len(self._waiting)} over={self._is_over}>"

    def statistics(self) -> NewsStatistics:
        """What is waited for.

        >>> News().statistics()
        NewsStatistics(waiting=0, woken=0)
        """
        return NewsStatistics(sum(len(events) for events in self._waiting.values()), self._woken)

    def is_quiet_since(self, organization_id: str, lsn: int) -> bool:
        """Whether nothing has happened in it behind this LSN, as far as is durable."""
        return self._newest.get(organization_id, self._newest_of_others) <= lsn

    def expect(self, organization_id: str) -> anyio.Event:
        """Set when something happens in it from now on (with `ALL`: in any), or nothing will any more."""
        event = anyio.Event()
        if self._is_over:
            event.set()
        else:
            self._waiting.setdefault(organization_id, {})[event] = None
        return event

    async def wait(self, organization_id: str, event: anyio.Event, wait_s: float) -> None:
        """Return when it is set, or after `wait_s`."""
        try:
            with anyio.move_on_after(wait_s):
                await event.wait()
        finally:
            self._forget(organization_id, event)

    def publish(self, transactions: Sequence[Transaction]) -> None:
        """These are durable now."""
        if not transactions:
            return
        self._wake(ALL)
        for one in transactions:
            if one.reservation is not None:
                self._tell(one.reservation.organization_id, one.lsn)
            elif len(one.changes) > ROWS_LOOKED_AT_MAX or one.staged is not None:
                self._tell_all(one.lsn)
            else:
                organizations = {change.after.organization_id for change in one.changes}
                organizations.update([warehouse.organization_id for warehouse in one.warehouses])
                if one.sourcing is not None:
                    organizations.add(one.sourcing.organization_id)
                for organization_id in sorted(organizations):
                    self._tell(organization_id, one.lsn)

    def end(self) -> None:
        """Wake all, and let no reader wait any more."""
        self._is_over = True
        self._wake_all()

    def _tell(self, organization_id: str, lsn: int) -> None:
        self._newest.pop(organization_id, None)
        self._newest[organization_id] = lsn
        if len(self._newest) > ORGANIZATIONS_MAX:
            self._newest_of_others = self._newest.pop(next(iter(self._newest)))
        self._wake(organization_id)

    def _tell_all(self, lsn: int) -> None:
        self._newest.clear()
        self._newest_of_others = lsn
        self._wake_all()

    def _wake_all(self) -> None:
        for organization_id in list(self._waiting):
            self._wake(organization_id)

    def _wake(self, organization_id: str) -> None:
        for event in self._waiting.pop(organization_id, ()):
            event.set()
            self._woken += 1

    def _forget(self, organization_id: str, event: anyio.Event) -> None:
        events = self._waiting.get(organization_id)
        if events is not None:
            events.pop(event, None)
            if not events:
                del self._waiting[organization_id]

"""The time in which a relay may publish, as it counts it: see `supervisor/cursors.py`."""

from collections.abc import Awaitable, Callable

import anyio

from events.feed_port import Held

MARGIN_S = 0.2  # what is written last is still on its way to the broker


class LeaseOver(Exception):
    """The time ended while something was being published."""


class RelayLease:
    """A cursor that this relay has, until when it may publish, and how far it has come.

    Args:
        asked_s: when it was asked for, in seconds of the event loop.
    """

    def __init__(self, held: Held, asked_s: float) -> None:
        self.held = held
        self.point = held.point  # all up to here is confirmed
        self._until_s = 0.0
        self._sending: anyio.CancelScope | None = None
        self._renewed = anyio.Event()
        self.renew(asked_s)

    def __repr__(self) -> str:
        return f"<RelayLease of {self.held.name} at {self.point} until {self._until_s:.3f}>"

    @property
    def holds(self) -> bool:
        return anyio.current_time() < self._until_s

    def renew(self, asked_s: float) -> None:
        """The inventory has answered what was asked at that time."""
        self._until_s = max(self._until_s, asked_s + self.held.lease_s - MARGIN_S)
        if self._sending is not None:
            self._sending.deadline = self._until_s
        self._renewed.set()
        self._renewed = anyio.Event()

    async def publish(self, publish: Callable[[], Awaitable[int]]) -> int:
        """Publish when it holds, for as long as it does; a renewal meanwhile prolongs it.

        Raises:
            LeaseOver: some of it may have been sent.
        """
        while not self.holds:
            await self._renewed.wait()
        with anyio.CancelScope(deadline=self._until_s) as self._sending:
            return await publish()
        raise LeaseOver

"""A server's turn: whether it opens the store at once, or waits for the server that has it.

Only the wait can be ended by a stop. Once it is a server's turn it opens the store, which is short, and finds the stop
afterwards: a store that is cancelled half-way through might be owned or not.
"""

from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

# Waits until the store has no owner that lives, and keeps it for `open`. It tells for whom, unless it need not wait.
StandBy = Callable[[Callable[[str], None]], Awaitable[None]]


class StandbyStatistics(Struct, frozen=True):
    """How often the server waited for another one since it was started."""

    waits: int


class Standby:
    """Waits for the turn of a server.

    Args:
        stand_by: how; None: it is always this server's turn, or that of none.
        on_waiting: told for whom it waits, when it begins to.
    """

    def __init__(self, stand_by: StandBy | None, on_waiting: Callable[[str], None]) -> None:
        self._stand_by = stand_by
        self._on_waiting = on_waiting
        self._scope: anyio.CancelScope | None = None
        self._is_stopped = False
        self.waits_for = ""  # the server that it waits for now
        self._waits = 0

    def __repr__(self) -> str:
        return f"<Standby for {self.waits_for or 'none'}>"

    def statistics(self) -> StandbyStatistics:
        return StandbyStatistics(self._waits)

    @property
    def is_wanted(self) -> bool:
        """Whether a server that loses the database waits for it."""
        return self._stand_by is not None

    @property
    def has_waited(self) -> bool:
        """Whether it ever waited: a server that stood by once does not end because its database was away since."""
        return self._waits > 0

    async def turn(self) -> bool:
        """Return when the store may be opened: True; False if the server was told to stop before that.

        Raises:
            StorageError: it cannot wait.
        """
        if self._stand_by is None:
            return True
        with anyio.CancelScope() as self._scope:
            if self._is_stopped:
                return False
            try:
                await self._stand_by(self._wait)
            finally:
                self.waits_for = ""
            return True
        return False

    def stop(self) -> None:
        """Wait no more."""
        self._is_stopped = True
        if self._scope is not None:
            self._scope.cancel()

    def _wait(self, owner: str) -> None:
        self.waits_for = owner
        self._waits += 1
        self._on_waiting(owner)

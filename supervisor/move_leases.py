"""Which tries to move an organization give signs of life.

A program that moves an organization tells both cells every few seconds that it goes on (*renew*). If one that has begun
something says nothing for `LEASE_S`, the cell gives the try up: what it had closed is opened again, and from then on
nothing more is done for that try (`supervisor/moving.py` argues why that is safe). No two clocks are compared: the cell
looks at its own alone, and a program that was merely slow finds out by its next step.

A lease is in memory. After a restart, what the database says to be under way gets a new one, so that its program, or
another one, can finish it.
"""

from collections.abc import Callable

import anyio
from msgspec import Struct

LEASE_S = 10.0
LOOK_S = 1.0  # its own clock may go on while others stand still


class MoveLeasesStatistics(Struct, frozen=True):
    """Tries that are under way, and how many were given up since the start."""

    held: int
    given_up: int


class _Lease(Struct, frozen=True):
    move_id: str
    until_s: float


class MoveLeases:
    """The tries of one incarnation that may go on.

    Args:
        monotonic_s: a clock in seconds that goes on while the process is stopped.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._leases: dict[str, _Lease] = {}  # by organization
        self._has_some = anyio.Event()
        self._given_up = 0

    def __repr__(self) -> str:
        return f"<MoveLeases {list(self._leases)}>"

    def statistics(self) -> MoveLeasesStatistics:
        return MoveLeasesStatistics(len(self._leases), self._given_up)

    def __len__(self) -> int:
        return len(self._leases)

    def begin(self, organization_id: str, move_id: str) -> None:
        """This try goes on from now; no other one does."""
        self._leases[organization_id] = _Lease(move_id, self._monotonic_s() + LEASE_S)
        self._has_some.set()

    def renew(self, organization_id: str, move_id: str) -> bool:
        """It gives a sign of life. Returns False where it was given up, or is none."""
        lease = self._leases.get(organization_id)
        if lease is None or lease.move_id != move_id:
            return False
        self.begin(organization_id, move_id)
        return True

    def end(self, organization_id: str) -> None:
        """It needs none any more."""
        self._leases.pop(organization_id, None)

    def give_up(self, organization_id: str, move_id: str) -> bool:
        """End it, unless there was a sign of life since."""
        lease = self._leases.get(organization_id)
        if lease is None or lease.move_id != move_id or lease.until_s > self._monotonic_s():
            return False
        self.end(organization_id)
        self._given_up += 1
        return True

    async def next_over(self) -> tuple[str, str]:
        """Wait until one is over: the organization and the id of the try."""
        while True:
            if not self._leases:
                self._has_some = anyio.Event()
                await self._has_some.wait()
            organization_id, lease = min(self._leases.items(), key=lambda one: one[1].until_s)
            left_s = lease.until_s - self._monotonic_s()
            if left_s <= 0:
                return organization_id, lease.move_id
            await anyio.sleep(min(left_s, LOOK_S))

"""Which reservations run out first: the active ones, as a list tells them once and a stream of changes from then on.

No list is sorted by when they run out, and those that do so next may have been made before or after any others. So all
that are active are listed once, and what becomes of them is heard. The stream is heard before the list begins: what it
has told is newer than what the list says of the same reservation, or will be told again.
"""

from heapq import nsmallest
from typing import NamedTuple

from msgspec import Struct
from stockkeeper_client.v1.stock_pb2 import Reservation, WatchChangesResponse

KEPT_MAX = 200_000  # some 100 MB


class Ending(NamedTuple):
    """A reservation that is active."""

    expires_at: str  # RFC 3339, UTC, of one length: in the order of time
    order_id: str
    reservation_id: str
    pieces: int


class RunningOutStatistics(Struct, frozen=True):
    """Reservations that are known, and whether all that are active were listed."""

    reservations: int
    is_whole: bool


class RunningOut:
    """The active reservations of an organization."""

    def __init__(self) -> None:
        self._active: dict[str, Ending] = {}
        self._over: set[str] = set()  # of those that the list may still tell of
        self._is_whole = False
        self.is_full = False

    def __repr__(self) -> str:
        return f"<RunningOut reservations={len(self._active)} whole={self._is_whole}>"

    def statistics(self) -> RunningOutStatistics:
        return RunningOutStatistics(len(self._active), self._is_whole)

    def hear(self, message: WatchChangesResponse) -> None:
        """Something happened."""
        if not message.HasField("reservation"):
            return
        one = message.reservation
        if one.state == "active":
            known = self._active.get(one.reservation_id)
            pieces = sum(item.quantity for item in one.items) or (known.pieces if known is not None else 0)
            self._over.discard(one.reservation_id)
            self._keep(Ending(one.expires_at, one.order_id, one.reservation_id, pieces))
        else:
            self._active.pop(one.reservation_id, None)
            if not self._is_whole:
                self._over.add(one.reservation_id)

    def note(self, one: Reservation) -> None:
        """The list tells of it."""
        if one.reservation_id in self._over:
            return
        known = self._active.get(one.reservation_id)
        expires_at = one.expires_at if known is None else known.expires_at
        pieces = sum(item.quantity for item in one.items)
        self._keep(Ending(expires_at, one.order_id, one.reservation_id, known.pieces or pieces if known else pieces))

    def listed(self) -> None:
        """The list has come to its end."""
        self._is_whole = True
        self._over.clear()

    def soonest(self, reservations: int) -> list[Ending]:
        """Those that run out first, the first first."""
        return nsmallest(reservations, self._active.values())

    def _keep(self, one: Ending) -> None:
        if len(self._active) >= KEPT_MAX and one.reservation_id not in self._active:
            self.is_full = True
            return
        self._active[one.reservation_id] = one

"""Where in the journal an answer may stand: what all explanations have in common."""

from bisect import bisect_right
from collections.abc import Iterator

from actors.basket_commands import ReserveBasket
from actors.commands import Amend, Reacquire, Reserve
from actors.outcomes import InsufficientStock
from actors.records import ReservationRecord
from simulation.audit.hints import freed_at_ms
from simulation.audit.history import Operation
from simulation.audit.positions import Positions
from simulation.audit.timeline import Timeline
from simulation.audit.wrong import Wrong


class Places(Positions):
    """Looks for the smallest place that explains an answer.

    Args:
        replay: the journal.
    """

    def _is_moved(self, organization_id: str, reservation_id: str, moves: int) -> bool:
        """Whether the reservation was gone after this number of moves."""
        return 0 < self._replay.moved.get((organization_id, reservation_id), 0) <= moves

    def _timeline(self, record: ReservationRecord, high: int) -> Timeline[ReservationRecord]:
        timeline = self._replay.reservations.get((record.organization_id, record.reservation_id))
        if timeline is None:
            raise Wrong("G3", f"got {record!r}, of which the journal has nothing")
        if timeline.first_lsn > high:
            raise Wrong("G3", f"was answered at LSN {high}, but {record.reservation_id} came later", timeline.first_lsn)
        return timeline

    def _is_hinted(
        self,
        operation: Operation,
        request: Reserve | ReserveBasket | Amend | Reacquire,
        answer: InsufficientStock,
        high: int,
        lsn: int,
        without: str = "",
    ) -> bool:
        """Whether the answer says when expiries will have freed enough, as this state foresees it.

        Args:
            without: a reservation whose end would not help.
        """
        since_lsn, earliest_ms, latest_ms = operation.hints_since_lsn, operation.asked_ms, operation.answered_ms
        if request.request_id:  # `high` is where the refusal was remembered, perhaps by another server
            earliest_ms = latest_ms = self._replay.transactions[high - 1].at_ms
            since_lsn = since_lsn if since_lsn < high else -1
        for moment in self._moments(request, lsn, high):
            freed_ms = freed_at_ms(self._replay, request.organization_id, answer.shortages, moment, without)
            if _is_foreseen(answer.retry_after_ms, freed_ms, earliest_ms, latest_ms, is_known=since_lsn >= 0):
                return True
        return False

    def _moments(self, request: Reserve | ReserveBasket | Amend | Reacquire, lsn: int, high: int) -> Iterator[int]:
        """When it may have been looked for expiries: at the look at the rows, or when others had had their turn."""
        yield lsn
        made = self._replay.reservation_lsns.get(request.organization_id, [])
        yield from made[bisect_right(made, lsn) : bisect_right(made, high)]


def _is_foreseen(
    retry_after_ms: int, freed_ms: int | None, earliest_ms: int, latest_ms: int, *, is_known: bool
) -> bool:
    """Whether the hint is the time at which enough is free, seen between the earliest and the latest time.

    Args:
        is_known: whether all that will expire was known; otherwise it may be later than the truth, or missing.
    """
    if not retry_after_ms:
        return freed_ms is None or not is_known
    if freed_ms is None:
        return False
    if not is_known:
        return retry_after_ms >= freed_ms - latest_ms
    return max(1, freed_ms - latest_ms) <= retry_after_ms <= max(1, freed_ms - earliest_ms)

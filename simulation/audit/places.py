"""Where in the journal an answer may stand: what all explanations have in common."""

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
        freed_ms = freed_at_ms(self._replay, request.organization_id, answer.shortages, lsn, without)
        if not answer.retry_after_ms:
            return freed_ms is None or since_lsn < 0
        if freed_ms is None:
            return False
        if since_lsn < 0:  # not all that will expire was known
            return answer.retry_after_ms >= freed_ms - latest_ms
        soonest_ms = max(1, freed_ms - latest_ms)
        return soonest_ms <= answer.retry_after_ms <= max(1, freed_ms - earliest_ms)

"""The position of an answer about what became of a reservation."""

from collections.abc import Sequence

from actors.commands import Amend, Confirm, Extend, Fulfill, OfReservation, Reacquire
from actors.outcomes import (
    InsufficientStock,
    ReservationAmended,
    ReservationConfirmed,
    ReservationExists,
    ReservationExpired,
    ReservationExtended,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReacquired,
    ReservationReleased,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
)
from actors.queries import GetReservation
from actors.records import RequestKey, ReservationRecord
from actors.views import ReservationFound
from simulation.audit.amendments import chosen_again, refusal_again
from simulation.audit.expected import STATES_AFTER, is_refused, lines_asked
from simulation.audit.history import Operation
from simulation.audit.places import Places
from simulation.audit.positions import Explains
from simulation.audit.replay import items_asked
from simulation.audit.shipments import why_unlike_its_entry
from simulation.audit.sites import Sites
from simulation.audit.wrong import Wrong

RESERVATION_REFUSALS = (
    ReservationNotFound,
    ReservationExpired,
    ReservationWasReleased,
    ReservationWasFulfilled,
    ShippedAlready,
)
ORIGINS = {Amend: ("active", "confirmed"), Reacquire: ("expired",)}
"""What a reservation is before each."""


class ReservationMoves(Places):
    """Explains what a caller heard of one reservation."""

    def command(self, operation: Operation, request: OfReservation, answer: object, low: int, high: int) -> int:
        timeline = self._replay.reservations.get((request.organization_id, request.reservation_id))
        match answer:
            case (
                ReservationConfirmed(record)
                | ReservationReleased(record)
                | ReservationFulfilled(record)
                | ReservationExtended(record)
                | ReservationAmended(record)
                | ReservationReacquired(record)
            ):
                if (record.organization_id, record.reservation_id) != (request.organization_id, request.reservation_id):
                    raise Wrong("G11", f"got another's reservation: {record!r}")
                timeline = self._timeline(record, high)
                if isinstance(request, Amend | Reacquire):
                    self._check_rebooked(operation, request, answer, record, high)
                if isinstance(request, Fulfill | Extend):  # `high` is where the answer was remembered
                    entry = self._replay.transactions[high - 1]
                    if why := why_unlike_its_entry(request, answer, entry, timeline.at(high - 1)):
                        raise Wrong("G4", f"got {answer!r}, but {why}", high)
                legal = record.state in STATES_AFTER[type(answer)]
                if isinstance(request, Confirm):
                    legal = legal and record.order_id == request.order_id

                def is_so(lsn: int) -> bool:
                    assert timeline is not None
                    return legal and timeline.at(lsn) == record

                return self._smallest([timeline.lsns], is_so, low, high, "G4", answer)

        if isinstance(request, Amend | Reacquire) and not isinstance(answer, RESERVATION_REFUSALS):
            return self._rebooking_refused(operation, request, answer, low, high)

        def refuses(lsn: int) -> bool:
            record = timeline.at(lsn) if timeline is not None else None
            if is_refused(request, answer, record, operation.answered_ms) or self._is_too_old(request, answer, record):
                return True
            # As if it had never been; an actor in memory may still answer as before.
            return is_refused(request, answer, None, operation.answered_ms) and self._is_moved(
                request.organization_id, request.reservation_id, operation.moves
            )

        return self._smallest([timeline.lsns] if timeline else [], refuses, low, high, "G4", answer)

    def _is_too_old(self, request: OfReservation, answer: object, record: ReservationRecord | None) -> bool:
        """Whether the reservation may be on its way out, too late to be taken again."""
        kept_ms = self._replay.kept_ms
        if not isinstance(request, Reacquire) or not isinstance(answer, ReservationExpired) or kept_ms is None:
            return False
        if record is None or record.state != "expired":
            return False
        [(lsn, _)] = self._replay.requests[RequestKey(request.organization_id, request.request_id)][-1:]
        return self._replay.transactions[lsn - 1].at_ms - record.ended_at_ms >= kept_ms

    def _check_rebooked(
        self, operation: Operation, request: Amend | Reacquire, answer: object, record: ReservationRecord, high: int
    ) -> None:
        """See that the answer is of what was asked for, and that the goods come from where the contract says."""
        entry = self._replay.transactions[high - 1]  # where the answer was remembered
        if isinstance(request, Amend) and items_asked(record) != lines_asked(request.lines):
            raise Wrong("G4", f"got {answer!r}: not what it asked for", high)
        if isinstance(answer, ReservationReacquired) and answer.was_held is (entry.kind == "reacquire"):
            raise Wrong("G4", f"got {answer!r}, but the journal has {entry.kind}", high)
        since = operation.undisturbed_since_lsn
        if entry.kind not in ("amend", "reacquire") or not 0 <= since < high:
            return
        timeline = self._timeline(record, high)
        taken = [item.warehouse_id for item in record.items]
        for lsn in range(since, high):  # an expiry may come in between
            before = timeline.at(lsn)
            if before is not None and taken == chosen_again(request, before, *self._state(request, before, lsn)):
                return
        raise Wrong("G4", f"got {answer!r}: these are not the warehouses that the contract names", high)

    def _state(
        self, request: Amend | Reacquire, record: ReservationRecord, lsn: int
    ) -> tuple[dict[str, dict[str, int]], Sites]:
        variants = [item.variant_id for item in record.items]
        variants += [line.variant_id for line in request.lines] if isinstance(request, Amend) else []
        return self._replay.open_at(request.organization_id, variants, lsn)

    def _rebooking_refused(
        self, operation: Operation, request: Amend | Reacquire, answer: object, low: int, high: int
    ) -> int:
        replay, organization = self._replay, request.organization_id
        timeline = replay.reservations.get((organization, request.reservation_id))
        if timeline is None:
            raise Wrong("G4", f"got {answer!r}, but there is no such reservation", high)

        def refuses(lsn: int) -> bool:
            record = timeline.at(lsn)
            if record is None or record.state not in ORIGINS[type(request)]:
                return False
            if isinstance(answer, ReservationExists):
                latest = replay.latest_at(record.order, lsn)
                is_held = latest is not None and latest.holds_stock
                return isinstance(request, Reacquire) and is_held and latest.reservation_id == answer.reservation_id  # type: ignore[union-attr]
            expected = refusal_again(request, record, *self._state(request, record, lsn))
            if isinstance(answer, InsufficientStock) and isinstance(expected, InsufficientStock):
                is_hinted = self._is_hinted(operation, request, answer, high, lsn, request.reservation_id)
                return answer.shortages == expected.shortages and is_hinted
            return answer == expected and expected is not None

        variants = [item.variant_id for record in timeline.values for item in record.items]
        variants += [line.variant_id for line in request.lines] if isinstance(request, Amend) else []
        lsns = [*self._row_lsns(organization, list(dict.fromkeys(variants))), timeline.lsns]
        lsns.append(replay.reservation_lsns.get(organization, []))  # a hint hangs on them
        return self._smallest(lsns, refuses, low, high, "G5", answer)

    def found(self, query: GetReservation, answer: object) -> tuple[list[Sequence[int]], Explains]:
        """What one reservation is shown as, wherever it is kept."""
        timeline = self._replay.reservations.get((query.organization_id, query.reservation_id))

        def is_it(lsn: int) -> bool:
            record = timeline.at(lsn) if timeline is not None else None
            if record is None:
                return answer == ReservationNotFound(query.reservation_id)
            return answer == ReservationFound(record)

        return [timeline.lsns] if timeline is not None else [], is_it
